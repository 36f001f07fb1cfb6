"""Finding the other nodes: through run/ on this machine, through addresses across machines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from zlib import crc32

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import (
    AlreadyExists,
    Buried,
    NotReachable,
    Refused,
    Unconfigured,
    ZactorError,
)
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.transport.addresses import numbers_of, parse_address, plain
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.own_address import is_here
from zactor.supervisor.kb.knowledge_base import NO_PRIMARY_S, KnowledgeBase
from zactor.supervisor.membership.run_directory import RunEntry, near, process_start, read_entries
from zactor.supervisor.membership.unreached import Unreached

log = structlog.get_logger()

JOIN_RETRY_S = 1.0
LINK_POLL_S = 0.005
JOIN_S = 2.5  # for whom we were to join to answer, if they are just starting
LINK_S = 20.0  # for a link with them once they did: much, for busy machines
JOIN_POLL_S = 0.1
UNMET_S = 0.5  # how often it is looked whether a peer knows somebody that we don't


class Discovery:
    """Keeps this node acquainted with every other of its cluster. Kernel's loop only."""

    def __init__(
        self,
        hub: Hub,
        *,
        home: Path,
        join: tuple[str, ...],
        told: tuple[str, ...],
        kb: KnowledgeBase,
        unreached: Unreached,
        all_in: Callable[[], bool],
        on_ready: Callable[[], None],
        on_buried: Callable[[str], None],
    ) -> None:
        """Search in `home`, and at the endpoints `join` and `told`.

        Args:
            join: of these one at least must be met, or this node doesn't begin; see `run`.
            told: who named this node, and whom that one knows.
            unreached: hears of whom we don't reach, and knows what others say.
            all_in: whether everybody who was met is a member.
            on_ready: the first search is over, and `kb` knows it.
            on_buried: this incarnation counts as dead somewhere, and why.
        """
        self._hub = hub
        self._home = home
        self._join = join
        self._told = told
        self._is_first = False  # we are among those whom we were to join
        self._kb = kb
        self._all_in = all_in
        self._on_ready = on_ready
        self._on_buried = on_buried
        self.begun = asyncio.Event()  # somebody whom we were to join is met, or nobody was to be
        self.joined = asyncio.Event()  # everybody who was there at the start is met
        self._here: set[str] = set()  # endpoints of the nodes whose entries were read last, …
        self._ran: dict[NodeId, RunEntry] = {}  # entries of peers, read while they were met and ran
        self._changed_ns = 0  # … when run/ had been changed at this time of the disk's clock
        self._read_again = 0.0  # loop time from which the entries are read in any case
        self._refused: dict[str, float] = {}  # endpoint -> loop time from which to ask again
        self._errors: dict[str, ZactorError] = {}  # endpoint -> how the last try there ended
        self._names: dict[str, str] = {}  # endpoint -> who was met there
        self._unreached = unreached
        self._looked: dict[str, float] = {}  # peer -> loop time of the last look at whom it knows
        self._knowing: set[str] = set()  # peers that knew somebody unmet when last looked at
        self._doorway = asyncio.Semaphore(limits.MEETINGS_MAX)
        self._to_ask: set[str] = set()  # their endpoints, if they knew somebody before that too

    async def run(self) -> None:
        """Meet everybody, say that discovery is over, then go on searching for newcomers.

        Raises:
            NotReachable, Refused: nobody whom this node was to join is met, or somebody there
                isn't reached; and it has no cluster.
        """
        began = asyncio.get_running_loop().time()
        await self._leave_us_out()
        await self._search()
        await self._link(began)
        await self._join_somebody(began)
        self.begun.set()
        self._kb.ready()
        self._on_ready()
        await self._kb.until(lambda: self._kb.is_settled or None, NO_PRIMARY_S)
        self.joined.set()
        while True:
            await asyncio.sleep(limits.DISCOVERY_MS / 1000)
            await self._search()

    def tell(self, addresses: tuple[str, ...]) -> None:
        """Meet those at these addresses (HOST:PORT), in the place of whom we were told before."""
        self._told = tuple(f"tcp://{address}" for address in addresses)

    async def _link(self, began: float) -> None:
        """Wait until everybody who was met is a member: alone we would lead ourselves."""
        loop = asyncio.get_running_loop()
        until = loop.time() + limits.HELLO_MS / 1000
        while loop.time() < until:
            left_out = self._left_out()
            if self._all_in() or (left_out and loop.time() >= began + left_out[1]):
                return
            await asyncio.sleep(LINK_POLL_S)

    async def _join_somebody(self, began: float) -> None:
        """Try for JOIN_S to join whom we were to join, and all that are with them; then, without a
        cluster, it is an error.

        To begin alone instead would found a cluster of one, in silence, which never mixes with the
        one that was meant. Who has a cluster already waits: its nodes may come up in any order.
        """
        loop = asyncio.get_running_loop()
        while (left_out := self._left_out()) is not None:
            error, patience_s = left_out
            if loop.time() >= began + patience_s:
                if not self._kb.is_founded:
                    raise error
                log.warning("nobody_joined", why=str(error))
                return
            await asyncio.sleep(JOIN_POLL_S)
            await self._search()

    def _left_out(self) -> tuple[ZactorError, float] | None:
        """Return why none of those whom we were to join is a peer, None if one is.

        And for how long, in s since the start, it may become better by itself.
        """
        join = self._join
        if self._is_first:
            return None
        if not join:
            refusals = [error for error in self._errors.values() if isinstance(error, Refused)]
            is_alone = not self._hub.peers and refusals
            return _with_patience(refusals[0]) if is_alone else None
        names = sorted({self._names.get(there, "") for there in join})
        if any(self._is_up(name) for name in names):
            return self._kept_out()
        errors = [self._errors[there] for there in join if there in self._errors]
        errors.sort(key=lambda error: not isinstance(error, Refused))
        if reasons := list(filter(None, map(self._unreached.why_not, names))):
            return NotReachable(reasons[0]), 0.0
        if errors:
            return _with_patience(errors[0])
        there = plain(join[0])
        why = f"{there} answered, but no link with it came about in {LINK_S:g} s"
        return NotReachable(why), LINK_S

    def _kept_out(self) -> tuple[ZactorError, float] | None:
        """Return why we are no member though we are linked with who should take us in."""
        why = "" if self._all_in() else self._unreached.why_not(self._hub.me.name)
        return (NotReachable(why), JOIN_S) if why else None

    def _is_up(self, name: str) -> bool:
        peer = self._hub.peers.get(name)
        return peer is not None and peer.up

    async def _leave_us_out(self) -> None:
        """Don't join ourselves. Where all nodes are told the same list, one of it is the first."""
        ours = await asyncio.to_thread(
            lambda: {there for there in self._join if self._is_self(there)}
        )
        self._join = tuple(there for there in self._join if there not in ours)
        self._is_first = bool(ours)

    def _is_self(self, endpoint: str) -> bool:
        host, port = parse_address(endpoint)
        with contextlib.suppress(OSError):  # then it is no address of ours
            host = numbers_of(host)
        return port == self._hub.port and (endpoint == self._hub.endpoint or is_here(host))

    async def _search(self) -> None:
        now = asyncio.get_running_loop().time()
        endpoints = {
            endpoint
            for endpoint in (*self._running_here(), *self._join, *self._told)
            if self._refused.get(endpoint, 0.0) <= now
        }
        met = {peer.hello.endpoint for peer in self._hub.peers.values()}
        # What we were told to join may be a name, or a mapped port: the node there says another.
        met |= {there for there, name in self._names.items() if name in self._hub.peers}
        knowing, self._to_ask = self._to_ask, set()
        await self._meet_all(dict.fromkeys(endpoints - met - knowing, ""))
        await asyncio.gather(*(self.try_meet(there, again=True) for there in sorted(knowing)))

    def hear(self, heartbeat: Heartbeat) -> None:
        """Ask a peer again whom it knows, if it is linked with somebody whom we haven't met.

        Welcome tells a newcomer of those who are there. Who was asked learns nothing of whom the
        newcomer knows: where a node with a cluster declares one with peers of its own, say.
        """
        name = heartbeat.group.sender.name
        now, peer = asyncio.get_running_loop().time(), self._hub.peers.get(name)
        if peer is None or now - self._looked.get(name, 0.0) < UNMET_S:
            return
        self._looked[name] = now
        met = {str(self._hub.me), *(str(other.node) for other in self._hub.peers.values())}
        if met.issuperset(heartbeat.linked):
            self._knowing.discard(name)
        elif name not in self._knowing:
            self._knowing.add(name)  # they may be about to meet us
        else:
            self._to_ask.add(peer.hello.endpoint)

    def _running_here(self) -> list[str]:
        """Return where nodes of this home run that we haven't met.

        The entries are read only if one may have come, or belongs to nobody whom we know: the
        folder's time tells, but not of two changes at one tick of it, so now and then they are
        read all the same.
        """
        met = {peer.hello.endpoint for peer in self._hub.peers.values()} | {self._hub.endpoint}
        now = asyncio.get_running_loop().time()
        try:
            changed_ns = (self._home / "run").stat().st_mtime_ns
            if changed_ns == self._changed_ns and met >= self._here and now < self._read_again:
                return []
            entries = read_entries(self._home)
        except OSError as error:  # no file descriptor left, say: the next search may do better
            log.warning("run_folder_unreadable", why=str(error))
            return []
        self._changed_ns, self._read_again = changed_ns, now + limits.DISCOVERY_MS_MAX / 1000
        self._here = {entry.endpoint for entry in entries if entry.name}
        lives = {peer.node: peer.hello.endpoint for peer in self._hub.peers.values()}
        self._ran = {node: entry for node, entry in self._ran.items() if node in lives}
        here = {(entry.name, entry.endpoint): entry for entry in entries}
        for node, endpoint in lives.items():
            if entry := here.get((node.name, endpoint)):
                self._ran[node] = entry
        return [near(entry) for entry in entries if entry.name and entry.endpoint not in met]

    def has_ended(self, node: NodeId) -> bool:
        """Whether that life, which ran on this machine, runs no more: its process is another's.

        Its port tells that too, unless somebody has it already. Nothing is proved of a life whose
        own entry was never read while it ran.
        """
        entry = self._ran.get(node)
        try:
            return entry is not None and process_start(entry.pid) != entry.started
        except OSError:  # no descriptor is left to look
            return False

    async def meet(self, endpoint: str, is_needed: Callable[[], bool] = lambda: True) -> None:
        """Introduce this node at a door, if it `is_needed` by then, and at those the node there
        knows.

        MEETINGS_MAX at a time: twenty nodes that all meet at once keep two processors so busy
        that their handshakes take longer than HANDSHAKE_MS, are cut off and begun again, for ever.

        Raises:
            NotReachable, Refused: as the node there answers.
        """
        async with self._doorway:
            if not is_needed():
                return
            welcome = await self._hub.introduce(endpoint)
            self._names[endpoint] = welcome.hello.name
            if self._doorway.locked():
                await self._linked(welcome.hello.name)
        await self._meet_all({hello.endpoint: hello.name for hello in welcome.others})

    async def _meet_all(self, there: Mapping[str, str]) -> None:
        """Meet those that aren't met by the time it is their turn; by endpoint their name or ""."""
        # All nodes that start together would else knock at the same doors in the same order.
        order = sorted(there, key=lambda endpoint: crc32(f"{self._hub.me} {endpoint}".encode()))
        await asyncio.gather(*(self.try_meet(endpoint, there[endpoint]) for endpoint in order))

    async def _linked(self, name: str) -> None:
        """Wait a little for the connections that follow a Welcome."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.HANDSHAKE_MS / 1000):
                while not self._is_up(name):  # noqa: ASYNC110 - a link tells many, not one
                    await asyncio.sleep(LINK_POLL_S)

    def _is_met(self, endpoint: str, name: str) -> bool:
        if name:
            return name in self._hub.peers
        return any(peer.hello.endpoint == endpoint for peer in self._hub.peers.values())

    async def try_meet(self, endpoint: str, name: str = "", again: bool = False) -> None:
        """Introduce this node at `endpoint`; a refusal is logged once and tried again later.

        Args:
            name: who is there, as the node says that told us of it; "" where nobody did.
            again: also if that node is met.
        """
        try:
            await self.meet(endpoint, lambda: again or not self._is_met(endpoint, name))
        except NotReachable as error:
            self._errors[endpoint] = error
            if name and name not in self._hub.peers:
                self._unreached.found(name, f": {error}")
            self._wait(endpoint)
        except Buried as error:
            self._on_buried(str(error))
        except ZactorError as error:
            self._errors[endpoint] = error
            if endpoint not in self._refused:
                log.warning("hello_refused", endpoint=endpoint, why=str(error))
            self._wait(endpoint)
        else:
            self._refused.pop(endpoint, None)
            self._errors.pop(endpoint, None)

    def _wait(self, endpoint: str) -> None:
        self._refused[endpoint] = asyncio.get_running_loop().time() + JOIN_RETRY_S


def is_final(error: ZactorError) -> bool:
    """Whether nothing changes by itself: another key, an address that others don't reach.

    A name that is taken is free once the others have noticed how the last life of it ended.
    """
    if isinstance(error, AlreadyExists | Unconfigured):
        return False
    return isinstance(error, Refused)


def _with_patience(error: ZactorError) -> tuple[ZactorError, float]:
    return error, 0.0 if is_final(error) else JOIN_S
