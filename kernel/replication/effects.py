"""Effects of a Replica: what its shell must do, in order. Nothing here waits for a disk: `Write` is
answered later, and what must be on disk before it is said is said only then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from zactor.kernel.ids import ORIGIN, Clock, NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.knowledge import Change, KbLinked, KbOrdered
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication.records import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Multicast:
    """Submit `message` to the group of the knowledge base."""

    service: Service
    message: KbOrdered


@dataclass(frozen=True, slots=True, kw_only=True)
class SendTo:
    """Give `message` to the link to `node`."""

    node: NodeId
    message: KbLinked


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Put `records` on disk, in this order, behind those of all earlier Writes; each Write is
    there whole or not at all. Then `Replica.written(number)`, which may answer several at once."""

    number: int  # counts up from 1
    records: tuple[Record, ...]
    is_urgent: bool  # somebody waits for it; others may wait for the next urgent one


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """The theory has changed; this can't be undone any more."""

    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """The theory is another one: the whole was taken over from another member."""

    clock: Clock
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The end of what was submitted here: it took place and all members know of it, or why not."""

    id: str
    clock: Clock = ORIGIN  # ORIGIN where it was refused
    kind: str = ""  # class of the error, "" where it took place
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BecamePrimary:
    """This node is a member of the primary from now on: changes are taken here."""

    view: ViewId
    epoch: int
    members: tuple[str, ...]
    voices: tuple[str, ...]  # who agreed on it


@dataclass(frozen=True, slots=True, kw_only=True)
class LostPrimary:
    """No changes are taken here until the next BecamePrimary."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """The others go on without this node, as it wished: it may stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """Members of this view belong to another cluster, founded apart: somebody must decide."""

    names: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """This node must stop: it can't keep its word, or its history contradicts the others'."""

    why: str
    is_fork: bool = False  # what is on disk here must be kept: the others have something else


Effect: TypeAlias = (
    Multicast
    | SendTo
    | Write
    | Applied
    | Replaced
    | Decided
    | BecamePrimary
    | LostPrimary
    | Retired
    | Stranger
    | Broken
    | Trace
)
