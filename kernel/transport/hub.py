"""The hub, the shell round the links: a node's sockets, its peers, its door and its heartbeats.

All of it runs in the kernel's loop, in the thread that has the baton, except what `Peer` says is
for any thread. Nothing is decided here: links decide what is sent again, the supervisor who is
dead. Everything that waits is looked at once a turn; a turn sends at most what is queued, as few
frames as the limits allow.
"""

from __future__ import annotations

import asyncio
import operator
from collections.abc import Callable, Sequence
from typing import assert_never

import structlog
import zmq

from zactor.kernel import limits
from zactor.kernel.errors import Buried, NotReachable, RemoteProtocolError, ZactorError
from zactor.kernel.ids import NodeId
from zactor.kernel.link.effects import Deliver, Effect, Transmit
from zactor.kernel.messages.base import WIRE_VERSION, Trace
from zactor.kernel.messages.frames import Heartbeat, Inbound, LinkFrame
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.operations import Answer, Hello, Operation, Problem, Request, Welcome
from zactor.kernel.transport.addresses import parse_address
from zactor.kernel.transport.door import Door
from zactor.kernel.transport.door_call import call_door
from zactor.kernel.transport.door_clients import Client
from zactor.kernel.transport.heartbeats import Heartbeats
from zactor.kernel.transport.keys import ClusterKeys, KeyPair
from zactor.kernel.transport.log_throttle import LogThrottle
from zactor.kernel.transport.memory_pool import MemoryPool
from zactor.kernel.transport.own_address import is_here, near_door, told_to_others
from zactor.kernel.transport.peer import Peer
from zactor.kernel.transport.peer_table import PeerTable
from zactor.kernel.transport.shared_memory import MEMORY_ITEMS
from zactor.kernel.transport.short_way import LongWay, ShortWay
from zactor.kernel.transport.socket_context import Address, SocketContext
from zactor.kernel.wire import results
from zactor.kernel.wire.undecodable import Undecodable

log = structlog.get_logger()


