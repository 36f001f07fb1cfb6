"""One view's transfers at one node: what it takes from the proposer, what it gives as one."""

from __future__ import annotations

from typing import NamedTuple

from zactor.kernel.ids import NodeId
from zactor.kernel.knowledge.effects import Effect, SendTo
from zactor.kernel.knowledge.log import Log
from zactor.kernel.knowledge.transfer import Intake, Passage
from zactor.kernel.protocol.messages import KbBehind, KbPiece
from zactor.kernel.protocol.view import ViewId


class Whole(NamedTuple):
    """All that was lacking has come."""

    intake: Intake
    last: KbPiece


class Upbringing:
    """Ends with its view; whoever was being brought up begins anew in the next."""

    def __init__(self, view: ViewId, log: Log, out: list[Effect]) -> None:
        """`log` is this node's; effects go to `out`."""
        self._view = view
        self._log = log
        self._out = out
        self._source: NodeId | None = None
        self._intake: Intake | None = None
        self._passages: dict[NodeId, Passage] = {}

    def ask(self, source: NodeId) -> None:
        """Have `source` send what we lack."""
        if self._intake is None:
            self._source, self._intake = source, Intake()
            self._want()

    def _want(self) -> None:
        assert self._intake is not None, "something is on its way"
        assert self._source is not None, "from somebody"
        number, log = self._intake.next_piece, self._log
        message = KbBehind(self._view, number, log.clock, log.digest)
        self._out.append(SendTo(node=self._source, message=message))

    def serve(self, sender: NodeId, message: KbBehind) -> None:
        """`sender` wants a piece of what it lacks."""
        if message.piece == 0:
            self._passages[sender] = Passage(self._view, self._log, message.digest)
        passage = self._passages.get(sender)
        if passage is None or passage.next_piece != message.piece:
            return  # of a way that was given up
        piece = passage.take()
        if piece.last:
            del self._passages[sender]
        self._out.append(SendTo(node=sender, message=piece))

    def take(self, sender: NodeId, piece: KbPiece) -> Whole | None:
        """A piece came; the last one completes the whole.

        Raises:
            RemoteProtocolError: it doesn't fit.
        """
        intake = self._intake
        if intake is None or sender != self._source:
            return None
        intake.add(piece)
        if not piece.last:
            self._want()
            return None
        self._intake = None
        return Whole(intake, piece)
