"""Items that can't be encoded: something harmless takes their numbers.

Such an item would otherwise stop its link for good, since the peer waits for its number. Text is
the usual cause: Python's may hold lone surrogates, which UTF-8 hasn't.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from zactor.kernel.messages.actors import (
    Ask,
    Failure,
    InMemory,
    Reply,
    Signal,
    SignalHeader,
    SignalParcel,
    Undelivered,
)
from zactor.kernel.messages.frames import LinkFrame
from zactor.kernel.messages.operations import Answer, Problem, Request
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.codec import encode_frame
from zactor.kernel.wire.signal_parcels import signals_of, without_targets

_KIND = "LocalProtocolError"
_NOBODY = SignalHeader((), 0, "")
_NO_SIGNAL = Signal((), 0, 0, "", b"")  # takes a credit and gives it back
_NOTHING = Undelivered((), 0, 0, "", "")  # takes none


class Salvage(NamedTuple):
    """A frame that can be encoded, and what is to be told of the items that couldn't."""

    frame: LinkFrame
    answers: list[object]  # for the submitters, as if the peer had sent them
    dropped: list[tuple[str, str]]  # type and error of each


def salvage(frame: LinkFrame) -> Salvage:
    """Replace the items of `frame` that can't be encoded; if none is to blame, replace all."""
    errors = [_error(frame, item) for item in frame.items]
    if not any(errors):
        errors = ["it can't be encoded with what travels beside it"] * len(frame.items)
    items: list[object] = []
    answers: list[object] = []
    dropped: list[tuple[str, str]] = []
    for item, why in zip(frame.items, errors, strict=True):
        if not why:
            items.append(item)
            continue
        inner: object = item.item if isinstance(item, (Bulky, InMemory)) else item
        reason = f"it can't be sent: {why}"
        if isinstance(inner, SignalParcel):
            parcel, told = _without_bad(frame, inner, reason)
            items.append(parcel)
            answers += told
        else:
            instead, answer = _stand_in(inner, reason)
            items.append(instead)
            if answer is not None:
                answers.append(answer)
        dropped.append((type(inner).__name__, why))
    return Salvage(msgspec.structs.replace(frame, items=tuple(items)), answers, dropped)


def _error(frame: LinkFrame, item: object) -> str:
    """Why the item can't be encoded; "" if it can."""
    try:
        encode_frame(msgspec.structs.replace(frame, items=(item,)))
    except Exception as error:  # a value of a wrong type, text that is none, too long, too deep
        return ascii(str(error))
    return ""


def _without_bad(
    frame: LinkFrame, parcel: SignalParcel, why: str
) -> tuple[SignalParcel, list[Undelivered]]:
    """Return the parcel without the signals that are to blame; if none is, without any."""
    is_bad = [bool(_error(frame, Signal(*_fields(h), b""))) for h in parcel.headers]
    told = [
        Undelivered(signal.targets, signal.sender, signal.number, signal.action, why)
        for place, signal in zip(parcel.which, signals_of(parcel), strict=True)
        if is_bad[place] or not any(is_bad)
    ]
    if not any(is_bad):
        return without_targets(parcel), told
    headers = [
        _NOBODY if bad else header for bad, header in zip(is_bad, parcel.headers, strict=True)
    ]
    return msgspec.structs.replace(parcel, headers=tuple(headers)), told


def _fields(header: SignalHeader) -> tuple[tuple[int, ...], int, int, str]:
    return header.targets, header.sender, 0, header.action


def _stand_in(item: object, why: str) -> tuple[object, object | None]:
    """Return what travels under the item's number, and what its submitter is told."""
    match item:
        case Signal():
            told = Undelivered(item.targets, item.sender, item.number, item.action, why)
            return _NO_SIGNAL, told
        case Ask():
            return _NO_SIGNAL, Failure(item.request, _KIND, why, {})
        case Request():
            return _NOTHING, Problem(item.number, _KIND, why, {})
        case Reply() | Failure():  # whoever asked is at the other side
            return Failure(item.request, _KIND, why, {}), None
        case Answer() | Problem():
            return Problem(item.number, _KIND, why, {}), None
        case _:
            return _NOTHING, None
