"""How a member brings another up: the changes it lacks if they are kept, else a snapshot.

The taker asks for one piece at a time, so nobody's loop or link is held up, and the work goes on
meanwhile. Nothing counts before the last piece: what the taker has on disk may be all that is left
of a change that was decided, so it is replaced in one write by what holds it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from zactor.kernel import config
from zactor.kernel.errors import RemoteProtocolError, ZactorError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.log import Kept, Log
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.protocol.messages import Change, Entry, KbPiece, KbStanding
from zactor.kernel.protocol.view import ViewId

_T = TypeVar("_T")
_ROW_BYTES = 48  # numbers and framing of one fact, change or entry, roughly
_ENCODER = msgspec.msgpack.Encoder()


def is_near(log: Log, standing: KbStanding, *, is_voter: bool) -> bool:
    """Whether who stands so can be brought up to `log` before the primary is formed.

    Who was in the last primary lacks only what its disk hadn't got, so it is waited for as long as
    that is kept; a newcomer only if it lacks little.
    """
    if (standing.number, standing.chain) == (log.end, log.end_chain):
        return True
    changes = log.history.after(standing.digest)
    if changes is None or is_voter:
        return changes is not None
    lacking = sum(map(_change_bytes, changes)) + sum(map(_entry_bytes, log.tail))
    return lacking <= config.KB_QUICK_BYTES


class Passage:
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


class Intake:
    """What one member takes from another: pieces in order."""

    def __init__(self) -> None:
        self.next_piece = 0
        self.changes: list[Change] = []
        self.entries: list[Entry] = []  # for behind the rest, when it is there
        self._theory = Theory()
        self._ids: list[tuple[str, int, int]] = []

    def add(self, piece: KbPiece) -> None:
        """Take the next piece.

        Raises:
            RemoteProtocolError: it comes out of turn, or holds what is no fact.
        """
        if piece.piece != self.next_piece:
            raise RemoteProtocolError(
                f"piece {piece.piece} of a history comes out of turn: want {self.next_piece}"
            )
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


def _stretches(rows: Iterable[_T], size: Callable[[_T], int]) -> Iterator[tuple[_T, ...]]:
    """Cut `rows` into stretches of about KB_PIECE_BYTES; one larger row goes alone."""
    stretch: list[_T] = []
    total = 0
    for row in rows:
        weight = size(row)
        if stretch and total + weight > config.KB_PIECE_BYTES:
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
