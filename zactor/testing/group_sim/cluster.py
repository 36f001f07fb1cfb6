"""A cluster of group engines in one thread on virtual time: reusable, deterministic.

    cluster = Cluster(random.Random(7), Faults())
    cluster.start("n1"); cluster.start("n2")
    cluster.run_ms(2_000)
    cluster.lines                       the event log so far

Same seed, same calls, same log, on every Python and under every PYTHONHASHSEED.
"""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable

import msgspec

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.settings import Settings
from zactor.kernel.groups.trace import lines_of
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import EngineMessage, GroupHeartbeat, GroupPacket
from zactor.kernel.messages.service import Service
from zactor.testing.group_sim.faults import Faults
from zactor.testing.group_sim.history import Line
from zactor.testing.group_sim.network import Network

_GRAIN_MS = 0.2  # a Tick that is due already comes so much later
_PAUSED_MS = 50.0  # how often a paused process is looked at again
_LINK_SILENCE_MS = 600.0  # ZMTP's heartbeats need so long to notice a cut
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(EngineMessage | GroupHeartbeat)


Asked = events.Join | events.Leave | events.Submit | events.SessionClosed
"""What an open session asks for."""


def _over_the_wire(message: EngineMessage | GroupHeartbeat) -> EngineMessage | GroupHeartbeat:
    decoded: EngineMessage | GroupHeartbeat = _DECODER.decode(_ENCODER.encode(message))
    return decoded


class SimNode:
    """One simulated process."""

    __slots__ = (
        "asleep",
        "born_ms",
        "engine",
        "held",
        "id",
        "inbox",
        "is_linked",
        "paused",
        "rate",
        "reading",
        "reads_per_s",
        "unread",
        "wake_ms",
    )

    def __init__(self, id: NodeId, engine: Engine, rate: float, born_ms: float) -> None:
        self.id = id
        self.engine = engine
        self.rate = rate  # of its clock
        self.born_ms = born_ms
        self.paused = False
        self.is_linked = True  # its connections live; also while its loop hangs
        self.inbox: list[events.Event] = []  # while it is paused
        self.wake_ms: float | None = None  # a Tick is scheduled
        self.reads_per_s: float = 0.0  # of its sessions; 0: at once
        self.held: dict[str, deque[Asked]] = {}  # session -> what waits for a reader
        self.asleep: set[str] = set()  # sessions that read nothing
        self.unread: dict[str, deque[int]] = {}  # session -> bytes of each message
        self.reading: set[str] = set()  # sessions that will; "": those that do so at once


