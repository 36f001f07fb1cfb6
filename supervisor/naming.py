"""declareNode: give the unconfigured node at an address its name, or meet one that has it (A1)."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

from zactor.kernel import config
from zactor.kernel.errors import AlreadyExists, NotReachable, Refused, TimedOut, Unconfigured
from zactor.kernel.ids import check_name
from zactor.kernel.protocol.messages import Configure
from zactor.kernel.transport.sockets import endpoint, parse_address
from zactor.supervisor import theoryview
from zactor.supervisor.theoryview import NodeRow

if TYPE_CHECKING:
    from zactor.supervisor.node import Node

CONFIGURE_TIMEOUT_S = 10.0
APPEAR_S = 1.5  # for a process that starts, and for the announcements of one that waits
LOOK_AGAIN_S = 0.02


async def declare_node(node: Node, name: str, address: str) -> dict[str, str]:
    """Return {"name", "address"} of the node called `name` once it is in the knowledge base.

    Raises:
        AlreadyExists: the name is taken by a node elsewhere.
        NotReachable: there is no node at `address`.
        Refused: the node there has another name.
    """
    check_name("node", name)
    host, port = parse_address(address)
    await _check_host(host)
    there = await _appeared(node, name, host, port)
    if isinstance(there, NodeRow):
        if _is_at(there.address, host, port):
            return {"name": name, "address": there.address}
        raise AlreadyExists(f"a node {name} exists already, at {there.address}")
    if there is not None:
        await _configure(node, name, there)
    else:
        await _meet(node, name, endpoint(host, port or config.NODE_PORT))
    found = await node.ledger.until(
        lambda: theoryview.nodes(node.ledger.theory).get(name), CONFIGURE_TIMEOUT_S
    )
    if found is None:
        raise TimedOut(f"{name} was named, but has not joined for {CONFIGURE_TIMEOUT_S:g} s")
    _check_place(found, host, port)
    return {"name": name, "address": found.address}


async def _check_host(host: str) -> None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError as error:
        raise NotReachable(f"there is no host {host!r}: {error.strerror or error}") from None


async def _appeared(node: Node, name: str, host: str, port: int | None) -> NodeRow | str | None:
    """Return the node of that name, or the door of an unconfigured one at that address.

    Either may just be starting, so both have a moment to appear; None: neither did.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + APPEAR_S
    while True:
        row = theoryview.nodes(node.ledger.theory).get(name)
        if row is not None:
            return row
        for there in node.doorman.waiting_endpoints():
            if _is_at(_address(there), host, port):
                return there
        if loop.time() > until:
            return None
        await asyncio.sleep(LOOK_AGAIN_S)


async def _configure(node: Node, name: str, there: str) -> None:
    join = (node.hub.endpoint, *(peer.hello.endpoint for peer in node.hub.peers.values()))
    await node.hub.call_door(there, Configure(name, join))


async def _meet(node: Node, name: str, there: str) -> None:
    """Nobody has announced itself from there: ask there."""
    if there == node.hub.endpoint:
        raise Refused(f"{_address(there)} is this node, {node.me.name}; {name} is to be another")
    try:
        await node.meet(there)
    except NotReachable:
        raise NotReachable(
            f"no node waits for a name at {_address(there)}: start one there with"
            " `zactor node`, and give that machine the key (zactor keys token, zactor keys join)"
        ) from None
    except Unconfigured:
        await _configure(node, name, there)
        return
    met = [peer for peer in node.hub.peers.values() if peer.hello.endpoint == there]
    if met and met[0].node.name != name:
        raise Refused(f"the node at {_address(there)} is {met[0].node.name}, not {name}")


def _check_place(row: NodeRow, host: str, port: int | None) -> None:
    if not _is_at(row.address, host, port):
        raise AlreadyExists(f"a node {row.name} came up elsewhere, at {row.address}")


def _address(there: str) -> str:
    return there.removeprefix("tcp://")


def _is_at(address: str, host: str, port: int | None) -> bool:
    there_host, there_port = parse_address(address)
    if port is not None and there_port != port:
        return False
    return there_host == host or bool(_numbers(there_host) & _numbers(host))


def _numbers(host: str) -> set[str]:
    try:
        return {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return {host}
