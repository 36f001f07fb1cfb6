"""Operations that one node asks of another over their link, and the answers on their way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zactor.kernel import limits
from zactor.kernel.errors import OutcomeUnknown, TimedOut, ZactorError
from zactor.kernel.messages.operations import (
    Answer,
    Operation,
    Problem,
    Request,
    in_pieces,
    is_long,
)
from zactor.kernel.transport.peer import Peer
from zactor.kernel.wire import results
from zactor.kernel.wire.request_table import RequestTable


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    peer: Peer
    future: asyncio.Future[bytes]


class PeerCalls:
    """Pairs requests to peers with their answers. Kernel's loop only."""

    def __init__(self, send: Callable[[Peer, object], None]) -> None:
        """`send` queues one item for a peer."""
        self._send = send
        self._keys = itertools.count(1)  # of long arguments
        self._calls: RequestTable[_Call] = RequestTable(bytes_max=limits.MESSAGE_BYTES_MAX)

    async def ask(self, peer: Peer, operation: Operation, timeout_s: float | None = None) -> Any:
        """Return the result of `operation` at `peer`.

        Raises:
            OutcomeUnknown: the peer died before it answered.
            TimedOut: no answer within `timeout_s`.
            ZactorError: the peer's answer, when it is an error.
        """
        if is_long(operation):
            pieces, operation = in_pieces(operation, f"{next(self._keys)}")
            await asyncio.gather(*(self.ask(peer, piece, timeout_s) for piece in pieces))
        call = _Call(peer, asyncio.get_running_loop().create_future())
        number = self._calls.add(call)
        self._send(peer, Request(number, operation, timeout_s or 0.0))
        if peer.dead:
            self.give_up(peer)
        try:
            async with asyncio.timeout(timeout_s):
                return results.read_result(await call.future)
        except TimeoutError:
            what = type(operation).__name__
            raise TimedOut(
                f"node {peer.node.name} hasn't answered {what} for {timeout_s:g} s"
            ) from None
        finally:
            self._calls.remove(number)

    def take(self, peer: Peer, outbound: Answer | Problem) -> None:
        """An answer came over the link of `peer`."""
        call = self._calls.find(outbound.number)
        if call is None or call.peer is not peer:
            return  # the asker has given up
        outcome = self._calls.take(outbound, peer.node.name)
        if outcome is None or call.future.done():
            return
        if isinstance(outcome.result, ZactorError):
            call.future.set_exception(outcome.result)
        else:
            call.future.set_result(outcome.result)

    def give_up(self, peer: Peer) -> None:
        """End what waits for `peer`."""
        for _, call in self._calls:
            if call.peer is peer and not call.future.done():
                call.future.set_exception(
                    OutcomeUnknown(f"node {peer.node.name} went before it answered: {peer.dead}")
                )
