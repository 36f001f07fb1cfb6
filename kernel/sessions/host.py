"""GroupHost, the shell of the group engine: its links, its clock, its sessions.

It carries out effects in the order in which the engine made them, also when whoever is called back
submits something new. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, get_args

import structlog

from zactor.kernel.errors import AlreadyExists, RemoteProtocolError
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.groups.parcels import opened
from zactor.kernel.groups.trace import lines_of
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.groups import (
    EngineMessage,
    GroupData,
    GroupHeartbeat,
    Kind,
)
from zactor.kernel.messages.views import SessionId, View
from zactor.kernel.sessions.session import Listener, Session, SessionUser

log = structlog.get_logger()

WriteLine = Callable[[str, dict[str, Any]], None]

GROUP_ITEMS = frozenset((*get_args(EngineMessage), GroupHeartbeat))
"""Types of the items of a link that are the engine's."""


class NetworkPeer(Protocol):
    """One life of another node, as groups see it."""

    @property
    def node(self) -> NodeId:
        """Which."""
        ...

    @property
    def connected(self) -> bool:
        """Whether what is sent can get there now."""
        ...

    @property
    def up(self) -> bool:
        """Whether it was met both ways."""
        ...

    @property
    def backlog(self) -> int:
        """Items that wait for it."""
        ...


class NetworkHeartbeats(Protocol):
    """Heartbeats beside the links."""

    def reaches(self, name: str) -> bool:
        """Whether our heartbeats get to that peer, as far as is known."""
        ...

    def refuse(self, name: str, claimed: str) -> None:
        """Count and tell that a peer spoke for another."""
        ...


class Network(Protocol):
    """What carries the engine's messages: the others, a clock, a heartbeat. See Hub."""

    @property
    def me(self) -> NodeId:
        """This life of this node."""
        ...

    @property
    def peers(self) -> Mapping[str, NetworkPeer]:
        """The others, by name."""
        ...

    @property
    def heartbeats(self) -> NetworkHeartbeats:
        """Heartbeats beside the links."""
        ...

    def now_ms(self) -> int:
        """The loop's monotonic time in ms."""
        ...

    def send_to(self, name: str, item: object) -> None:
        """Queue one item for that peer; it leaves in this turn of the loop."""
        ...

    def beat(self, group: GroupHeartbeat) -> None:
        """Publish a heartbeat."""
        ...


class GroupUser(Protocol):
    """What the node does with news of the engine; called in the kernel's loop."""

    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        """The node works in `view` now; of `old` only `together` came along with it."""

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        """Something worth a line happened in the engine: a suspicion, an attempt."""


