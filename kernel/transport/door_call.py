"""A call at a door: one request of a node to another one, with the cluster's door key."""

from __future__ import annotations

import asyncio
from typing import Any

import zmq

from zactor.kernel import limits
from zactor.kernel.errors import NotReachable, RemoteProtocolError, ZactorError
from zactor.kernel.messages.operations import Operation, Request
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import ClusterKeys
from zactor.kernel.wire import codec
from zactor.kernel.wire.request_table import RequestTable


async def call_door(
    context: zmq.Context[Any],
    endpoint: str,
    keys: ClusterKeys,
    operation: Operation,
    timeout_ms: int,
) -> bytes:
    """Connect to the door at `endpoint`, ask one thing, close; return the encoded result.

    Raises:
        NotReachable: no answer within `timeout_ms`.
        ZactorError: the other side's answer, when it is an error.
    """
    loop = asyncio.get_running_loop()
    socket = sockets.connect_door(context, endpoint, keys.door, keys.server.public)
    answered: asyncio.Future[bytes] = loop.create_future()
    table: RequestTable[asyncio.Future[bytes]] = RequestTable(bytes_max=limits.MESSAGE_BYTES_MAX)

    def read() -> None:
        while not answered.done():
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                outcome = table.take(codec.decode_outbound(parts), endpoint)
            except RemoteProtocolError as error:
                answered.set_exception(error)
                return
            if outcome is None:  # a probe, whether we are there: see door_clients.py
                continue
            if isinstance(outcome.result, ZactorError):
                answered.set_exception(outcome.result)
            else:
                answered.set_result(outcome.result)

    loop.add_reader(socket.fileno(), read)
    try:
        request = Request(table.add(answered), operation, timeout_ms / 1000)
        socket.send_multipart(codec.encode_request(request), zmq.NOBLOCK)
        read()
        async with asyncio.timeout(timeout_ms / 1000):
            return await answered
    except TimeoutError:
        raise NotReachable(
            f"no zactor node of this cluster answers at {endpoint}: is it running, and does it"
            " have this cluster's key (zactor keys join)?"
        ) from None
    finally:
        loop.remove_reader(socket.fileno())
        socket.close(linger=0)
