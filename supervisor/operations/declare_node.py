"""declareNode: give the unconfigured node at an address its name, or meet one that has it."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists, NotReachable, Refused, Unconfigured
from zactor.kernel.ids import check_name
from zactor.kernel.messages.operations import Configure
from zactor.kernel.transport.addresses import endpoint, parse_address
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.own_address import is_here
from zactor.kernel.transport.peer_table import is_local, local_only
from zactor.supervisor.kb import facts
from zactor.supervisor.kb.facts import NodeRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership.discovery import Discovery
from zactor.supervisor.membership.unreached import Unreached
from zactor.supervisor.membership.waiting_nodes import WaitingNodes

APPEAR_S = 1.5  # for a process that starts, and for the announcements of one that waits
APPEAR_POLL_S = 0.02
LINKED_S = 4.0  # in which it is known who doesn't reach whom; then the knowledge base is waited for


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What one node knows of others, and how it reaches them."""

    hub: Hub
    kb: KnowledgeBase
    waiting: WaitingNodes
    discovery: Discovery
    unreached: Unreached


class DeclareNodeCall:
    """One declareNode: what its steps do that isn't in the knowledge base."""

    def __init__(self, around: Surroundings, name: str, address: str) -> None:
        """Raise ConfigError where `name` can't name a node, or `address` is none."""
        self._around = around
        self._name = check_name("node", name)
        self._host, self._port = parse_address(address)
        self._there: NodeRow | str | None = None  # what was found: see `_appeared`
        self._is_near = False  # it is this machine's address
        self._is_named = False  # by us: it is the one, also where it lost its port meanwhile

    async def find(self) -> None:
        """Find what there is of that name and at that address.

        Raises:
            AlreadyExists: the name is taken by a node elsewhere.
            NotReachable: there is no such host, or no node at that address of another machine.
            Refused: the node there has another key, or another name, or couldn't reach us all.
        """
        numbers = await _numbers_of(self._host)
        self._is_near = any(map(is_here, numbers))
        knock = None if self._is_near else asyncio.ensure_future(self._knock())
        try:
            self._there = await _appeared(self._around, self._name, self._host, self._port, knock)
        finally:
            if knock is not None:
                knock.cancel()
                await asyncio.gather(knock, return_exceptions=True)
        if isinstance(self._there, NodeRow) and not self._is_here(self._there):
            raise AlreadyExists(f"a node {self._name} exists already, at {self._there.address}")

    async def name(self) -> None:
        """Give what was found its name, or meet who has it.

        Raises:
            NotReachable: there is no node at that address.
            Refused: the node there has another name.
        """
        if isinstance(self._there, str):
            self._check_ways()
            await _configure(self._around, self._name, self._there)
            self._is_named = True
        elif self._there is None and self._is_near:
            self._is_named = await _meet(self._around, self._name, self._endpoint)
        await self._linked()

    @property
    def _endpoint(self) -> str:
        return endpoint(self._host, self._port or limits.NODE_PORT)

    async def _knock(self) -> str | None:
        """Meet who is at that address of another machine, or return where one has no name yet."""
        self._check_ways()
        try:
            await self._around.discovery.meet(self._endpoint)
        except Unconfigured:
            return self._endpoint
        _check_name(self._around.hub, self._name, self._endpoint)
        return None

    def _check_ways(self) -> None:
        """Raise Refused where a node on another machine couldn't reach all of us."""
        if self._is_near:
            return
        hub = self._around.hub
        hellos = [hub.hello(), *(peer.hello for peer in hub.peers.values() if peer.up)]
        names = sorted(hello.name for hello in hellos if is_local(hello))
        if names:
            raise Refused(local_only(names, self._name))

    async def _linked(self) -> None:
        """Wait a little for a link with it.

        Raises:
            NotReachable: one of us two doesn't reach the other; says why.
            Refused: it belongs to another cluster, which has the same key.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + LINKED_S
        while loop.time() < until and self._name not in facts.nodes(self._around.kb.theory):
            if why := self.why_not():
                raise NotReachable(why)
            if self._name in self._around.kb.strangers:
                raise Refused(" ".join(self._around.kb.apart()))
            await asyncio.sleep(APPEAR_POLL_S)

    def why_not(self) -> str:
        """Return who doesn't reach whom, if that is why it isn't there; "" if nothing is known."""
        return self._around.unreached.why_not(self._name)

    def result(self, row: object) -> dict[str, str]:
        """Return {"name", "address"} of the node that is in the knowledge base now.

        A node opens its door anew when it is named, and takes the next free port where another
        process got in between.

        Raises:
            AlreadyExists: one of that name came up elsewhere.
        """
        assert isinstance(row, NodeRow), row
        port = None if self._is_named else self._port
        if not _is_at(row.address, self._host, port):
            raise AlreadyExists(f"a node {row.name} came up elsewhere, at {row.address}")
        return {"name": row.name, "address": row.address}

    def _is_here(self, row: NodeRow) -> bool:
        return _is_at(row.address, self._host, self._port)


async def _numbers_of(host: str) -> set[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
        return {str(info[4][0]) for info in found}
    except OSError as error:
        raise NotReachable(f"there is no host {host!r}: {error.strerror or error}") from None


async def _appeared(
    around: Surroundings,
    name: str,
    host: str,
    port: int | None,
    knock: asyncio.Future[str | None] | None,
) -> NodeRow | str | None:
    """Return the node of that name, or the door of an unconfigured one at that address.

    Either may just be starting, so both have a moment to appear; None: neither did, or `knock`,
    which knocks at that address meanwhile, met a node there.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + APPEAR_S
    while True:
        row = facts.nodes(around.kb.theory).get(name)
        if row is not None:
            return row
        for there in around.waiting.endpoints():
            if _is_at(_address(there), host, port):
                return there
        is_late = loop.time() > until
        if knock is None and is_late:
            return None
        if knock is not None and knock.done() and (is_late or knock.exception() is None):
            return knock.result()
        await asyncio.sleep(APPEAR_POLL_S)


async def _configure(around: Surroundings, name: str, there: str) -> None:
    hub = around.hub
    join = (hub.endpoint, *(peer.hello.endpoint for peer in hub.peers.values()))
    await hub.call_door(there, Configure(name, join))


async def _meet(around: Surroundings, name: str, there: str) -> bool:
    """Nobody has announced itself from there: ask there. Returns whether it got its name now."""
    hub = around.hub
    if there == hub.endpoint:
        raise Refused(f"{_address(there)} is this node, {hub.me.name}; {name} is to be another")
    try:
        await around.discovery.meet(there)
    except NotReachable:
        raise NotReachable(
            f"no node waits for a name at {_address(there)}: start one there with"
            " `zactor node`, and give that machine the key (zactor keys token, zactor keys join)"
        ) from None
    except Unconfigured:
        await _configure(around, name, there)
        return True
    _check_name(hub, name, there)
    return False


def _check_name(hub: Hub, name: str, there: str) -> None:
    met = [peer for peer in hub.peers.values() if peer.hello.endpoint == there]
    if met and met[0].node.name != name:
        raise Refused(f"the node at {_address(there)} is {met[0].node.name}, not {name}")


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