class Cluster:
    """Nodes, network, clock and log."""

    def __init__(
        self, chance: random.Random, faults: Faults, settings: Settings | None = None
    ) -> None:
        """Args: `settings` of every node."""
        self.now_ms = 0.0
        self.lines: list[Line] = []
        self.nodes: dict[str, SimNode] = {}
        self.incarnations: dict[str, int] = {}
        self.settings = settings if settings is not None else Settings()
        self.chance = chance
        self.watch: Callable[[Engine], None] = lambda engine: None  # told of each that begins
        self.pass_on: Callable[[SimNode, Asked], None] = self.step  # what isn't held any more
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self.network = Network(chance, faults, self.after, self._arrive, self._arrive_cast)

    # -- time --------------------------------------------------------------------------------
    def after(self, ms: float, call: Callable[[], None]) -> None:
        """Schedule a call."""
        self._scheduled += 1
        heapq.heappush(self._queue, (self.now_ms + ms, self._scheduled, call))

    def run_ms(self, ms: float) -> None:
        """Let so much time go by."""
        end = self.now_ms + ms
        while self._queue and self._queue[0][0] <= end:
            self.now_ms, _, call = heapq.heappop(self._queue)
            self.network.now_ms = self.now_ms
            call()
        self.now_ms = self.network.now_ms = end

    def local_ms(self, node: SimNode) -> int:
        """What the node's own clock shows."""
        return int((self.now_ms - node.born_ms) * node.rate) + 1_000

    # -- nodes -------------------------------------------------------------------------------
    @property
    def live(self) -> list[str]:
        """Names of the processes that run, paused ones too."""
        return sorted(self.nodes)

    def start(self, name: str) -> SimNode:
        """Start a process, with the next incarnation of its name."""
        self.incarnations[name] = self.incarnations.get(name, 0) + 1
        id = NodeId(name, self.incarnations[name])
        spread = self.network.faults.clock_rates
        rate = 1.0 + self.chance.uniform(-spread, spread)
        engine = Engine(id, 1_000, self.settings)
        self.watch(engine)
        node = SimNode(id, engine, rate, self.now_ms)
        self.nodes[name] = node
        self.log(node, {"k": "up"})
        self._carry(node, node.engine.first_effects())
        for other in self.live:
            if other != name and not self._is_separated(name, other):
                self.step(node, events.LinkUp(self.nodes[other].id))
                self.step(self.nodes[other], events.LinkUp(id))
        self.step(node, events.Tick())
        return node

    def crash(self, name: str, refused: bool) -> None:
        """End a process without a word; with `refused` its host says so to all who can ask."""
        node = self.nodes.pop(name)
        self.log(node, {"k": "down"})
        self.network.forget(node.id)
        for other in self.live:
            if refused and not self._is_separated(name, other):
                self._tell(self.nodes[other].id, 3.0, events.ProcessGone(node.id))
            else:
                self._tell(self.nodes[other].id, _LINK_SILENCE_MS, events.LinkDown(node.id))

    def stop(self, name: str) -> None:
        """End a process in good order."""
        node = self.nodes[name]
        if node.paused:
            self.resume(name)
        self.step(node, events.Stop())
        del self.nodes[name]
        self.log(node, {"k": "down"})

    def pause(self, name: str) -> None:
        """SIGSTOP: it does nothing, what comes waits."""
        node = self.nodes[name]
        node.paused = True
        node.is_linked = False
        self._links_of(name, False)

    def hang(self, name: str) -> None:
        """An action holds the interpreter: the loop does nothing, connections live."""
        self.nodes[name].paused = True

    def resume(self, name: str) -> None:
        """SIGCONT, or the end of what held the loop."""
        node = self.nodes[name]
        node.paused = False
        node.is_linked = True
        inbox, node.inbox = node.inbox, []
        for event in inbox:
            self.step(node, event)
        self._links_of(name, True)
        self._schedule(node, 0.0)

    def cut(self, source: str, target: str) -> None:
        """Nothing of `source` reaches `target` from now on."""
        self.network.cut(source, target)
        self._link_changes(source, target)

    def heal(self, source: str, target: str) -> None:
        """Take one cut back."""
        self.network.heal(source, target)
        self._link_changes(source, target)

    def heal_all(self) -> None:
        """Take all cuts back."""
        self.network.heal_all()
        for name in self.live:
            self._links_of(name, True)

    def _is_separated(self, one: str, other: str) -> bool:
        # TCP needs both ways: a link cut one way is down at both ends.
        return self.network.is_cut(one, other) or self.network.is_cut(other, one)

    def _links_of(self, name: str, up: bool) -> None:
        for other in self.live:
            if other != name and (not up or not self._is_separated(name, other)):
                self._link_changes(name, other)

    def _link_changes(self, one: str, other: str) -> None:
        """Both ends notice what their connection is like, after ZMTP's time if it is broken."""

        def notice() -> None:
            pair = [self.nodes.get(one), self.nodes.get(other)]
            if pair[0] is None or pair[1] is None:
                return
            are_linked = pair[0].is_linked and pair[1].is_linked
            up = are_linked and not self._is_separated(one, other)
            for here, there in ((pair[0], pair[1]), (pair[1], pair[0])):
                if not here.paused:
                    kind = events.LinkUp if up else events.LinkDown
                    self.step(here, kind(there.id))

        self.after(_LINK_SILENCE_MS if self._is_separated(one, other) else 20.0, notice)

    def _tell(self, node: NodeId, ms: float, event: events.Event) -> None:
        def tell() -> None:
            found = self.nodes.get(node.name)
            if found is not None and found.id == node:
                self.hand_in(found, event)

        self.after(ms, tell)

    # -- events and effects ------------------------------------------------------------------
    def log(self, node: SimNode, line: Line) -> None:
        """Write a line of the event log."""
        self.lines.append({"t": int(self.now_ms * 1e6), "p": str(node.id), **line})

    def hand_in(self, node: SimNode, event: events.Event) -> None:
        """An event comes to a process, which may be paused."""
        if node.paused:
            node.inbox.append(event)
        else:
            self.step(node, event)

    def step(self, node: SimNode, event: events.Event) -> None:
        """One step of one engine. Raises what the engine raises."""
        if isinstance(event, events.SessionOpened):
            node.unread[event.session] = deque()
        elif isinstance(event, events.SessionClosed):
            node.unread.pop(event.session, None)
        effects = node.engine.step(event, self.local_ms(node))
        self._carry(node, effects)
        due_ms = (node.engine.deadline_ms - self.local_ms(node)) / node.rate
        self._schedule(node, max(due_ms, _GRAIN_MS))

    def submit(self, node: SimNode, event: events.Submit) -> None:
        """Queue a message for the node's next step, as a shell does. Raises: as step."""
        node.engine.submit(event)
        self._schedule(node, _GRAIN_MS)

    def ask(self, node: SimNode, event: Asked) -> None:
        """A session asks: held behind what it asked before, or for a reader, as shells do (O8b)."""
        if event.session in node.held:
            node.held[event.session].append(event)
        elif self._must_wait(node, event):
            node.held[event.session] = deque([event])
        else:
            self.pass_on(node, event)

    @staticmethod
    def _must_wait(node: SimNode, event: Asked) -> bool:
        if not isinstance(event, events.Submit) or event.service is Service.UNRELIABLE:
            return False
        return node.engine.multicast.is_full(event.groups)

    def _let_go(self, node: SimNode) -> None:
        """Some group may be full no more."""
        if self.nodes.get(node.id.name) is not node:
            return
        if node.paused:
            self.after(_PAUSED_MS, lambda: self._let_go(node))
            return
        for session in sorted(node.held):
            waiting = node.held[session]
            while waiting and not self._must_wait(node, waiting[0]):
                self.pass_on(node, waiting.popleft())
            if not waiting:
                del node.held[session]

    def _schedule(self, node: SimNode, ms: float) -> None:
        wake_ms = self.now_ms + ms
        if node.wake_ms is not None and node.wake_ms <= wake_ms:
            return
        node.wake_ms = wake_ms

        def wake() -> None:
            if node.wake_ms != wake_ms or self.nodes.get(node.id.name) is not node:
                return
            node.wake_ms = None
            if not node.paused:
                self.step(node, events.Tick())

        self.after(ms, wake)

    def _carry(self, node: SimNode, effects: list[out.Effect]) -> None:
        for effect in effects:
            for line in lines_of(effect):
                self.log(node, line)
            if isinstance(effect, out.Send):
                self._send(node, effect)
            elif isinstance(effect, out.SendUnreliably):
                for peer in effect.to:
                    self.network.cast(node.id, peer, effect.message)
            elif isinstance(effect, out.Publish):
                heartbeat = _over_the_wire(effect.heartbeat)
                for name in self.live:
                    if name != node.id.name:
                        self.network.cast(node.id, self.nodes[name].id, heartbeat)
            elif isinstance(effect, out.Deliver):
                for item, sessions in zip(effect.packet.items, effect.sessions, strict=True):
                    for session in sessions:
                        self._read(node, session, item.count, len(item.payload))
            elif isinstance(effect, out.CreditGiven) and node.held:
                self.after(0.0, lambda: self._let_go(node))

    def _send(self, node: SimNode, effect: out.Send) -> None:
        message = _over_the_wire(effect.message)
        if not isinstance(message, GroupPacket):
            kind, number = type(message).__name__, str(getattr(message, "ballot", ""))
            to = [str(peer) for peer in effect.to]
            self.log(node, {"k": "message", "message": kind, "ballot": number, "to": to})
        for peer in effect.to:
            self.network.send(node.id, peer, message)

    def _read(self, node: SimNode, session: str, count: int, size: int) -> None:
        """A session gets through its messages one by one: at once, at its node's pace, or never."""
        if session in node.unread:
            node.unread[session].extend([*[0] * (count - 1), size])  # as Session counts bytes
            self._read_soon(node, session)

    def wake_up(self, node: SimNode, session: str) -> None:
        """A session that read nothing reads from now on."""
        node.asleep.discard(session)
        self._read_soon(node, session)

    def _read_soon(self, node: SimNode, session: str) -> None:
        key = session if node.reads_per_s else ""
        if session in node.asleep or key in node.reading:
            return
        node.reading.add(key)

        def read() -> None:
            node.reading.discard(key)
            if self.nodes.get(node.id.name) is not node:
                return
            if key and node.reads_per_s:
                taken = self._take(node, key, 1)
                if node.unread.get(key):
                    self._read_soon(node, key)
            else:
                taken = tuple(
                    took
                    for name in node.unread
                    if name not in node.asleep
                    for took in self._take(node, name, len(node.unread[name]))
                )
            if taken:
                self.hand_in(node, events.Consumed(taken))

        self.after(1_000 / node.reads_per_s if node.reads_per_s else 0.0, read)

    @staticmethod
    def _take(node: SimNode, session: str, count: int) -> tuple[tuple[str, int, int], ...]:
        unread = node.unread.get(session)
        if not unread or session in node.asleep:
            return ()
        return ((session, count, sum(unread.popleft() for _ in range(count))),)

    def _arrive(self, source: NodeId, target: NodeId, message: object) -> None:
        node = self.nodes.get(target.name)
        if node is None or node.id != target:
            return
        self.hand_in(node, events.Received(source, message))  # type: ignore[arg-type] # own frames
        if not node.paused and self.chance.random() < 0.3:
            self.step(node, events.Drained())

    def _arrive_cast(self, source: NodeId, target: NodeId, message: object) -> None:
        node = self.nodes.get(target.name)
        if node is None or node.id != target:
            return
        if isinstance(message, GroupHeartbeat):
            self.hand_in(node, events.Heard(message))
        else:
            self.hand_in(node, events.Received(source, message))  # type: ignore[arg-type] # as above
