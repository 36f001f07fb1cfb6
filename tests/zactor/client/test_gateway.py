"""zactor/client/gateway.py: what of a call travels as plain data and what as a pickle."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.client.gateway import encode_call, is_plain
from zactor.kernel import errors, limits
from zactor.kernel.wire import payload

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.slow
@settings(max_examples=50, deadline=None)
@given(args=st.lists(JSON), kwargs=st.dictionaries(st.text(), JSON))
def test_json_data_travels_as_plain_data_and_arrives_as_it_was(
    args: list[object], kwargs: dict[str, object]
) -> None:
    encoded = encode_call(tuple(args), kwargs)
    assert encoded.startswith(payload.PLAIN_MARK)
    assert payload.decode(encoded, (), "data") == (tuple(args), kwargs)


class Int(int):
    """An int that JSON would turn into a plain one."""


@pytest.mark.parametrize(
    "value", [(1, 2), {1, 2}, b"x", {1: 2}, 1 << 70, math.inf, Int(3), [(1,)], {"a": 1j}]
)
def test_what_json_would_change_is_pickled_and_arrives_as_it_was(value: object) -> None:
    assert not is_plain(value)
    encoded = encode_call((value,), {"k": value})
    assert not encoded.startswith(payload.PLAIN_MARK)
    args, kwargs = payload.decode(encoded, ())
    assert (args, kwargs) == ((value,), {"k": value})
    assert type(args[0]) is type(value)


def test_data_that_is_nested_too_deep_is_no_plain_data() -> None:
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    assert not is_plain(deep)


def test_long_buffers_travel_inside_and_too_long_ones_are_refused_at_the_callers_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fits = bytearray(limits.BUFFER_BYTES_MIN * 4)
    args, _ = payload.decode(encode_call((fits,), {}), ())
    assert args == (fits,)
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 1_000_000)
    with pytest.raises(errors.ConfigError, match="the limit is 1000000"):
        encode_call((bytearray(limits.MESSAGE_BYTES_MAX),), {})
