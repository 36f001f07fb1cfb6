"""Signals in group order: one message for all nodes that have reactors, the same order at all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from zactor.kernel import limits
from zactor.kernel.errors import ActorError, ConfigError, RemoteProtocolError, ZactorError, text_of
from zactor.kernel.groups.effects import GroupTransitional, GroupView
from zactor.kernel.groups.events import SessionOpened, Submit
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import Signal, Undelivered, Wired
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.runtime.directory import Targets
from zactor.kernel.runtime.envelope import Envelope, PeerPort
from zactor.kernel.runtime.group_member import Member
from zactor.kernel.runtime.lifecycle import Phase
from zactor.kernel.runtime.remoting import Remoting
from zactor.kernel.sessions.session_queue import (
    QueuedSession,
    SessionCommand,
    SessionQueue,
    at_once,
)
from zactor.kernel.wire.codec import decode_wired, encode_wired

if TYPE_CHECKING:
    from zactor.kernel.runtime.cell import Cell
    from zactor.kernel.sessions.host import GroupHost


log = structlog.get_logger()


WIRES = "zactor.wires"

"""The session of each node through which signals in group order come."""


_LOOSE_MIN = 256  # signals that may wait to be stable before it is looked who is


class _Origin:
    """The node that a signal came from, as a port: its answers go over the link, its credit here.

    Threads: any.
    """

    congested = False

    def __init__(self, wires: Wires, node: NodeId) -> None:
        self._wires = wires
        self.node = node

    def put(self, item: Any) -> None:
        """Send back that a signal wasn't handled."""
        self._wires.send_back(self.node, item)

    def consumed(self, count: int) -> None:
        """So many of its signals left the mailboxes."""
        self._wires.queued.consumed(count)


class Wires:
    """The node's session for signals. What has no `Threads:` is the host's thread's."""

    def __init__(
        self,
        runtime: Grouped,
        session_queue: SessionQueue,
        me: NodeId,
        port_of: Callable[[NodeId], PeerPort | None],
    ) -> None:
        """Args: port_of: the link to a life of another node. Threads: called by any."""
        self._runtime = runtime
        self._session_queue = session_queue
        self._me = me
        self._port_of = port_of
        self.queued = QueuedSession(session_queue, WIRES, self)
        self._origins: dict[NodeId, _Origin] = {}
        self._host: GroupHost | None = None
        # Own signals that were delivered here and that other nodes may not have yet.
        self._loose: deque[tuple[int, Wired]] = deque()
        self._look_at = _LOOSE_MIN

    # -- out ---------------------------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether senders should wait. Threads: any."""
        return self._session_queue.congested

    def make(
        self,
        service: Service,
        targets: Targets,
        sender: int,
        number: int,
        action: str,
        payload: bytes,
    ) -> Submit:
        """Return what carries a signal to reactors on these nodes. Threads: any.

        Raises:
            ConfigError: it is too long, or goes to too many nodes.
        """
        body = encode_wired(Wired(targets, sender, number, action, payload))
        if len(body) > limits.GROUP_PAYLOAD_BYTES_MAX:
            most = limits.GROUP_PAYLOAD_BYTES_MAX
            raise ConfigError(
                f"a signal of {len(body)} bytes: in group order the limit is {most}, connect with "
                "service fifo"
            )
        nodes = sorted({self._me.name, *(node for node, _ in targets)})
        if len(nodes) > limits.GROUP_DESTINATIONS_MAX:
            most = limits.GROUP_DESTINATIONS_MAX
            raise ConfigError(f"a signal in group order to {len(nodes)} nodes: the limit is {most}")
        return Submit(WIRES, service, tuple(f"#{WIRES}#{node}" for node in nodes), body)

    def send_back(self, node: NodeId, item: Undelivered) -> None:
        """Tell a node that a signal of its wasn't handled here. Threads: any."""
        if node == self._me:
            self._runtime.returned(item)
            return
        port = self._port_of(node)
        if port is not None:  # else it is gone, and its dead letters with it
            port.put(item)

    # -- in ----------------------------------------------------------------------------------
    def attach(self, host: GroupHost) -> None:
        """Begin: the session exists before any other node can be met."""
        self._host = host
        host.listen(WIRES, self)
        self.queued.put(SessionOpened(WIRES))

    def on_message(self, message: GroupData, transitional: bool) -> None:
        """A signal, of any node, at its place in the order."""
        self._session_queue.look()
        origin = self._origins.get(message.sender)
        if origin is None:
            origin = self._origins[message.sender] = _Origin(self, message.sender)
        try:
            item = decode_wired(message.payload)
        except RemoteProtocolError as error:
            log.error("signal_malformed", node=str(message.sender), why=str(error))
            origin.consumed(1)
            return
        uids = next((uids for node, uids in item.targets if node == self._me.name), ())
        signal = Signal(uids, item.sender, item.number, item.action, item.payload)
        self._runtime.arrived_in_order(origin, signal)
        if message.sender == self._me:
            self._note_delivered(message.ticket, item)

    def on_view(self, view: View, together: Sequence[NodeId]) -> None:
        """The view changed: who didn't come along may lack what isn't stable."""
        assert self._host is not None
        stable = self._host.stable_before
        names = {node.name for node in together}
        for ticket, item in self._loose:
            if ticket > stable:
                self._bury(item, names, "left the view: it may have arrived there")
        self._loose.clear()
        self._look_at = _LOOSE_MIN
        self._origins = {n: o for n, o in self._origins.items() if n in view.members}

    def _note_delivered(self, ticket: int, item: Wired) -> None:
        """Our own signal has its place: what isn't in the view by now will never get it."""
        assert self._host is not None
        names = {node.name for node in self._host.view.members}
        rest = self._bury(item, names, "left the view before the signal was delivered")
        if any(node != self._me.name for node, _ in rest):
            self._loose.append((ticket, msgspec.structs.replace(item, targets=rest)))
        if len(self._loose) > self._look_at:
            stable = self._host.stable_line
            while self._loose and self._loose[0][0] <= stable:
                self._loose.popleft()
            self._look_at = 2 * len(self._loose) + _LOOSE_MIN

    def _bury(self, item: Wired, alive: set[str], why: str) -> Targets:
        """Make dead letters of the targets on other nodes; return the targets on those alive."""
        rest: list[tuple[str, tuple[int, ...]]] = []
        for node, uids in item.targets:
            if node in alive:
                rest.append((node, uids))
            else:
                reason = f"node {node} {why}"
                self._runtime.returned(
                    Undelivered(uids, item.sender, item.number, item.action, reason)
                )
        return tuple(rest)

    # -- what a seat's user must have --------------------------------------------------------
    def on_refused(self, command: SessionCommand, error: ZactorError) -> None:
        """The engine didn't take a signal."""
        if isinstance(command, Submit):
            item = decode_wired(command.payload)
            self._bury(item, set(), f"can't be reached: {text_of(error)}")
        else:
            log.error("wires_refused", what=type(command).__name__, why=str(error))

    def on_delivery(self, message: GroupData, transitional: bool) -> None:
        """Nothing is sent to the group of that name."""

    def on_transitional(self, view: ViewId, members: Sequence[NodeId]) -> None:
        """The end of the view says it all."""

    def on_group_view(self, change: GroupView) -> None:
        """The session is in no group."""

    def on_group_transitional(self, change: GroupTransitional) -> None:
        """The session is in no group."""

    def on_group_left(self, group: str) -> None:
        """The session is in no group."""


