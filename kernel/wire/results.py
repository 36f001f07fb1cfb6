"""Results of operations: plain data as msgpack, in pages that fit a frame; errors as text.

A client's request and a node's request of another node are answered alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from zactor.kernel import errors, limits
from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.messages.operations import Answer, Problem, Welcome

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder()
_WELCOME = msgspec.msgpack.Decoder(Welcome)


def answers(number: int, result: object) -> Iterator[Answer]:
    """Yield the result of request `number` as one Answer, or as several where it is long."""
    body = _ENCODER.encode(result)
    size = limits.ANSWER_BYTES_MAX
    for offset in range(0, max(len(body), 1), size):
        yield Answer(number, offset + size < len(body), body[offset : offset + size])


def problem(number: int, error: BaseException) -> Problem:
    """Return the answer that says `error`."""
    kind, message, fields = errors.to_wire(error)
    return Problem(number, kind, message, fields)


def read_result(body: bytes) -> Any:
    """Return the plain data in the joined results of all Answers to one request.

    Raises:
        RemoteProtocolError: it is no msgpack.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"a result that can't be read: {error}") from None


def read_welcome(body: bytes) -> Welcome:
    """Return the Welcome in the result of a Hello.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return _WELCOME.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"a welcome that can't be read: {error}") from None
