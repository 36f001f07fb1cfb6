"""State transfer: a member gets the changes it lacks if they are kept, else a snapshot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import RemoteProtocolError, ZactorError
from zactor.kernel.ids import Clock, NodeId
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.messages.knowledge import Change, Entry, KbBehind, KbPiece, KbStanding
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication.effects import Effect, SendTo
from zactor.kernel.replication.log import Kept, Log

_T = TypeVar("_T")

_ROW_BYTES = 48  # numbers and framing of one fact, change or entry, roughly

_ENCODER = msgspec.msgpack.Encoder()


def is_near(log: Log, standing: KbStanding, *, is_voter: bool) -> bool:
    """Whether who stands so can be brought up to `log` before the primary is formed.

    It lacks little; or it is a voter that must be waited for, and what it lacks is kept.
    """
    if (standing.number, standing.chain) == (log.end, log.end_chain):
        return True
    changes = log.history.after(standing.digest)
    if changes is None or is_voter:
        return changes is not None
    lacking = sum(map(_change_bytes, changes)) + sum(map(_entry_bytes, log.tail))
    return lacking <= limits.KB_QUICK_BYTES


class TransferSource:
    """What one member is sent, piece by piece: the log as it was when the first was asked for."""

    def __init__(self, view: ViewId, log: Log, digest: bytes) -> None:
        """`digest`: of the changes that the taker has applied."""
        self._view = view
        changes = log.history.after(digest)
        self.is_snapshot = changes is None
        self._place = (log.clock, log.digest, log.number, log.chain, log.epoch)
        parts: list[Iterator[KbPiece]]
        if changes is None:
            facts, ids = log.theory.snapshot(), log.history.ids()
            rows = (fact.row() for fact in facts)
            parts = [
                (self._piece(facts=some) for some in _stretches(rows, _fact_bytes)),
                (self._piece(ids=some) for some in _stretches(ids, _id_bytes)),
            ]
        else:
            parts = [(self._piece(changes=some) for some in _stretches(changes, _change_bytes))]
        parts.append(self._piece(entries=some) for some in _stretches(log.tail, _entry_bytes))
        self._rest = (piece for part in parts for piece in part)
        self._ahead = next(self._rest, None)
        self.next_piece = 0

    def take(self) -> KbPiece:
        """Return the next piece; it says whether it is the last."""
        piece = self._ahead if self._ahead is not None else self._piece()
        self._ahead = next(self._rest, None)
        number, self.next_piece = self.next_piece, self.next_piece + 1
        return msgspec.structs.replace(piece, piece=number, last=self._ahead is None)

    def _piece(
        self,
        *,
        changes: tuple[Change, ...] = (),
        facts: tuple[FactRow, ...] = (),
        ids: tuple[tuple[str, int, int], ...] = (),
        entries: tuple[Entry, ...] = (),
    ) -> KbPiece:
        clock, digest, number, chain, epoch = self._place
        return KbPiece(
            view=self._view,
            piece=0,
            last=False,
            is_snapshot=self.is_snapshot,
            changes=changes,
            facts=facts,
            ids=ids,
            entries=entries,
            clock=clock,
            digest=digest,
            number=number,
            chain=chain,
            epoch=epoch,
        )


class TransferTarget:
    """What one member takes from another: pieces in order."""

    def __init__(self, epoch: int) -> None:
        """`epoch` is that of the primary, or attempt, whose history it is."""
        self._epoch_max = epoch + limits.KB_EPOCHS_AHEAD_MAX
        self.next_piece = 0
        self.changes: list[Change] = []
        self.entries: list[Entry] = []  # for behind the rest, when it is there
        self._theory = Theory()
        self._ids: list[tuple[str, int, int]] = []

    def add(self, piece: KbPiece) -> None:
        """Take the next piece.

        Raises:
            RemoteProtocolError: it comes out of turn, holds what is no fact, or is out of reach.
        """
        if piece.piece != self.next_piece:
            raise RemoteProtocolError(
                f"piece {piece.piece} of a history comes out of turn: want {self.next_piece}"
            )
        if (epoch := _highest_epoch(piece)) > self._epoch_max:
            raise RemoteProtocolError(f"epoch {epoch} is out of reach: at most {self._epoch_max}")
        try:
            self._theory.load(piece.facts)
        except ZactorError as error:
            raise RemoteProtocolError(f"a snapshot holds what is no fact: {error}") from error
        self.next_piece += 1
        self.changes += piece.changes
        self._ids += piece.ids
        self.entries += piece.entries

    def snapshot(self, last: KbPiece) -> Kept:
        """Return the whole snapshot; its last piece says where it stands."""
        return Kept(
            theory=self._theory,
            clock=Clock(*last.clock),
            digest=last.digest,
            ids=tuple(self._ids),
            number=last.number,
            chain=last.chain,
            epoch=last.epoch,
        )


def _highest_epoch(piece: KbPiece) -> int:
    return max(
        piece.epoch,
        piece.clock[0],
        *(change.epoch for change in piece.changes),
        *(fact[1] for fact in piece.facts),
        *(id_[1] for id_ in piece.ids),
        *(entry.epoch for entry in piece.entries),
    )


def _stretches(rows: Iterable[_T], size: Callable[[_T], int]) -> Iterator[tuple[_T, ...]]:
    """Cut `rows` into stretches of about KB_PIECE_BYTES; one larger row goes alone."""
    stretch: list[_T] = []
    total = 0
    for row in rows:
        weight = size(row)
        if stretch and total + weight > limits.KB_PIECE_BYTES:
            yield tuple(stretch)
            stretch, total = [], 0
        stretch.append(row)
        total += weight
    if stretch:
        yield tuple(stretch)


def _fact_bytes(row: FactRow) -> int:
    return len(row[0]) + len(row[3]) + len(row[4]) + _ROW_BYTES


def _id_bytes(row: tuple[str, int, int]) -> int:
    return len(row[0]) + _ROW_BYTES


def _change_bytes(change: Change) -> int:
    texts = (*change.retracted, *change.asserted, change.id, change.who, change.why)
    return sum(map(len, texts)) + 4 * len(texts) + _ROW_BYTES


def _entry_bytes(entry: Entry) -> int:
    return len(_ENCODER.encode(entry.transaction)) + _ROW_BYTES


class Whole(NamedTuple):
    """All that was lacking has come."""

    target: TransferTarget
    last: KbPiece


class StateTransfer:
    """Ends with its view; whoever is behind asks anew in the next, from where it is then."""

    def __init__(self, view: ViewId, log: Log, out: list[Effect], way: int) -> None:
        """`log` is this node's; effects go to `out`.

        Args:
            way: tells what is asked for here from what was before, in the same view.
        """
        self._view = view
        self._way = way
        self._log = log
        self._out = out
        self._source: NodeId | None = None
        self._target: TransferTarget | None = None
        self._sources: dict[NodeId, TransferSource] = {}

    def came(self) -> tuple[Change, ...]:
        """Return what has come so far of the changes that we lack, () where all is replaced."""
        return tuple(self._target.changes) if self._target is not None else ()

    def ask(self, source: NodeId, epoch: int) -> None:
        """Have `source` send what we lack of the history of the primary `epoch`, or before it."""
        if self._target is None:
            self._source, self._target = source, TransferTarget(epoch)
            self._want()

    def _want(self) -> None:
        assert self._target is not None, "something is on its way"
        assert self._source is not None, "from somebody"
        number, log = self._target.next_piece, self._log
        message = KbBehind(self._view, number, log.clock, log.digest, self._way)
        self._out.append(SendTo(node=self._source, message=message))

    def serve(self, sender: NodeId, message: KbBehind) -> None:
        """`sender` wants a piece of what it lacks."""
        if message.piece == 0:
            self._sources[sender] = TransferSource(self._view, self._log, message.digest)
        source = self._sources.get(sender)
        if source is None or source.next_piece != message.piece:
            return  # of a way that was given up
        piece = msgspec.structs.replace(source.take(), way=message.way)
        if piece.last:
            del self._sources[sender]
        self._out.append(SendTo(node=sender, message=piece))

    def take(self, sender: NodeId, piece: KbPiece) -> Whole | None:
        """A piece came; the last one completes the whole.

        Raises:
            RemoteProtocolError: it doesn't fit.
        """
        target = self._target
        if target is None or sender != self._source or piece.way != self._way:
            return None
        target.add(piece)
        if not piece.last:
            self._want()
            return None
        self._target = None
        return Whole(target, piece)
