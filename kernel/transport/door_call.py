"""One request of a node at another node's door, with the cluster's door key."""

from __future__ import annotations

import asyncio
from typing import Any

import zmq

from zactor.kernel.errors import NotReachable, RemoteProtocolError
from zactor.kernel.messages.operations import Answer, Operation, Problem, Request
from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import ClusterKeys
from zactor.kernel.wire import codec, results

_NUMBER = 1  # of the request: there is one


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
    answered: asyncio.Future[Answer | Problem] = loop.create_future()

    def read() -> None:
        while not answered.done():
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                outbound = codec.decode_outbound(parts)
            except RemoteProtocolError as error:
                answered.set_exception(error)
                return
            if outbound.number == _NUMBER:  # else it looks whether we are there, see clients.py
                answered.set_result(outbound)

    loop.add_reader(socket.fileno(), read)
    try:
        request = Request(_NUMBER, operation, timeout_ms / 1000)
        socket.send_multipart(codec.encode_request(request), zmq.NOBLOCK)
        read()
        async with asyncio.timeout(timeout_ms / 1000):
            outbound = await answered
    except TimeoutError:
        raise NotReachable(
            f"no zactor node of this cluster answers at {endpoint}: is it running, and does it"
            " have this cluster's key (zactor keys join)?"
        ) from None
    finally:
        loop.remove_reader(socket.fileno())
        socket.close(linger=0)
    if isinstance(outbound, Problem):
        results.raise_problem(outbound)
    assert isinstance(outbound, Answer)
    return outbound.result