class Grouped(Remoting):
    """See the module. Threads: any, but where it says the host's, that of the engine's shell."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.session_queue: SessionQueue | None = None  # None: no groups here
        self.wires: Wires | None = None
        self._woken: list[Cell] = []  # the host's thread: cells to wake after this round of it

    def open_groups(
        self,
        me: NodeId,
        *,
        host: Callable[[], GroupHost],
        post: Callable[[Callable[[], None]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        port_of: Callable[[NodeId], PeerPort | None],
        coalesce: Callable[[Callable[[], None]], None] = at_once,
    ) -> SessionQueue:
        """Let actors use groups, and signals go in group order.

        Args: as of Rooms; port_of as of Wires.
        """

        def attached() -> GroupHost:
            found = host()
            wires.attach(found)
            return found

        self._me = me
        self.session_queue = SessionQueue(host=attached, post=post, spawn=spawn, coalesce=coalesce)
        self.wires = wires = Wires(self, self.session_queue, me, port_of)
        return self.session_queue

    # -- members -----------------------------------------------------------------------------
    def make_member(self, cell: Cell) -> Member:
        """Give an actor its session.

        Raises:
            ConfigError: there are no groups here.
            ActorError: it has stopped.
        """
        if self.session_queue is None:
            raise ConfigError(f"{cell.name} can't use groups: this runtime has none")
        if cell.phase is Phase.DOWN:
            raise ActorError(f"{cell.name} has stopped: it can't use groups any more")
        cell.member = Member(cell, self.session_queue, self._me)
        return cell.member

    def arrived(self, cell: Cell, message: Envelope) -> None:
        """Put into a mailbox what came for a member. The host's thread."""
        if cell.limit <= len(cell.mailbox):
            cell.admit(message, None)
            return
        cell.mailbox.append(message)
        if cell.idle:
            cell.idle = False
            self._wake_later(cell)

    def _wake_later(self, *cells: Cell) -> None:
        """Wake them when this round of deliveries is in: see Links, where a batch does that."""
        if not self._woken:
            asyncio.get_running_loop().call_soon(self._wake)
        self._woken += cells

    def _wake(self) -> None:
        woken, self._woken = self._woken, []
        for cell in woken:
            cell.dispatcher.ready(cell)

    # -- signals in group order --------------------------------------------------------------
    def in_order(self) -> Wires:
        """What carries signals in group order.

        Raises:
            ConfigError: there are no groups here.
        """
        if self.wires is None:
            raise ConfigError("no signal can go in group order: this runtime has no groups")
        return self.wires

    def arrived_in_order(self, origin: PeerPort, signal: Signal) -> None:
        """Put a signal into the mailboxes of its targets, none of them perhaps. The host's."""
        woken: list[Cell] = []
        self._signalled(origin, signal, (), woken)
        if woken:
            self._wake_later(*woken)

    def returned(self, item: Undelivered) -> None:
        """A signal of this node wasn't handled."""
        for uid in item.targets:
            self._dead_there(item.sender, uid, item.action, item.number, item.reason)
