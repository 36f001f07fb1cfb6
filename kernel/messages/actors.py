"""Messages between actors: items of a link, and which of them take a credit."""

from __future__ import annotations

from typing import Annotated

import msgspec

from zactor.kernel.limits import ASK_CYCLE_CHARS_MAX, ASK_CYCLE_LONGEST, LINK_PARCEL_SIGNALS
from zactor.kernel.messages.base import Message

Arguments = tuple[bool | int | float | str | None, ...]
"""Arguments that are decoded with their frame, as values that run no code and never change. Who
sends them has them encoded, as a msgspec.Raw."""


class Signal(Message, frozen=True, tag=1, gc=False):
    """Call `action` of the actors `targets` on the receiving node; nobody waits for an answer."""

    targets: tuple[int, ...]  # actor uids
    sender: int  # actor uid, 0 for a client
    number: int  # grows at the sending node: names this message in traces and dead letters
    action: str
    payload: bytes | Arguments  # see kernel/wire/payload.py


class SignalHeader(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False
):
    """What signals of one emitter have in common: the fields are Signal's."""

    targets: tuple[int, ...]
    sender: int
    action: str


class SignalParcel(Message, frozen=True, tag=8, gc=False):
    """`count` signals to one node, in the order in which they were sent: an item of that weight.

    Raises:
        ValueError: made or decoded, it isn't `count` signals with a header each.
    """

    count: int  # first, so that it can be read where the rest can't
    headers: tuple[SignalHeader, ...]
    which: bytes  # of each signal: the place of its header
    numbers: tuple[int, ...]  # of each, and its payload: as in Signal
    payloads: tuple[bytes | Arguments, ...]

    def __post_init__(self) -> None:
        count = self.count
        if not 1 <= count <= LINK_PARCEL_SIGNALS:
            raise ValueError(f"a parcel of {count} signals, 1 to {LINK_PARCEL_SIGNALS} allowed")
        if not len(self.which) == len(self.numbers) == len(self.payloads) == count:
            raise ValueError(f"a parcel that isn't the {count} signals that it says")
        if max(self.which) >= len(self.headers):
            raise ValueError("a parcel with a signal that has no header")


class Ask(Message, frozen=True, tag=2, gc=False):
    """Call `action` of `target`; exactly one Reply, Failure comes back, or its node dies."""

    target: int
    sender: int
    request: int  # unique at the asking node while it lives
    action: str
    payload: bytes


class Reply(Message, frozen=True, tag=3, gc=False):
    """The action ended with a value."""

    request: int
    payload: bytes


class Failure(Message, frozen=True, tag=4):
    """The ask ended with an error: see kernel/errors.py `from_wire`."""

    request: int
    kind: str
    message: str
    fields: dict[str, str]


class Undelivered(Message, frozen=True, tag=5):
    """A Signal reached the node but not these targets: a dead letter for its sender's node."""

    targets: tuple[int, ...]
    sender: int
    number: int
    action: str
    reason: str
    payload: bytes = b""  # where its wire holds: the signal's, to be sent again


class Bulk(Message, frozen=True, tag=6):
    """An item whose payload has long buffers: they follow as parts of the frame, in order.

    `sizes` are the lengths in bytes; a buffer longer than PART_BYTES_MAX takes several parts.
    A payload longer than INLINE_BYTES_MAX travels as buffer 0, and the item's is empty.
    """

    item: Signal | Ask | Reply
    sizes: tuple[int, ...]
    head_first: bool  # buffer 0 is the payload itself


class InMemory(Message, frozen=True, tag=12):
    """An item whose long buffers lie in memory of its sender's, in a slot, one behind the other.

    A payload that is long by itself lies there as buffer 0, and the item's is empty.
    """

    item: Signal | Ask | Reply
    fd: int  # the slot's descriptor in the sender's process
    key: bytes  # with which the slot begins
    lending: int  # how often the slot was lent
    sizes: tuple[int, ...]  # of the buffers, in bytes
    head_first: bool  # buffer 0 is the payload itself


class ShareMemory(Message, frozen=True, tag=13):
    """A first slot, with a proof in it: whoever reads that may be lent others."""

    pid: int  # of the sender's process
    fd: int  # this and what follows as in InMemory
    key: bytes
    lending: int


class MemoryRead(Message, frozen=True, tag=14):
    """What was read in a first slot, or b"": what is lent can't be read (any more)."""

    proof: bytes


class MemoryFreed(Message, frozen=True, tag=15):
    """Nothing of that lending is in use any more by who was lent it."""

    fd: int
    lending: int
    again: bool  # False: a fork's child may read there still, so the slot isn't filled anew


class Wired(Message, frozen=True, tag=7, gc=False):
    """A Signal in group order: the payload of a group message to all nodes that it is for."""

    targets: tuple[tuple[str, tuple[int, ...]], ...]  # by name of their node: actor uids
    sender: int  # this and what follows as in Signal
    number: int
    action: str
    payload: bytes


class AskWait(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """An actor whose action waits for an ask of its own."""

    uid: int
    name: str
    node: str
    number: int  # of the wait, at that node while it lives
    asked: str  # actor.action


class AskProbe(Message, frozen=True, tag=9):
    """Each of these waits for the next, the last for the answer to `request` of `target`."""

    target: int
    request: int  # of the last one's ask, at the node that sends this
    waits: Annotated[tuple[AskWait, ...], msgspec.Meta(max_length=ASK_CYCLE_LONGEST)]


class AskCycle(Message, frozen=True, tag=10):
    """These wait for each other in a ring: that wait of `uid` is to end with an error."""

    uid: int
    number: int
    words: Annotated[str, msgspec.Meta(max_length=ASK_CYCLE_CHARS_MAX)]


class Withdrawn(Message, frozen=True, tag=11, gc=False):
    """Nobody waits for that ask any more: `target` may leave it out, if it hasn't begun."""

    target: int
    request: int


Credited = Signal | SignalParcel | Ask

"""Items that take a credit, a parcel one for each signal: the sender stops when the receiver
doesn't get through them.

A Bulk takes one if the item within does, so a long Reply never waits for a credit either: see
`is_credited` in kernel/wire/item_size.py, by which both ends count.
"""
