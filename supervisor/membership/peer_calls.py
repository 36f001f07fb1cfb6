"""Operations that one node asks of another over their link, and the answers on their way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from zactor.kernel import limits
from zactor.kernel.errors import OutcomeUnknown, RemoteProtocolError, TimedOut, from_wire
from zactor.kernel.messages.operations import Answer, Operation, Problem, Request
from zactor.kernel.transport.peer import Peer
from zactor.kernel.wire import results


class PeerCalls:
    """Pairs requests to peers with their answers. Kernel thread only."""

    def __init__(self, send: Callable[[Peer, object], None]) -> None:
        """`send` queues one item for a peer."""
        self._send = send
        self._numbers = itertools.count(1)
        self._waiting: dict[int, tuple[Peer, asyncio.Future[bytes], list[bytes]]] = {}

    async def ask(self, peer: Peer, operation: Operation, timeout_s: float | None = None) -> Any:
        """Return the result of `operation` at `peer`.

        Raises:
            OutcomeUnknown: the peer died before it answered.
            TimedOut: no answer within `timeout_s`.
            ZactorError: the peer's answer, when it is an error.
        """
        number = next(self._numbers)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = (peer, future, [])
        self._send(peer, Request(number, operation, timeout_s or 0.0))
        if peer.gone:
            self.peer_gone(peer)
        try:
            async with asyncio.timeout(timeout_s):
                return results.read_result(await future)
        except TimeoutError:
            what = type(operation).__name__
            raise TimedOut(
                f"node {peer.node.name} hasn't answered {what} for {timeout_s:g} s"
            ) from None
        finally:
            self._waiting.pop(number, None)

    def take(self, peer: Peer, outbound: Answer | Problem) -> None:
        """An answer came over the link of `peer`.

        Raises:
            RemoteProtocolError: it answers more than we take.
        """
        waiting = self._waiting.get(outbound.number)
        if waiting is None or waiting[0] is not peer:
            return  # the asker has given up
        _, future, pages = waiting
        if future.done():
            return
        if isinstance(outbound, Problem):
            future.set_exception(from_wire(outbound.kind, outbound.message, outbound.fields))
            return
        pages.append(outbound.result)
        if sum(map(len, pages)) > limits.MESSAGE_BYTES_MAX:
            future.set_exception(RemoteProtocolError(f"{peer.node.name} answers without end"))
        elif not outbound.more:
            future.set_result(b"".join(pages))

    def peer_gone(self, peer: Peer) -> None:
        """End what waits for `peer`."""
        for waiting_for, future, _ in list(self._waiting.values()):
            if waiting_for is peer and not future.done():
                future.set_exception(
                    OutcomeUnknown(f"node {peer.node.name} went before it answered: {peer.gone}")
                )
