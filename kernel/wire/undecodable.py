"""What stands under the number of an item that can't be decoded, and whom that concerns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.limits import LINK_PARCEL_SIGNALS
from zactor.kernel.messages.actors import (
    Ask,
    Bulk,
    Failure,
    InMemory,
    Reply,
    Signal,
    SignalParcel,
    Undelivered,
)
from zactor.kernel.messages.base import Message
from zactor.kernel.messages.operations import Answer, Problem, Request

Raised = (msgspec.MsgspecError, ValueError, RecursionError, MemoryError, OverflowError)
"""What decoding raises: UnicodeDecodeError is a ValueError and no MsgspecError, deep nesting is a
RecursionError, and lengths that no memory holds are a MemoryError or an OverflowError."""

_KIND = RemoteProtocolError.__name__
_fields = msgspec.msgpack.Decoder(tuple[msgspec.Raw, ...])
_int = msgspec.msgpack.Decoder(int)
_text = msgspec.msgpack.Decoder(str)
_integers = msgspec.msgpack.Decoder(tuple[int, ...])


class Undecodable:
    """What came under the number of an item, and isn't one."""

    __slots__ = ("answer", "instead", "is_credited", "kind", "sizes", "weight", "why")

    def __init__(self, raw: bytes, why: str) -> None:
        self.why = why
        fields: tuple[msgspec.Raw, ...] = _decoded(_fields, raw) or ()
        tag: int | None = _decoded(_int, fields[0]) if fields else None
        self.sizes: tuple[int, ...] = ()
        """Of a Bulk: how long its buffers are, if it says so."""
        if tag == _tag(Bulk):
            self.sizes = (_decoded(_integers, fields[2]) if len(fields) > 2 else None) or ()
        if tag in (_tag(Bulk), _tag(InMemory)):
            fields = (_decoded(_fields, fields[1]) if len(fields) > 1 else None) or ()
            tag = _decoded(_int, fields[0]) if fields else None
        self.kind = _NAMES.get(tag, f"tag {tag}")
        self.is_credited = tag in (_tag(Signal), _tag(SignalParcel), _tag(Ask))
        """Whether it took a credit at its sender, as far as its tag says."""
        self.weight = _weight(tag, fields)
        """How many numbers it took there, as far as it says."""
        number = _number(tag, fields)
        self.instead: object | None = _instead(tag, number, why)
        """What whoever waits for it here is to get, or None."""
        self.answer: object | None = _answer(tag, number, why) or _undelivered(tag, fields, why)
        """What whoever waits for an answer at its sender is to get, or its node of a signal."""


def _decoded(decoder: Any, raw: bytes | memoryview) -> Any:
    """What `raw` is; None if it isn't that."""
    try:
        return decoder.decode(raw)
    except Raised:
        return None


def _tag(kind: type[Message]) -> int:
    tag = kind.__struct_config__.tag
    assert isinstance(tag, int), kind
    return tag


_NAMES: dict[int | None, str] = {
    _tag(kind): kind.__name__
    for kind in (Signal, SignalParcel, Ask, Reply, Failure, Request, Answer, Problem)
}


def _number(tag: int | None, fields: tuple[msgspec.Raw, ...]) -> int | None:
    """The number by which somebody waits for the item, or for its answer; None without any."""
    if tag not in _NAMES or tag in (_tag(Signal), _tag(SignalParcel)):
        return None
    place = 1 + Ask.__struct_fields__.index("request") if tag == _tag(Ask) else 1
    return _decoded(_int, fields[place]) if len(fields) > place else None


def _weight(tag: int | None, fields: tuple[msgspec.Raw, ...]) -> int:
    count: int | None = None
    if tag == _tag(SignalParcel) and len(fields) > 1:
        count = _decoded(_int, fields[1])
    return count if count is not None and 1 <= count <= LINK_PARCEL_SIGNALS else 1


_Ending = Callable[[int, str, str, dict[str, str]], object]


def _ended(kinds: dict[int, _Ending], tag: int | None, number: int | None, why: str) -> object:
    if tag not in kinds or number is None:
        return None
    return kinds[tag](number, _KIND, why, {})


def _instead(tag: int | None, number: int | None, why: str) -> object:
    words = f"the answer can't be read: {why}"
    ending: dict[int, _Ending] = {
        **dict.fromkeys((_tag(Reply), _tag(Failure)), Failure),
        **dict.fromkeys((_tag(Answer), _tag(Problem)), Problem),
    }
    return _ended(ending, tag, number, words)


def _answer(tag: int | None, number: int | None, why: str) -> object:
    return _ended(
        {_tag(Ask): Failure, _tag(Request): Problem}, tag, number, f"can't be read: {why}"
    )


def _undelivered(tag: int | None, fields: tuple[msgspec.Raw, ...], why: str) -> object:
    """A signal that says to whom it goes, from whom: a dead letter there."""
    if tag != _tag(Signal) or len(fields) < 5:
        return None
    _, targets, sender, number, action = fields[:5]
    head = (
        _decoded(_integers, targets),
        _decoded(_int, sender),
        _decoded(_int, number),
        _decoded(_text, action),
    )
    return None if None in head else Undelivered(*head, f"can't be read: {why}")
