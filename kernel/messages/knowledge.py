"""Messages of the knowledge base: payloads of group messages, and items of links. Not credited."""

from __future__ import annotations

import enum
from typing import NamedTuple

from zactor.kernel.messages.base import Message
from zactor.kernel.messages.views import ViewId


class Transaction(Message, frozen=True, tag=20):
    """What somebody wants changed: all of it or nothing. Terms are Prolog text."""

    id: str  # unique in the cluster: a second submission of the same id changes nothing
    who: str
    why: str
    require: tuple[tuple[str, str, str], ...]  # (goal, class of error, words); see Theory.prepare
    retract: tuple[str, ...]  # patterns: every matching fact goes; no match is no error
    assert_: tuple[str, ...]  # ground facts; may use variables bound by `require`


class Change(Message, frozen=True, tag=21):
    """A transaction that took place: what exactly went and came, at its place in the history."""

    epoch: int
    index: int
    id: str
    who: str
    why: str
    at: float  # wall clock of the leader in s since 1970, for people only
    retracted: tuple[str, ...]  # ground facts
    asserted: tuple[str, ...]  # ground facts
    digest: bytes  # of the whole history up to here
    number: int = 0  # of its entry in the log, from 1; those that were refused count too
    chain: bytes = b""  # digest of all entries up to that one


class Primary(NamedTuple):
    """A primary of the knowledge base: formed, or attempted only."""

    epoch: int  # above that of every attempt before; the first part of its changes' clocks
    members: tuple[str, ...]  # names in order: they have the whole history and count for majorities
    decider: str  # exactly half of the members decides with it: the first that hosts actors
    founding: str  # of the cluster


class Entry(NamedTuple):
    """A transaction at its place in the log; whether it is refused shows when it is applied."""

    epoch: int
    at: float  # wall clock of the submitter in s since 1970, for people only
    transaction: Transaction


class KbStanding(Message, frozen=True, tag=32):
    """Member to all in a new view (AGREED): where I stand. No change is ordered meanwhile."""

    view: ViewId
    role: str  # "node" | "master"
    formed: Primary | None  # the last it knows to have been formed
    attempts: tuple[Primary, ...]  # later ones that may have been formed
    epoch: int  # the log is complete up to its end for this epoch
    number: int  # of the last entry of the log, those not applied yet included
    chain: bytes  # digest of all entries up to it
    clock: tuple[int, int]  # of the last change that was applied
    digest: bytes  # of all changes up to it
    used: int = 0  # the highest number of an attempt that it ever recorded
    applied: int = 0  # number of the last entry that was applied, or refused …
    applied_chain: bytes = b""  # … and the digest of all entries up to that one
    founding: str = ""  # whose history it has taken over, with a vote or not
    forgotten: tuple[tuple[str, int], ...] = ()  # who has no vote up to which number
    has_room: bool = True  # its disk takes what it must write


class KbAttempt(Message, frozen=True, tag=33):
    """Proposer to all (AGREED): let us be the primary, as soon as all `voices` have it on disk."""

    primary: Primary
    voices: tuple[str, ...]  # its members, and who else must know of it
    number: int  # what the members must have: the log up to here …
    chain: bytes  # … with this digest …
    log_epoch: int  # … which ranks as of this epoch, wherever it is


class KbAttempted(Message, frozen=True, tag=34):
    """A voice to all (SAFE): the attempt is on my disk, and if I am a member the log before it."""

    epoch: int


class KbSubmission(Message, frozen=True, tag=35):
    """Member to all (SAFE): order this transaction."""

    transaction: Transaction
    at: float


class KbDurable(Message, frozen=True, tag=36, gc=False):
    """Member to all (FIFO): my log is on disk up to here; beside it, what I have applied."""

    epoch: int  # of the primary in which this was said
    number: int
    clock: tuple[int, int]
    digest: bytes


class NoteKind(enum.Enum):
    """What a KbNote says."""

    READY = "ready"  # I have the whole history on disk: let me be a member (AGREED)
    LEAVING = "leaving"  # I stop in good order: let the others be the primary without me (AGREED)
    FORKED = "forked"  # the history of `id` is another than mine (AGREED)
    RECOVER = "recover"  # an operator: go on without a quorum, under the founding `id` (AGREED)
    FORGET = "forget"  # an operator: the member `id` is gone for good (AGREED)
    CRAMPED = "cramped"  # my disk has no room: go on without me, don't wait for it (SAFE)
    ROOMY = "roomy"  # it has room again, and all that I had to write (SAFE)
    READ = "read"  # nothing: who sees it delivered has seen all that was decided before (SAFE)


class KbNote(Message, frozen=True, tag=37):
    """A member says something about itself to all."""

    kind: NoteKind
    id: str  # of a READ; with FORKED and FORGET a name, with RECOVER a founding; "" with the others
    # Of an operator's word: the view that he was told of, in which alone it counts, and his wall
    # clock in s since 1970, for people only.
    view: ViewId | None = None
    at: float = 0.0


class KbBehind(Message, frozen=True, tag=38):
    """Link: give me piece `piece` of what I lack; with piece 0 the way begins anew."""

    view: ViewId
    piece: int
    clock: tuple[int, int]
    digest: bytes  # of the changes that I have applied
    way: int = 0  # number of the way, in this view; its pieces bear it


class KbPiece(Message, frozen=True, tag=39):
    """Link: a piece of the log, or of a snapshot of the whole; then what isn't applied yet."""

    view: ViewId
    piece: int  # from 0
    last: bool
    is_snapshot: bool
    changes: tuple[Change, ...]  # that follow
    facts: tuple[tuple[str, int, int, str, str, float], ...]  # fact, epoch, index, who, why, at
    ids: tuple[tuple[str, int, int], ...]  # transactions that took place: id, epoch, index
    entries: tuple[Entry, ...]  # ordered, not applied
    # Where the history stands after this piece, before its entries; in a snapshot after the last.
    clock: tuple[int, int]
    digest: bytes
    number: int
    chain: bytes
    epoch: int  # as in KbStanding
    way: int = 0  # as in KbBehind


KbOrdered = KbStanding | KbAttempt | KbAttempted | KbSubmission | KbDurable | KbNote

"""What travels through the group engine, to the group of the knowledge base."""


KbLinked = KbBehind | KbPiece

"""What travels over the link between two nodes."""
