"""Events of the group engine: what its shell tells it.

msgspec structs and no dataclasses: one is made for every message that arrives, and a frozen
dataclass costs five times as much to make.
"""

from __future__ import annotations

import msgspec

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import EngineMessage, GroupHeartbeat
from zactor.kernel.messages.service import Service


class Tick(msgspec.Struct, frozen=True):
    """The engine's `deadline_ms` has come (or any other time: early ticks do no harm)."""


class Drained(msgspec.Struct, frozen=True):
    """All that had arrived was handed in: acknowledgements that wait for more may leave."""


class Heard(msgspec.Struct, frozen=True):
    """A heartbeat arrived; they may be lost, repeated and out of order."""

    heartbeat: GroupHeartbeat


class Received(msgspec.Struct, frozen=True):
    """A message arrived over the link: once each, in order, while both incarnations live.

    UNRELIABLE data comes beside the link: perhaps lost, repeated and out of order.
    """

    peer: NodeId
    message: EngineMessage


class LinkUp(msgspec.Struct, frozen=True):
    """The connection's own heartbeats (ZMTP) come back: the peer's host and process are there."""

    peer: NodeId


class LinkDown(msgspec.Struct, frozen=True):
    """The connection is closed or its own heartbeats don't come back: only a hint."""

    peer: NodeId


class ProcessGone(msgspec.Struct, frozen=True):
    """Proof that the peer's incarnation is dead (connection refused, higher incarnation seen)."""

    peer: NodeId


class SessionOpened(msgspec.Struct, frozen=True):
    """A session of this node begins; its private group exists from now on."""

    session: str


class SessionClosed(msgspec.Struct, frozen=True):
    """It ends: what it submitted is still sent, then its groups see it go (DISCONNECT)."""

    session: str


class Submit(msgspec.Struct, frozen=True):
    """A session sends to groups, member or not; `#session#node` is a session's private group."""

    session: str
    service: Service
    groups: tuple[str, ...]
    payload: bytes
    discard: bool = False  # the sender wants no copy of its own
    mess_type: int = 0  # the application's own: signed, 16 bits
    count: int = 1  # above 1: a parcel of so many messages (parcels.py)


class Join(msgspec.Struct, frozen=True):
    """A session enters a group."""

    session: str
    group: str


class Leave(msgspec.Struct, frozen=True):
    """A session leaves a group."""

    session: str
    group: str


class Consumed(msgspec.Struct, frozen=True):
    """Sessions have got through more of what was delivered to them."""

    taken: tuple[tuple[str, int, int], ...]  # session, messages, bytes of their payloads


class Stop(msgspec.Struct, frozen=True):
    """This node stops in good order: say so, then take no more events."""


class LimitWindow(msgspec.Struct, frozen=True):
    """So many messages of this node may be beyond the stable line; 0: as its settings say."""

    messages: int


Event = (
    Tick
    | Drained
    | Heard
    | Received
    | LinkUp
    | LinkDown
    | ProcessGone
    | SessionOpened
    | SessionClosed
    | Submit
    | Join
    | Leave
    | Consumed
    | LimitWindow
    | Stop
)
