"""The ROUTER at which everything arrives, and from which clients get their answers.

The rule a reader must not break: the descriptor of a ZeroMQ socket tells only of changes, and any
call on the socket may swallow one. So whoever stops reading early, or sends, looks again by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
import zmq

from zactor.kernel.errors import RemoteProtocolError
from zactor.kernel.protocol.messages import Answer, LinkFrame, Problem, Request
from zactor.kernel.transport import sockets
from zactor.kernel.transport.burst import Burst
from zactor.kernel.transport.ground import Address, Ground
from zactor.kernel.transport.keys import KeyPair
from zactor.kernel.transport.monitor import HandshakeCounter
from zactor.kernel.transport.seam import Client
from zactor.kernel.wire import codec

log = structlog.get_logger()

FRAMES_A_TURN = 64  # frames read before the loop may look at its timers again


class Door:
    """One node's door. Kernel thread only."""

    def __init__(
        self,
        ground: Ground,
        address: Address,
        *,
        server: KeyPair,
        take: Callable[[Client, str, LinkFrame | Request], None],
        after: Callable[[], None],
    ) -> None:
        """Bind in the running loop.

        Args:
            take: called with who sent it, the key it authenticated with, and what came. It may
                raise RemoteProtocolError, which is counted.
            after: called when what was there has been taken.

        Raises:
            ConfigError: the address isn't ours, or taken.
        """
        self.frames_in = 0
        self.frames_refused = 0
        self.answers_dropped = 0
        self.handshakes = HandshakeCounter()
        self._take = take
        self._after = after
        self._refused = Burst()
        self._look_due = False
        self._loop = asyncio.get_running_loop()
        self._socket, self.endpoint = sockets.bind_door(
            ground.context, address.host, address.port, server, address.first
        )
        self.port = int(self.endpoint.rpartition(":")[2])
        ground.monitor.watch(self._socket, self.handshakes.events, self.handshakes)
        self._loop.add_reader(self._socket.fileno(), self._read)

    def close(self) -> None:
        """Close it; the monitor must have been closed before."""
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def answer(self, client: Client, outbound: Answer | Problem) -> None:
        """Send a client its answer; a client that went away is no error."""
        try:
            self._socket.send_multipart(
                [client.routing_id, *codec.encode_outbound(outbound)], zmq.NOBLOCK
            )
        except zmq.ZMQError:
            self.answers_dropped += 1
        self._look_again()

    def _look_again(self) -> None:
        if not self._look_due:
            self._look_due = True
            self._loop.call_soon(self._read)

    def _read(self) -> None:
        self._look_due = False
        if self._socket.closed:
            return
        for _ in range(FRAMES_A_TURN):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            self.frames_in += 1
            try:
                self._take_one(parts)
            except RemoteProtocolError as error:
                self._refuse(error)
        else:
            self._look_again()
        self._after()

    def _take_one(self, parts: list[zmq.Frame]) -> None:
        if len(parts) < 2:
            raise RemoteProtocolError("a frame without a body")
        key = sockets.user_id(parts[1])
        inbound = codec.decode_inbound([part.buffer for part in parts[1:]])
        self._take(Client(parts[0].bytes), key, inbound)

    def _refuse(self, error: RemoteProtocolError) -> None:
        self.frames_refused += 1
        count = self._refused.add(int(self._loop.time() * 1000))
        if count:
            log.warning("frame_refused", why=str(error), count=count)
