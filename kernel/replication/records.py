"""Records of a replica on disk: each is whole there or not at all.

Order is everything: whoever finds a record on disk finds all earlier ones too. So `PutPrimary` says
that the log before it is there as well, and a vote can be counted by what a disk holds.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Fact
from zactor.kernel.messages.knowledge import Change, Entry, Primary
from zactor.kernel.replication.log import TransactionIds


class PutEntries(msgspec.Struct, frozen=True):
    """These were ordered, behind all that is there; they aren't applied yet."""

    entries: tuple[Entry, ...]


class PutApplied(msgspec.Struct, frozen=True):
    """The theory stands at `number` of the log now; entries up to there are done with.

    `changes` are what the entries that weren't refused did, each following the one before.
    """

    changes: tuple[Change, ...]
    number: int
    chain: bytes
    epoch: int  # the log is complete for it


class CutTail(msgspec.Struct, frozen=True):
    """All entries that aren't applied are void: others were ordered in their place."""


class PutSnapshot(msgspec.Struct, frozen=True):
    """Theory, history and log are others now; nothing of the old ones stays."""

    facts: tuple[Fact, ...]
    ids: TransactionIds
    clock: Clock
    digest: bytes
    number: int
    chain: bytes
    epoch: int


class PutFounding(msgspec.Struct, frozen=True):
    """The log is, or begins as, that of this cluster: this node belongs to no other."""

    founding: str


class PutAttempt(msgspec.Struct, frozen=True):
    """This primary may have been formed, from now on."""

    primary: Primary
    epoch: int  # the log is complete for it


class DropAttempt(msgspec.Struct, frozen=True):
    """The attempt of this epoch certainly failed."""

    epoch: int


class PutForgotten(msgspec.Struct, frozen=True):
    """An operator's word: these have no vote in what has a number up to the one beside them."""

    forgotten: tuple[tuple[str, int], ...]


class PutPrimary(msgspec.Struct, frozen=True):
    """This primary was formed; all attempts up to it are settled, and who was forgotten in them."""

    primary: Primary
    is_complete: bool  # the log is complete for its epoch: this node is one of its members


Record: TypeAlias = (
    PutEntries
    | PutApplied
    | CutTail
    | PutSnapshot
    | PutFounding
    | PutAttempt
    | DropAttempt
    | PutForgotten
    | PutPrimary
)
