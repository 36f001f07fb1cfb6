"""Ordered signals: one message for all nodes that have reactors, in the same order at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
import structlog

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, RemoteProtocolError, ZactorError, text_of
from zactor.kernel.groups.events import SessionOpened, Submit
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.actors import SignalHeader, Undelivered, Wired
from zactor.kernel.messages.groups import GroupData
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Targets
from zactor.kernel.runtime.envelope import PeerPort
from zactor.kernel.runtime.group_member import ActorGroups
from zactor.kernel.runtime.remoting import Remoting
from zactor.kernel.sessions.session import Listener
from zactor.kernel.sessions.session_queue import QueuedSession, QueuedSessionUser, SessionCommand
from zactor.kernel.wire.codec import decode_wired, encode_wired

if TYPE_CHECKING:  # most programs with a Kernel have no groups: they shall not load the engine
    from zactor.kernel.sessions.host import GroupHost

log = structlog.get_logger()

SESSION = "zactor.wires"
"""The session of each node through which signals in group order come."""

_LOOSE_MIN = 256  # signals that may wait to be stable before it is looked who is


class _Origin:
    """The node that a signal came from, as a port: its answers go over the link, its credit here.

    Threads: any.
    """

    congested = False

    def __init__(self, signals: OrderedSignals, node: NodeId) -> None:
        self._signals = signals
        self.node = node

    def put(self, item: Undelivered) -> None:
        """Send back that a signal wasn't handled."""
        self._signals.send_back(self.node, item)

    def consumed(self, count: int) -> None:
        """So many of its signals left the mailboxes."""
        self._signals.consumed(count)


class OrderedSignals(QueuedSessionUser, Listener):
    """The node's session for signals. What has no `Threads:` is the host's thread's."""

    def __init__(
        self,
        remoting: Remoting,
        groups: ActorGroups,
        port_of: Callable[[NodeId], PeerPort | None],
    ) -> None:
        """Args: port_of: the link to a life of another node. Threads: called by any."""
        self._remoting = remoting
        self._groups = groups
        self._me = groups.me
        self._port_of = port_of
        self._session = QueuedSession(groups.session_queue, SESSION, self)
        self._origins: dict[NodeId, _Origin] = {}
        self._host: GroupHost | None = None
        # Own signals that were delivered here and that other nodes may not have yet.
        self._loose: deque[tuple[int, Wired]] = deque()
        self._look_at = _LOOSE_MIN

    # -- out ---------------------------------------------------------------------------------
    @property
    def congested(self) -> bool:
        """Whether senders should wait. Threads: any."""
        return self._session.congested

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
        return Submit(SESSION, service, tuple(f"#{SESSION}#{node}" for node in nodes), body)

    def put(self, submit: Submit) -> None:
        """Send what was made. Threads: any.

        Raises:
            MailboxFull: too many messages wait.
        """
        self._session.put(submit)

    def send_back(self, node: NodeId, item: Undelivered) -> None:
        """Tell a node that a signal of its wasn't handled here. Threads: any."""
        if node == self._me:
            self._remoting.returned(None, item)
            return
        port = self._port_of(node)
        if port is not None:  # else it is gone, and its dead letters with it
            port.put(item)

    # -- in ----------------------------------------------------------------------------------
    def consumed(self, count: int) -> None:
        """So many signals left the mailboxes. Threads: any."""
        self._session.consumed(count)

    def attach(self, host: GroupHost) -> None:
        """Begin: the session exists before any other node can be met."""
        self._host = host
        host.listen(SESSION, self)
        self._session.put(SessionOpened(SESSION))

    def on_message(self, message: GroupData, transitional: bool) -> None:
        """A signal, of any node, at its place in the order."""
        self._session.recheck()
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
        header = SignalHeader(uids, item.sender, item.action)
        woken: list[Cell] = []
        self._remoting.signalled(origin, header, item.number, item.payload, (), woken)
        if woken:
            self._groups.wake_later(*woken)
        if message.sender == self._me:
            self._note_delivered(message.ticket, item)

    def on_view(self, view: View, together: Sequence[NodeId]) -> None:
        """The view changed: who didn't come along may lack what isn't stable."""
        assert self._host is not None
        stable = self._host.stable_before
        names = {node.name for node in together}
        for ticket, item in self._loose:
            if ticket > stable:
                self._give_up(item, names, "left the view: it may have arrived there")
        self._loose.clear()
        self._look_at = _LOOSE_MIN
        self._origins = {n: o for n, o in self._origins.items() if n in view.members}

    def _note_delivered(self, ticket: int, item: Wired) -> None:
        """Our own signal has its place: what isn't in the view by now will never get it."""
        assert self._host is not None
        names = {node.name for node in self._host.view.members}
        rest = self._give_up(item, names, "left the view before the signal was delivered")
        if any(node != self._me.name for node, _ in rest):
            self._loose.append((ticket, msgspec.structs.replace(item, targets=rest)))
        if len(self._loose) > self._look_at:
            stable = self._host.stable_line
            while self._loose and self._loose[0][0] <= stable:
                self._loose.popleft()
            self._look_at = 2 * len(self._loose) + _LOOSE_MIN

    def _give_up(self, item: Wired, alive: set[str], why: str) -> Targets:
        """Make dead letters of the targets on other nodes; return the targets on those alive."""
        rest: list[tuple[str, tuple[int, ...]]] = []
        for node, uids in item.targets:
            if node in alive:
                rest.append((node, uids))
            else:
                reason = f"node {node} {why}"
                back = Undelivered(uids, item.sender, item.number, item.action, reason)
                self._remoting.returned(None, back)
        return tuple(rest)

    def on_refused(self, command: SessionCommand, error: ZactorError) -> None:
        """The engine didn't take a signal."""
        if isinstance(command, Submit):
            item = decode_wired(command.payload)
            self._give_up(item, set(), f"can't be reached: {text_of(error)}")
        else:
            log.error("wires_refused", what=type(command).__name__, why=str(error))
