"""Group messages that say which span they come from."""

from __future__ import annotations

from zactor.kernel import limits
from zactor.kernel.runtime.traced_runtime import traced_message
from zactor.kernel.wire.payload import VALUE_MARK, decode_message, encode_message
from zactor.kernel.wire.traced import context_of

CONTEXT = b"00-" + b"a1" * 16 + b"-" + b"b2" * 8 + b"-01"


def test_a_group_message_bears_a_context_where_it_holds_a_value_and_has_room() -> None:
    payload = traced_message(encode_message([1, "two"]), CONTEXT)
    assert context_of(payload, len(VALUE_MARK)) == CONTEXT
    assert context_of(payload) == b""
    assert decode_message(payload) == [1, "two"]
    assert traced_message(b"bytes", CONTEXT) == b"bytes"
    full = encode_message("x" * (limits.GROUP_PAYLOAD_BYTES_MAX - 60))
    assert traced_message(full, CONTEXT) == full
