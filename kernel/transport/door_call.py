"""A call at a door: one request of a node to another one, with the cluster's door key."""

from __future__ import annotations

import asyncio
import contextlib

import zmq

from zactor.kernel import limits
from zactor.kernel.errors import NotReachable, RemoteProtocolError, ZactorError
from zactor.kernel.messages.operations import Operation, Request
from zactor.kernel.transport import addresses, sockets
from zactor.kernel.transport.keys import ClusterKeys
from zactor.kernel.transport.socket_context import SocketContext
from zactor.kernel.wire import codec
from zactor.kernel.wire.request_table import RequestTable

NO_NODE = "what listens there is no node of this cluster, or is stopped"
"""What seems to be wrong where there is a connection, and no answer."""

_CUT_OFF = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)
_WATCHED = (
    zmq.EVENT_CONNECTED | _CUT_OFF | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)
_LOOK_S = limits.PROCESS_CHECK_MS / 1000  # of the time is for finding out why there's no answer
_KNOCK_S = limits.HANDSHAKE_MS / 1000 * 0.8  # who is cut off sooner has another key


async def call_door(
    shared: SocketContext,
    endpoint: str,
    keys: ClusterKeys,
    operation: Operation,
    timeout_ms: int,
) -> bytes:
    """Connect to the door at `endpoint`, ask one thing, close; return the encoded result.

    Raises:
        NotReachable: no answer within `timeout_ms`; says what was found there instead.
        Refused: who answers there has another key.
        ZactorError: the other side's answer, when it is an error.
    """
    there = await _resolved(endpoint)
    call = _Call(endpoint)
    socket = sockets.door_socket(shared.context, keys.door, keys.server.public)
    loop = asyncio.get_running_loop()
    shared.monitor.watch(
        socket,
        _WATCHED,
        lambda event, _value, _there: loop.call_soon_threadsafe(
            call.on_connection, event, loop.time()
        ),
    )
    loop.add_reader(socket.fileno(), call.read, socket)
    try:
        sockets.connect_to(socket, there)
        request = Request(call.table.add(call.answered), operation, timeout_ms / 1000)
        socket.send_multipart(codec.encode_request(request), zmq.NOBLOCK)
        call.read(socket)
        return await call.outcome(there, timeout_ms / 1000)
    finally:
        loop.remove_reader(socket.fileno())
        shared.monitor.unwatch(socket)
        socket.close(linger=0)


class _Call:
    """How one call fares."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.table: RequestTable[asyncio.Future[bytes]] = RequestTable(
            bytes_max=limits.MESSAGE_BYTES_MAX
        )
        self._is_open = False  # the handshake is through: it has our key
        self._cuts = 0  # handshakes that were cut off at once
        self._begun: float | None = None  # loop time since which a handshake goes on

    def on_connection(self, event: int, at_s: float) -> None:
        """The monitor tells of the connection, and when that was."""
        if event == zmq.EVENT_CONNECTED:
            self._begun = at_s
        elif event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._is_open = True
        elif not self._is_open:
            # Who is stopped or stuck is silent; who has another key cuts us off at once, always.
            # One end may be told twice, as a handshake that failed and as a connection that broke.
            begun, self._begun = self._begun, None
            self._cuts += begun is not None and at_s - begun < _KNOCK_S
            is_foreign = event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            if is_foreign or self._cuts >= limits.CLIENT_KNOCKS_MAX:
                self._fail(addresses.foreign(self._endpoint))

    def read(self, socket: sockets.Socket) -> None:
        """Read what came."""
        while not self.answered.done():
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                outcome = self.table.take(codec.decode_outbound(parts), self._endpoint)
            except RemoteProtocolError as error:
                self._fail(error)
                return
            if outcome is None:  # a probe, whether we are there: see door_clients.py
                continue
            if isinstance(outcome.result, ZactorError):
                self._fail(outcome.result)
            else:
                self.answered.set_result(outcome.result)

    async def outcome(self, there: str, timeout_s: float) -> bytes:
        """Return the answer, or raise what became of it."""
        await asyncio.wait([self.answered], timeout=max(0.0, timeout_s - _LOOK_S))
        looking = None
        if not self.answered.done():
            looking = asyncio.ensure_future(self._why_not(there))
            await asyncio.wait([self.answered], timeout=min(_LOOK_S, timeout_s))
        try:
            if self.answered.done() or looking is None:
                return self.answered.result()
            raise NotReachable(await looking)
        finally:
            if looking is not None:
                looking.cancel()

    def _fail(self, error: ZactorError) -> None:
        if not self.answered.done():
            self.answered.set_exception(error)

    async def _why_not(self, there: str) -> str:
        """Return why there was no answer, and what to do."""
        if self._is_open:
            return f"the node at {addresses.plain(self._endpoint)} doesn't answer: is it stuck?"
        return f"no node answers at {addresses.plain(self._endpoint)}: {await why_unreached(there)}"


async def why_unreached(endpoint: str) -> str:
    """Try a TCP connection to `endpoint`; return what seems to be wrong there, and what to do."""
    host, port = addresses.parse_address(endpoint)
    try:
        async with asyncio.timeout(limits.PROCESS_CHECK_MS / 1000):
            _, writer = await asyncio.open_connection(host, port)
    except ConnectionRefusedError:
        if addresses.is_loopback(host):
            return "nothing listens there"
        return (
            "nothing listens there; a node that was started there without --bind listens on"
            " 127.0.0.1 only: start it with --bind ADDRESS"
        )
    except TimeoutError:
        return (
            "the host is silent: it is off, there is no way to it, or a firewall drops what is"
            f" sent to port {port}: open it there"
        )
    except OSError as error:
        return f"{error.strerror or error}"
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return NO_NODE


async def _resolved(endpoint: str) -> str:
    """Return the endpoint in numbers: IPv4 if the host has such an address, else IPv6.

    Raises:
        NotReachable: there is no such host.
    """
    host, port = addresses.parse_address(endpoint)
    if port is None or addresses.is_numeric(host):
        return endpoint
    try:
        numbers = await asyncio.to_thread(addresses.numbers_of, host)
    except OSError as error:
        raise NotReachable(f"there is no host {host!r}: {error.strerror or error}") from None
    return addresses.endpoint(numbers, port)
