"""One node's copy of the theory with its history: how it grows, and how it brings up another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import msgspec

from zactor.kernel import config
from zactor.kernel.errors import RemoteProtocolError, ZactorError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.effects import Applied, Replaced
from zactor.kernel.knowledge.history import History, Saved, next_digest
from zactor.kernel.knowledge.terms import Compound, text_of
from zactor.kernel.knowledge.theory import FactRow, Theory
from zactor.kernel.protocol.messages import Change, KbLog, KbSnapshot, KbState, Transaction

_T = TypeVar("_T")
_LED_KEPT = 16  # leaderships
_ROW_BYTES = 48  # numbers and framing of one fact or change, roughly


class Copy:
    """A theory and the history that led to it; both change together or not at all."""

    def __init__(self, saved: Saved) -> None:
        """Begin with what was saved."""
        self.theory = saved.theory
        self.history = History(saved)
        self.led: tuple[str, ...] = ()
        """The last leaderships in which another member had this history too, in this life."""
        self.beside: set[str] = set()
        """The live members who were in the last of them."""
        self._pieces: _Pieces | None = None

    @property
    def clock(self) -> Clock:
        """The place of the last change."""
        return self.history.clock

    @property
    def digest(self) -> bytes:
        """Of the whole history."""
        return self.history.digest

    @property
    def root(self) -> str:
        """The founding that this history goes back to, "" where there is none."""
        founded = self.theory.facts("founded", 1)
        term = founded[0].term if founded else None
        return text_of(term.args[0]) if isinstance(term, Compound) else ""

    def state(self, epoch: int, *, obeys: bool) -> KbState:
        """Return the answer to a poll: `epoch` is the highest one promised."""
        beside = tuple(sorted(self.beside))
        return KbState(epoch, obeys, self.clock, self.digest, self.root, self.led, beside)

    def came_through(self, led: Iterable[str]) -> None:
        """Another member had this history too, in the leaderships `led`."""
        new = [one for one in led if one not in self.led]
        if new:
            self.led = (*self.led, *new)[-_LED_KEPT:]

    def order(self, transaction: Transaction, epoch: int, at: float) -> Applied:
        """Let `transaction` take place as the next change of `epoch`.

        Raises:
            ZactorError: it can't; the class and words are its outcome. Nothing changed.
        """
        prepared = self.theory.prepare(transaction)
        assert epoch >= self.clock.epoch, (epoch, self.clock)
        index = self.clock.index + 1 if epoch == self.clock.epoch else 1
        bare = Change(
            epoch=epoch,
            index=index,
            id=transaction.id,
            who=transaction.who,
            why=transaction.why,
            at=float(at),
            retracted=prepared.retracted,
            asserted=prepared.asserted,
            digest=b"",
        )
        change = msgspec.structs.replace(bare, digest=next_digest(self.digest, bare))
        self.theory.apply(change)
        self.history.append(change)
        return Applied(change=change)

    def follow(self, change: Change) -> Applied:
        """Apply what another has ordered.

        Raises:
            RemoteProtocolError: it doesn't follow what is here. Nothing changed.
        """
        clock = Clock(change.epoch, change.index)
        if clock <= self.clock or next_digest(self.digest, change) != change.digest:
            raise RemoteProtocolError(f"the change at {clock} doesn't follow {self.clock}")
        try:
            self.theory.apply(change)
        except ZactorError as error:
            raise RemoteProtocolError(str(error)) from error
        self.history.append(change)
        return Applied(change=change)

    def bring_up(self, digest: bytes) -> Iterator[KbLog | KbSnapshot]:
        """Yield what a member whose history is `digest` lacks: the log if it is kept, else all."""
        changes = self.history.after(digest)
        if changes is not None:
            for stretch in _stretches(changes, _change_bytes):
                yield KbLog(stretch)
            return
        facts = list(_stretches(self.theory.rows(), _fact_bytes))
        ids = list(_stretches(self.history.ids(), lambda row: len(row[0]) + _ROW_BYTES))
        pieces = [(stretch, ()) for stretch in facts] + [((), stretch) for stretch in ids]
        for number, (some_facts, some_ids) in enumerate(pieces or [((), ())]):
            yield KbSnapshot(
                clock=self.clock,
                digest=self.digest,
                piece=number,
                last=number >= len(pieces) - 1,
                facts=some_facts,
                ids=some_ids,
            )

    def take(self, sender: str, piece: KbSnapshot) -> Replaced | None:
        """Take one piece of a snapshot; with the last one it replaces what is here.

        Raises:
            RemoteProtocolError: the pieces don't fit, or one is no theory; all are dropped.
        """
        if piece.piece == 0:
            self._pieces = _Pieces(sender, piece)
        pieces, self._pieces = self._pieces, None
        if pieces is None or not pieces.fits(sender, piece):
            raise RemoteProtocolError(f"piece {piece.piece} of a snapshot comes out of turn")
        try:
            pieces.add(piece)
        except ZactorError as error:
            raise RemoteProtocolError(f"a snapshot holds what is no fact: {error}") from error
        if not piece.last:
            self._pieces = pieces
            return None
        saved = Saved(
            theory=pieces.theory,
            clock=Clock(*piece.clock),
            digest=piece.digest,
            ids=tuple(pieces.ids),
        )
        self.theory = saved.theory
        self.history = History(saved)
        self.led, self.beside = (), set()  # they were of the other history
        return Replaced(
            facts=saved.theory.snapshot(), clock=saved.clock, digest=saved.digest, ids=saved.ids
        )

    def forget_pieces(self, sender: str) -> None:
        """No more pieces will come from `sender`."""
        if self._pieces is not None and self._pieces.sender == sender:
            self._pieces = None


class _Pieces:
    """A snapshot on its way: parsed piece by piece, so that no turn of the loop is long."""

    def __init__(self, sender: str, first: KbSnapshot) -> None:
        self.sender = sender
        self.theory = Theory()
        self.ids: list[tuple[str, int, int]] = []
        self._place = (first.clock, first.digest)
        self._next = 0

    def fits(self, sender: str, piece: KbSnapshot) -> bool:
        return (sender, piece.piece, (piece.clock, piece.digest)) == (
            self.sender,
            self._next,
            self._place,
        )

    def add(self, piece: KbSnapshot) -> None:
        self.theory.load(piece.facts)
        self.ids.extend(piece.ids)
        self._next += 1


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


def _change_bytes(change: Change) -> int:
    texts = (*change.retracted, *change.asserted, change.id, change.who, change.why)
    return sum(map(len, texts)) + 4 * len(texts) + _ROW_BYTES