class GroupHost:
    """The groups of one life of one node."""

    def __init__(self, network: Network, user: GroupUser, trace: WriteLine | None) -> None:
        """`trace` writes the event log, if there is one."""
        self.me = network.me
        self.paused = False  # too much waits for credit: submitters should wait
        self._network = network
        self._user = user
        self._trace = trace
        self._sessions: dict[str, Session] = {}
        self._closing: set[str] = set()  # names that aren't quite gone
        self._listeners: dict[str, Listener] = {}
        self._effects: deque[out.Effect] = deque()
        self._is_carrying = False
        self._changed = asyncio.Event()  # a pause ended, or a session is gone
        self._timer: asyncio.TimerHandle | None = None
        self.consumed = 0  # messages that the sessions got through, over this life
        self._taken: dict[str, tuple[int, int]] = {}  # of them, not told to the engine yet, with
        # their bytes
        self._when_credit: list[Callable[[], None]] = []
        self._drained_due = False
        self._together: tuple[NodeId, ...] = (self.me,)
        self.views = 0  # that were agreed, in this life
        self._links: dict[NodeId, bool] = {}  # what the engine was told of connections
        self._hears_us: set[NodeId] = set()  # as their last heartbeat says
        self._is_closed = False

    # -- life --------------------------------------------------------------------------------
    def open(self) -> None:
        """Begin, alone; the network must be open."""
        self._loop = asyncio.get_running_loop()
        self._engine = Engine(self.me, self._network.now_ms())
        self.view = self._engine.view
        self._carry(self._engine.first_effects())
        self._arm()

    def close(self) -> None:
        """Tell the others that this node goes, and stop."""
        if not self._is_closed:
            self.step(events.Stop())
            self._is_closed = True
            if self._timer is not None:
                self._timer.cancel()

    # -- sessions ----------------------------------------------------------------------------
    async def open_session(self, name: str, user: SessionUser) -> Session:
        """Open a session, as soon as an earlier one of that name is quite gone.

        Raises:
            AlreadyExists: it is open.
            LocalProtocolError: that is no name, or too many are open.
        """
        while name in self._closing:
            await self._change()
        if name in self._sessions:
            raise AlreadyExists(f"a session {name} is open already on {self.me.name}")
        self.step(events.SessionOpened(name))
        session = self._sessions[name] = Session(self, name, user)
        return session

    def drop_session(self, session: Session) -> None:
        """Close it (the session's call)."""
        del self._sessions[session.name]
        self._taken.pop(session.name, None)
        if session.groups:
            self._closing.add(session.name)
        self.step(events.SessionClosed(session.name))

    def listen(self, group: str, listener: Listener) -> None:
        """Give `listener` every message to `group`, and every change of view."""
        self._listeners[group] = listener

    def members(self, group: str) -> tuple[SessionId, ...]:
        """Return the members of a group as of now, in the order of memberships."""
        return self._engine.multicast.groups.members(group)

    def names(self) -> tuple[str, ...]:
        """Return the groups that have members, sorted."""
        return self._engine.multicast.groups.names

    @property
    def is_changing(self) -> bool:
        """Whether the next view is being agreed upon: nothing is ordered meanwhile."""
        return self._engine.agreement.is_frozen

    @property
    def behind(self) -> frozenset[str]:
        """The sessions of this node that are behind (O8a). Threads: any."""
        return self._engine.credit.backlogs.behind

    def is_full(self, groups: tuple[str, ...]) -> bool:
        """Whether who sends to these groups is held: a member of one is behind (O8b)."""
        return self._engine.multicast.is_full(groups)

    def on_credit(self, call: Callable[[], None]) -> None:
        """Have `call()` done, soon, each time that a group may have become full no more."""
        self._when_credit.append(call)

    @property
    def stable_line(self) -> int:
        """The ticket up to which every member of the view is known to have everything."""
        return self._engine.multicast.stable_line

    @property
    def stable_before(self) -> int:
        """The same of the view before this one, as it was known at its end."""
        return self._engine.stable_before

    async def room(self) -> None:
        """Return when more may be submitted."""
        while self.paused:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def note_consumed(self, session: str, count: int, size: int) -> None:
        """Messages were got through (the sessions' call); the engine hears it once a turn."""
        if not self._taken:
            self._loop.call_soon(self._tell_consumed)
        before, before_bytes = self._taken.get(session, (0, 0))
        self._taken[session] = before + count, before_bytes + size
        self.consumed += count

    def _tell_consumed(self) -> None:
        taken, self._taken = self._taken, {}
        self.step(events.Consumed(tuple((name, *took) for name, took in taken.items())))

    # -- what happens ------------------------------------------------------------------------
    def step(self, event: events.Event) -> None:
        """Let the engine take one event, and carry out what follows.

        Raises:
            LocalProtocolError, MailboxFull: as Engine.step; nothing changed.
        """
        if self._is_closed:
            return
        self._carry(self._engine.step(event, self._network.now_ms()))
        self._arm()

    def submit(self, event: events.Submit) -> None:
        """Queue a session's message; it leaves in this turn, packed with what comes meanwhile.

        Raises:
            LocalProtocolError, MailboxFull: as Engine.submit; nothing changed.
        """
        if self._is_closed:
            return
        self._engine.submit(event)
        self._drain_soon()

    def _drain_soon(self) -> None:
        if not self._drained_due:
            self._drained_due = True
            self._loop.call_soon(self._drained)

    def receive(self, peer: NetworkPeer, items: Sequence[object]) -> None:
        """Items of GROUP_ITEMS arrived over a link, in order."""
        for item in items:
            if isinstance(item, GroupHeartbeat):
                if item.sender == peer.node:
                    self._hear(item)
                else:
                    self._network.heartbeats.refuse(peer.node.name, item.sender.name)
            else:
                self.step(events.Received(peer.node, item))  # type: ignore[arg-type]  # GROUP_ITEMS
        self._drain_soon()

    def _drained(self) -> None:
        self._drained_due = False
        self.step(events.Drained())

    def hear(self, heartbeat: Heartbeat) -> None:
        """A heartbeat of a peer arrived."""
        self._hear(heartbeat.group)

    def _hear(self, heartbeat: GroupHeartbeat) -> None:
        peer = self._network.peers.get(heartbeat.sender.name)
        if peer is None or not peer.connected:
            return  # what it leads to travels over the link: an attempt would be wasted
        if self.me in heartbeat.hears:
            self._hears_us.add(heartbeat.sender)
        else:
            self._hears_us.discard(heartbeat.sender)
        self.step(events.Heard(heartbeat))

    def linked(self, node: NodeId, up: bool) -> None:
        """Tell whether the connection to a peer lives; the same twice does no harm."""
        if self._links.get(node) is not up:
            self._links[node] = up
            self.step(events.LinkUp(node) if up else events.LinkDown(node))

    def dead(self, node: NodeId) -> None:
        """That incarnation is dead for certain."""
        self._links.pop(node, None)
        self._hears_us.discard(node)
        self.step(events.ProcessGone(node))

    # -- time --------------------------------------------------------------------------------
    def _arm(self) -> None:
        due_s = self._engine.deadline_ms / 1000
        if self._timer is not None:
            if self._timer.when() <= due_s:
                return  # it looks again when it fires
            self._timer.cancel()
        if not self._is_closed:
            self._timer = self._loop.call_at(due_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        if self._engine.deadline_ms <= self._network.now_ms():
            self.step(events.Tick())
        else:
            self._arm()

    # -- effects -----------------------------------------------------------------------------
    def _carry(self, effects: Sequence[out.Effect]) -> None:
        self._effects += effects
        if self._is_carrying:
            return  # whoever is at it comes to these in their turn
        self._is_carrying = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                if self._trace is not None:
                    self._log(effect)
                try:
                    self._do(effect)
                except Exception:  # of whoever was called back: the others must have theirs
                    log.exception("group_effect_failed", effect=type(effect).__name__)
        finally:
            self._is_carrying = False

    def _log(self, effect: out.Effect) -> None:
        assert self._trace is not None, "asked for"
        for line in lines_of(effect):
            self._trace(line.pop("k"), line)

    def _do(self, effect: out.Effect) -> None:
        match effect:
            case out.Deliver():
                self._deliver(effect)
            case out.Send():
                for node in effect.to:
                    self._send(node, effect.message)
            case out.SendUnreliably():
                for node in effect.to:
                    self._send(node, effect.message, only_at_once=True)
            case out.Publish():
                self._publish(effect.heartbeat)
            case out.ViewInstalled():
                self._enter(effect.view)
            case out.Transitional():
                self._together = effect.members
                for listener in self._listeners.values():
                    _shielded(listener.on_transitional, effect.view, effect.members)
            case out.GroupView() | out.GroupTransitional() | out.GroupLeft():
                self._tell(effect)
            case out.Pause():
                self.paused = True
            case out.Resume():
                self.paused = False
                self._changed.set()
            case out.CreditGiven():
                for call in self._when_credit:
                    self._loop.call_soon(call)
            case Trace():
                self._user.on_group_trace(effect.event, dict(effect.fields))
            case out.Sent():
                pass  # for the log only

    def _send(self, node: NodeId, message: EngineMessage, only_at_once: bool = False) -> None:
        peer = self._network.peers.get(node.name)
        if peer is None or peer.node != node:
            return  # not met yet, or dead: the engine knows what to do about silence
        if only_at_once and (not peer.connected or peer.backlog):
            return
        self._network.send_to(node.name, message)

    def _publish(self, heartbeat: GroupHeartbeat) -> None:
        self._network.beat(heartbeat)
        for name, peer in self._network.peers.items():
            if not (peer.up and peer.connected):
                continue
            if peer.node not in self._hears_us or not self._network.heartbeats.reaches(name):
                # What is published doesn't get there, or not yet: a firewall, a fresh subscription.
                self._network.send_to(name, heartbeat)

    def _enter(self, view: View) -> None:
        old, self.view = self.view, view
        self.views += 1
        together, self._together = self._together, (self.me,)
        for listener in self._listeners.values():
            _shielded(listener.on_view, view, together)
        self._user.on_view(old, view, together)

    def _deliver(self, effect: out.Deliver) -> None:
        packet = effect.packet
        if packet.kind is Kind.DISCONNECT and packet.sender == self.me:
            self._closing.discard(packet.items[0].session)
            self._changed.set()
        for item, names in zip(packet.items, effect.sessions, strict=True):
            if names or (self._listeners and not self._listeners.keys().isdisjoint(item.groups)):
                give = self._hand_over if item.count == 1 else self._hand_parcel
                give(out.message_of(packet, item), names, effect.transitional)

    def _hand_over(self, message: GroupData, names: tuple[str, ...], transitional: bool) -> None:
        """Give one message to the listeners and to the sessions that it is for."""
        for group in message.groups:
            listener = self._listeners.get(group)
            if listener is not None:
                _shielded(listener.on_delivery, message, transitional)
        size = len(message.payload)
        for name in names:
            session = self._sessions.get(name)
            if session is not None:
                session.owe(size)
                try:  # not _shielded: this is done for every message
                    session.user.on_message(message, transitional)
                except Exception:
                    log.exception("group_message_failed", session=name)

    def _hand_parcel(self, parcel: GroupData, names: tuple[str, ...], transitional: bool) -> None:
        """Give a parcel to the sessions that take it whole, its messages to all others."""
        opening: list[Session] = []
        for name in names:
            session = self._sessions.get(name)
            if session is None:
                continue
            session.owe(len(parcel.payload), parcel.count)
            if session.user.takes_parcels:
                _shielded(session.user.on_parcel, parcel, transitional)
            else:
                opening.append(session)
        listeners = [self._listeners[name] for name in parcel.groups if name in self._listeners]
        if not (opening or listeners):
            return
        try:
            messages = opened(parcel)
        except RemoteProtocolError as error:  # a bug at its sender's node, which has looked at it
            log.error("group_parcel_malformed", node=str(parcel.sender), why=str(error))
            for session in opening:
                session.consumed(parcel.count)
            return
        for message in messages:
            for listener in listeners:
                _shielded(listener.on_delivery, message, transitional)
            for session in opening:
                if session.is_open:
                    _shielded(session.user.on_message, message, transitional)

    def _tell(self, effect: out.GroupView | out.GroupTransitional | out.GroupLeft) -> None:
        names = (effect.session,) if isinstance(effect, out.GroupLeft) else effect.sessions
        for name in names:
            session = self._sessions.get(name)
            if session is None:
                continue
            match effect:
                case out.GroupView():
                    _shielded(session.user.on_group_view, effect)
                case out.GroupTransitional():
                    _shielded(session.user.on_group_transitional, effect)
                case out.GroupLeft():
                    _shielded(session.user.on_group_left, effect.group)


def _shielded(tell: Callable[..., None], *news: object) -> None:
    """Tell one of several: if it fails at it, the others must hear of it all the same."""
    try:
        tell(*news)
    except Exception:
        log.exception("group_user_failed", call=tell.__qualname__)