class Hub:
    """The sockets and peers of one incarnation of one node."""

    def __init__(
        self,
        *,
        name: str,
        incarnation: int,
        role: str,
        python: tuple[int, int],
        keys: ClusterKeys,
        node_key: KeyPair,
        user: HubUser,
        coalesce: Callable[[Callable[[], None]], None] = operator.call,
        short: ShortWay | None = None,
    ) -> None:
        """`name` is "" for an unconfigured node, which has a door and no peers.

        Args:
            coalesce: does a call, or puts it off while more to send is about to come. Called by
                any thread. What is put off for too long leaves with the next heartbeat.
            short: of the loop in which it is opened, where actors have one.
        """
        self._coalesce = coalesce
        self._short_or_none = short
        self.me = NodeId(name, incarnation)
        self.role = role
        self.keys = keys
        self.node_key = node_key
        self.user = user
        self.clock = (0, 0)  # told by the supervisor, for Hello and heartbeats
        self._table = PeerTable(name, keys.cluster)
        self.peers = self._table.peers
        self.pool = MemoryPool()
        self.frames_out = 0
        self.strangers = 0  # frames of links from keys that are no peer's
        self.items_refused = 0  # of links: they couldn't be decoded
        self._refused = LogThrottle()
        self._python = python
        self._heard: set[Peer] = set()  # read and not measured yet
        self._cut: frozenset[str] = frozenset()  # names of those we have nothing to do with
        self._turn_due = False
        self._timer_ms = 0  # when `_timer` is due
        self._timer: asyncio.TimerHandle | None = None

    # -- life --------------------------------------------------------------------------------
    def open(self, address: Address) -> str:
        """Bind the sockets in the running loop and return the door's endpoint.

        Raises:
            ConfigError: the address can't be bound; nothing is left open.
        """
        self.loop = asyncio.get_running_loop()
        self._short = self._short_or_none or LongWay(self.loop)
        self._shared = SocketContext()
        self._shared.authenticator.admit(self.keys.door.public, "door")
        try:
            self._bind(address)
        except ZactorError:
            self._shared.close()
            raise
        return self.endpoint

    def _bind(self, address: Address) -> None:
        self.door = Door(
            self._shared,
            address,
            server=self.keys.server,
            take=self._take,
            after=self._after_reading,
            short=self._short,
        )
        self.port = self.door.port
        self.endpoint = told_to_others(address, self.door.endpoint)
        self.near = near_door(self.door.endpoint)
        self.heartbeats = Heartbeats(
            self._shared,
            host=address.host,
            door=self.door.endpoint,
            told=self.endpoint,
            me=self.me.name,
            keys=self.keys,
            node_key=self.node_key,
            on_heartbeat=self.user.on_heartbeat,
            on_back=self._on_back,
        )

    def close(self) -> None:
        """Close every socket and end every thread. Peers are not told: see messages.Leave."""
        if self._timer is not None:
            self._timer.cancel()
        for peer in list(self.peers.values()):
            self._close_sockets(peer)
            peer.dead = "this node stops"
            peer.memory.close()
        self._table.clear()
        self.pool.close()
        self._shared.still()
        self.door.close()
        self.heartbeats.close()
        self._shared.close()

    def hello(self) -> Hello:
        """Return who we are, as other nodes are told."""
        return Hello(
            version=WIRE_VERSION,
            cluster=self.keys.cluster,
            name=self.me.name,
            incarnation=self.me.incarnation,
            role=self.role,
            key=self.node_key.public.decode(),
            endpoint=self.endpoint,
            heartbeats=self.heartbeats.endpoint,
            python=self._python,
            clock=self.clock,
        )

    # -- meeting others ----------------------------------------------------------------------
    async def call_door(
        self, endpoint: str, operation: Operation, timeout_ms: int = limits.HELLO_MS
    ) -> bytes:
        """Ask one thing at another node's door: see door_call.py."""
        return await call_door(self._shared, endpoint, self.keys, operation, timeout_ms)

    async def introduce(self, endpoint: str) -> Welcome:
        """Say Hello at `endpoint`, link with the node there, return who it is and whom it knows.

        Raises:
            Buried: this incarnation counts as dead there.
            NotReachable, Refused, AlreadyExists: as the other side answers.
        """
        welcome = results.read_welcome(await self.call_door(endpoint, self.hello()))
        host, _ = parse_address(endpoint)
        self._check_cut(welcome.hello.name)
        try:
            self._table.check(welcome.hello)
        except Buried as error:  # it is the other that has to come back, and it will learn so
            raise NotReachable(str(error)) from None
        peer = self._meet(welcome.hello)
        peer.is_here = is_here(host) or is_here(parse_address(peer.hello.endpoint)[0])
        self._link_with(peer)
        return welcome

    def _welcome(self, hello: Hello, host: str) -> Welcome:
        self._check_cut(hello.name)
        self._table.check(hello)
        self._table.check_place(hello, host)
        others = tuple(p.hello for p in self.peers.values() if p.hello.name != hello.name)
        known = self.peers.get(hello.name)
        if known is not None and known.up and known.node.incarnation != hello.incarnation:
            known.successor = hello  # whoever knows our token can say so: its key proves it
        else:
            self._meet(hello).is_here = not host or is_here(host)
        return Welcome(hello=self.hello(), others=others)

    def _meet(self, hello: Hello) -> Peer:
        """Admit the key of `hello` and know its node; its link is connected later."""
        known = self.peers.get(hello.name)
        if known is not None:
            if known.node.incarnation == hello.incarnation:
                return known
            self.drop_peer(hello.name, f"{hello.name} was restarted")
        self._shared.authenticator.admit(hello.key.encode(), hello.name)
        user = self.user
        peer = Peer(
            self.me,
            hello,
            wake=self.wake,
            give_up=user.on_late_item,
            tell=user.on_items,
            pool=self.pool,
        )
        peer.met_ms = self.now_ms()
        self._table.add(peer)
        return peer

    def _link_with(self, peer: Peer) -> None:
        """Connect the outgoing side: from now on we know that the other side knows our key."""
        if peer.dealer is not None:
            return
        self._dial(peer)
        self.heartbeats.follow(peer.node.name, peer.hello.heartbeats, peer.hello.endpoint)

    def _dial(self, peer: Peer) -> None:
        peer.dialled_ms = self.now_ms()
        server = self.keys.server.public
        peer.dial(self._shared, self.node_key, server, self._on_monitor, self._read_dealer)

    def _on_back(self, name: str) -> None:
        """Heartbeats come again after a cut: don't wait until TCP tries the link's connection.

        It waits for up to as long as the cut has lasted. The link knows what has to go again.
        """
        peer = self.peers.get(name)
        if peer is None or peer.dealer is None:
            return
        log.debug("link_redialled", peer=str(peer.node))
        self._disconnected(peer)
        peer.lay_aside(self._shared)
        self._dial(peer)

    def cut_off(self, names: frozenset[str]) -> None:
        """Have nothing to do with the nodes called so, as if all cables to them were pulled.

        With those who were cut off and aren't any more, links go on as after a cut of the network.
        """
        healed, self._cut = self._cut - names, names
        for name, peer in list(self.peers.items()):
            if name in names and peer.dealer is not None:
                self.heartbeats.unfollow(name)
                self._disconnected(peer)
                peer.lay_aside(self._shared)
            elif name in healed:
                self._link_with(peer)

    def _check_cut(self, name: str) -> None:
        if name in self._cut:
            raise NotReachable(f"{self.me.name} is cut off from {name}, as it was told")

    def sweep_memory(self) -> None:
        """Give back what is shared with nodes of this machine and was not used for a while."""
        self.pool.sweep()
        for peer in self.peers.values():
            peer.memory.sweep()

    def drop_peer(self, name: str, reason: str) -> None:
        """The node is dead to us: no frame of this incarnation is taken any more."""
        peer = self._table.remove(name)
        if peer is None:
            return
        self._close_sockets(peer)
        self.user.on_peer_dead(peer, peer.end(reason))
        peer.give_up_outbox()

    def _close_sockets(self, peer: Peer) -> None:
        peer.hang_up(self._shared)
        self.heartbeats.unfollow(peer.node.name)

    # -- turns -------------------------------------------------------------------------------
    def now_ms(self) -> int:
        """Return the loop's monotonic time in ms."""
        return int(self.loop.time() * 1000)

    def wake(self) -> None:
        """Ask for a turn; any thread."""
        if not self._turn_due:
            self._coalesce(self._ask_for_turn)

    def _ask_for_turn(self) -> None:
        if not self._turn_due and not self._short.express(self._turn):
            self._turn_due = True
            self.loop.call_soon_threadsafe(self._turn)

    def send(self, peer: Peer, item: object) -> None:
        """Queue one item of the kernel's own; it leaves in this turn of the loop."""
        peer.outbox.append(item)
        if not self._turn_due:
            self._turn_due = True
            self.loop.call_soon(self._turn)

    def send_to(self, name: str, item: object) -> None:
        """The same, to the peer of that name, which must be there."""
        self.send(self.peers[name], item)

    def _turn(self) -> None:
        """Give every link what its port collected, and send what it makes of that."""
        self._turn_due = False
        now = self.now_ms()
        for peer in list(self.peers.values()):
            if not (peer.outbox or peer.handled or peer in self._heard):
                continue
            handled = peer.take_handled()
            if handled:
                self._carry_out(peer, peer.link.consumed(handled, now))
            if peer.outbox:
                self._carry_out(peer, peer.link.submit(peer.take_outbox(), now))
            self._measure(peer)
        self._heard.clear()

    def _tick(self) -> None:
        """Let time pass for the links whose deadline has come."""
        self._timer = None
        now = self.now_ms()
        for peer in list(self.peers.values()):
            self._carry_out(peer, peer.link.tick(now))
            self._measure(peer)

    def _measure(self, peer: Peer) -> None:
        peer.backlog, peer.backlog_bytes, due_ms = peer.link.measure()
        if due_ms is None or (self._timer and self._timer_ms <= due_ms):
            return
        if self._timer:
            self._timer.cancel()
        self._timer_ms = due_ms
        self._timer = self.loop.call_at(due_ms / 1000, self._tick)

    def _carry_out(self, peer: Peer, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Transmit(frame=frame):
                    peer.unsent.append(frame)
                case Deliver(items=items):
                    self._deliver(peer, items)
                case Trace(event=event, fields=fields):
                    log.debug(event, peer=str(peer.node), **fields)
        if peer.unsent:
            self.frames_out += peer.flush()

    def _deliver(self, peer: Peer, items: Sequence[object]) -> None:
        kinds = set(map(type, items))
        if not kinds.isdisjoint(MEMORY_ITEMS):
            items = peer.memory.sift(items)
            kinds = set(map(type, items))
        if Undecodable in kinds:
            items = [self._refuse(peer, i) if type(i) is Undecodable else i for i in items]
            items = [item for item in items if item is not None]
            if peer.items_refused > limits.LINK_REFUSED_MAX:
                why = f"{peer.node.name} sent {peer.items_refused} items that can't be decoded"
                self.loop.call_soon(self._put_out, peer, why)
        self.user.on_items(peer, items)

    def _refuse(self, peer: Peer, item: Undecodable) -> object | None:
        """Do without an item that can't be decoded; return what takes its place, if anything."""
        self.items_refused += 1
        peer.items_refused += 1
        if count := self._refused.add(self.now_ms()):
            sender = str(peer.node)
            log.error("item_refused", peer=sender, item=item.kind, why=item.why, count=count)
        if item.is_credited:
            peer.handled.append(item.weight)
        if item.answer is not None:
            self.send(peer, item.answer)
        return item.instead

    def _put_out(self, peer: Peer, why: str) -> None:
        if not peer.dead:
            log.error("peer_put_out", peer=str(peer.node), why=why)
            self.drop_peer(peer.node.name, why)

    # -- what arrives ------------------------------------------------------------------------
    def _take(self, routing_id: bytes, key: str, inbound: Inbound, host: str) -> None:
        match inbound:
            case Request():
                self._take_request(Client(routing_id), key, inbound, host)
            case Heartbeat():
                self._take_heartbeat(key, inbound)
            case LinkFrame():
                self._take_frame(routing_id, key, inbound)
            case _:
                assert_never(inbound)

    def _take_heartbeat(self, key: str, heartbeat: Heartbeat) -> None:
        peer = self._table.by_key(key)
        if peer is None:
            self.strangers += 1  # its link tells it why
        elif peer.node.name not in self._cut:
            self.heartbeats.take(peer.node.name, heartbeat)

    def _after_reading(self) -> None:
        if not self._heard:
            for peer in self.peers.values():
                if peer.outbox or peer.handled:
                    break
            else:
                return
        self._turn()  # what they made of it goes out in the same turn

    def _take_request(self, client: Client, key: str, request: Request, host: str) -> None:
        if key != self.keys.door.public.decode():
            raise RemoteProtocolError("a request over a link's connection")
        if not isinstance(request.operation, Hello):
            self.user.on_request(client, request)
            return
        try:
            welcome = self._welcome(request.operation, host)
        except ZactorError as error:
            log.info("hello_refused", name=request.operation.name, why=str(error))
            self.answer(client, results.problem(request.number, error))
        else:
            for answer in results.answers(request.number, welcome):
                self.answer(client, answer)

    def _take_frame(self, routing_id: bytes, key: str, frame: LinkFrame) -> None:
        peer = self._table.by_key(key)
        next_ = None if peer is None else peer.successor
        if next_ is not None and frame.source == next_.incarnation:
            peer = self._meet(next_)
            peer.is_here = is_here(parse_address(next_.endpoint)[0])
        if peer is None or frame.source != peer.node.incarnation:
            self.strangers += 1
            dead = self._table.dead_life(key)
            if dead:
                error = Buried(f"{dead} counts as dead at {self.me.name}")
                self.answer(Client(routing_id), results.problem(0, error))
            return
        if peer.node.name in self._cut:
            return  # its link sends it again when we listen
        peer.frames_in += 1
        peer.back = routing_id
        if peer.dealer is None:  # a frame of its link proves that it knows our key
            self._link_with(peer)
        self._announce(peer)
        self._heard.add(peer)  # measured when all that was there is read
        self._carry_out(peer, peer.link.receive(frame, self.now_ms()))

    def _announce(self, peer: Peer) -> None:
        if not peer.up and peer.connected and peer.frames_in and not peer.dead:
            peer.up = True
            self.user.on_peer_up(peer)

    def _on_monitor(self, peer: Peer, event: int) -> None:
        if peer.dead:
            return
        if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            peer.connected = True
            self._carry_out(peer, peer.link.connected(self.now_ms()))
            self._announce(peer)
        else:
            self._disconnected(peer)

    def _disconnected(self, peer: Peer) -> None:
        if not peer.connected:
            return
        peer.connected = False
        peer.unsent.clear()  # the link sends them again once it knows where the peer stands
        self._carry_out(peer, peer.link.disconnected(self.now_ms()))
        self.user.on_disconnected(peer)

    def _read_dealer(self, peer: Peer) -> None:
        """A peer answers on our connection only to say that we are dead to it, or not reached."""
        for outbound in peer.answers():
            if outbound is None:
                self.strangers += 1
            elif isinstance(outbound, Problem) and outbound.kind == Buried.__name__:
                self.user.on_buried(outbound.message)
            elif isinstance(outbound, Problem) and outbound.kind == NotReachable.__name__:
                whom = outbound.fields.get("whom", self.me.name)
                self.user.on_unreached(peer, whom, outbound.message)
        self.frames_out += peer.flush()

    def answer(self, client: Client, outbound: Answer | Problem) -> None:
        """Send a client its answer; a client that went away is no error."""
        self.door.answer(client, outbound)

    def unreached(self) -> list[Peer]:
        """Return the peers whose doors we have tried to reach for LINK_UNREACHED_MS, in vain."""
        since = self.now_ms() - limits.LINK_UNREACHED_MS
        return [
            peer
            for peer in self.peers.values()
            if not peer.up and not peer.connected and peer.dealer and peer.dialled_ms < since
        ]

    def tell_unreached(self, peer: Peer, whom: str, why: str) -> None:
        """Tell a peer that we don't reach `whom`, over its connection to us, if there is one."""
        if peer.back:
            problem = Problem(0, NotReachable.__name__, why, {"whom": whom})
            self.answer(Client(peer.back), problem)

    # -- heartbeats --------------------------------------------------------------------------
    def beat(self, group: GroupHeartbeat) -> None:
        """Publish a heartbeat."""
        linked = tuple(sorted(str(peer.node) for peer in self.peers.values() if peer.up))
        self.heartbeats.beat(Heartbeat(self.clock, linked, self.heartbeats.unheard(), group))

    def keep(self) -> None:
        """Look after what nothing else calls for; every HOUSEKEEPING_MS."""
        self._shared.authenticator.check()
        self._turn()
        self.heartbeats.keep()
        since = self.now_ms() - 2 * limits.HELLO_MS
        for peer in list(self.peers.values()):
            self._measure(peer)  # a link that was just connected has a deadline, and no turn yet
            self._read_dealer(peer)  # what a send swallowed the news of, see `answer`
            if not peer.up and peer.met_ms < since:  # it may say Hello again
                self.drop_peer(peer.node.name, f"{peer.node.name} said Hello and no more")

    def probe(self, peer: Peer) -> None:
        """Ask a peer where its link stands: if we are dead to it, it will say so."""
        if peer.connected and not peer.unsent:  # else what waits does
            self._carry_out(peer, peer.link.connected(self.now_ms()))

    def broken(self) -> set[str]:
        """Return the peers of which a connection is broken at the moment."""
        alive = self.heartbeats.alive
        return {
            name for name, peer in self.peers.items() if not peer.connected or name not in alive
        }

    def counters(self) -> dict[str, int]:
        """Return how many frames went and came since the start, and how many were refused."""
        own = {
            "frames_out": self.frames_out,
            "strangers": self.strangers,
            "items_refused": self.items_refused,
        }
        return {**self.door.counters(), **own}

    def refusals(self) -> dict[str, int]:
        """Return how many keys and handshakes were refused since the start."""
        return {
            "keys_refused": self._shared.authenticator.refused,
            "heartbeats_refused": self.heartbeats.refused,
            **self.door.handshakes.counts(),
        }


class HubUser:
    """What the supervisor does with what arrives; called in the kernel's loop.

    What has peers only does nothing here: a door without peers has nothing to tell.
    """

    def on_request(self, client: Client, request: Request) -> None:
        """A client's request, Hello excepted."""
        raise NotImplementedError

    def on_items(self, peer: Peer, items: Sequence[object]) -> None:
        """Items of a link, in order."""

    def on_peer_up(self, peer: Peer) -> None:
        """Both directions of a link work."""

    def on_peer_dead(self, peer: Peer, lost: Sequence[tuple[object, bool]]) -> None:
        """A peer is dead; `lost` is what it never acknowledged, each with: was it ever sent."""

    def on_disconnected(self, peer: Peer) -> None:
        """The connection to a peer broke: a hint that it may be dead."""

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        """A peer's loop is alive."""

    def on_buried(self, reason: str) -> None:
        """A peer refuses this incarnation: it counts as dead there."""

    def on_unreached(self, peer: Peer, whom: str, why: str) -> None:
        """A peer that we reach doesn't reach `whom`: us, or another."""

    def on_late_item(self, peer: Peer, item: object) -> None:
        """Something was put for a peer that is dead; any thread."""
