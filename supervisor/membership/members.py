"""Who is a member: the agreed view of the group engine, and what follows from it on this node.

A node that isn't in the view is no member: what waits for it ends, what is new for it becomes a
dead letter, its facts go. It is not dead for that: its link lives on, and when the network heals
its view and ours become one. Only proof ends a peer: its door refuses, it comes as a new
incarnation, it says goodbye, or it stays out of the view for PEER_KEPT_S. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.frames import Heartbeat
from zactor.kernel.messages.views import View
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.membership.departures import Departure
from zactor.supervisor.observe.events import (
    NodeHeard,
    NodeOutOfView,
    NodeStuck,
    NodeSuspect,
    NodeUnstuck,
    NodeUp,
    Tell,
)

log = structlog.get_logger()


_LOST = "peer_gone"
_SUSPECTED = frozenset({"peer_suspected", _LOST})

_STUCK, _WELL, _HELD = "peer_stuck", "peer_alive", "peer_held"
_HELD_SAID_S = 2.0  # who is held down for less is back before anybody reads it


class MembershipUser(Protocol):
    """Who is told what has to end and what may begin."""

    def on_members(self) -> None:
        """The membership changed."""

    def on_node(self, name: str) -> None:
        """The node of that name came into the view, or is out of it."""

    def on_out_of_view(self, peer: Peer) -> None:
        """Nothing may go on waiting for this peer."""


class Members:
    """The peers of the present view."""

    def __init__(
        self,
        hub: Hub,
        groups: GroupHost,
        *,
        user: MembershipUser,
        tell: Tell,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
        has_ended: Callable[[NodeId], bool],
    ) -> None:
        """`tell` brings an event to whoever wants it; `spawn` runs what has to wait.

        Args: has_ended: whether the process of that life of a node is known to be gone.
        """
        self._hub = hub
        self._groups = groups
        self._user = user
        self._tell = tell
        self._spawn = spawn
        self._has_ended = has_ended
        self._out_of_view: dict[NodeId, float] = {}  # peers, and the loop time since which
        self._dead: dict[str, int] = {}  # name -> the last of its lives that has ended
        self._masters: set[str] = set()  # of those who were ever met
        self._went: dict[str, tuple[int, str]] = {}  # name -> which life isn't there, and why
        self._held: dict[str, tuple[float, int]] = {}  # until which loop time, after so many losses
        self._checked: set[Peer] = set()  # whether their processes live is being checked
        self.stuck: set[str] = set()  # nodes whose process lives and whose loop is silent
        self.lag_ms = 0  # how late our own loop was when it was last measured
        self.clocks: dict[str, tuple[int, int]] = {}

    # -- who is there ------------------------------------------------------------------------
    def peers(self) -> list[Peer]:
        """Return the other members whose links work."""
        return [peer for peer in self._hub.peers.values() if self._is_member(peer)]

    def _is_member(self, peer: Peer) -> bool:
        return peer.up and not peer.out_of_view and not peer.dead

    def peer(self, name: str) -> Peer | None:
        """Return the member of that name."""
        peer = self._hub.peers.get(name)
        return peer if peer is not None and self._is_member(peer) else None

    def roles(self) -> dict[str, tuple[str, int]]:
        """Return name to (role, incarnation) of all members, this node included."""
        hellos = [peer.hello for peer in self.peers()] + [self._hub.hello()]
        return {hello.name: (hello.role, hello.incarnation) for hello in hellos}

    def live(self) -> dict[str, tuple[int, str]]:
        """Return name to (incarnation, address) of all members, this node included."""
        hellos = [peer.hello for peer in self.peers()] + [self._hub.hello()]
        return {
            hello.name: (hello.incarnation, hello.endpoint.removeprefix("tcp://"))
            for hello in hellos
        }

    def departure(self, name: str) -> Departure:
        """Return why a node isn't there. A console comes and goes, and isn't missed."""
        _, why = self._went.get(name, (0, out_of_reach(name)))
        is_missed = name not in self._masters and why != said_goodbye(name)
        return Departure(why=why, is_missed=is_missed)

    def all_in(self) -> bool:
        """Whether everybody who was met is a member."""
        return all(self._is_member(peer) for peer in self._hub.peers.values())

    def troubles(self) -> list[str]:
        """Return in a sentence each who is reached and no member yet, for it was lost too often."""
        now = self._hub.loop.time()
        return [
            f"{name} is reached again, and is a member after {until - now:.0f} s more without a"
            f" break: it was lost {losses} times of late"
            for name, (until, losses) in sorted(self._held.items())
            if until - now >= _HELD_SAID_S
        ]

    # -- from the hub ------------------------------------------------------------------------
    def on_peer_up(self, peer: Peer) -> None:
        """A link works both ways: the engine may hear of it."""
        if peer.hello.role == "master":
            self._masters.add(peer.node.name)
        else:
            self._masters.discard(peer.node.name)
        if peer.node.incarnation <= self._dead.get(peer.node.name, 0):
            # It lost its state folder, or has an old one, and counts its lives anew: the engine
            # would never take it in. It hears that it is dead, until it is past what we know.
            peer.out_of_view = f"{peer.node} counts as dead"
            self._hub.loop.call_soon(self._drop_dead, peer)
        elif peer.node not in self._groups.view.members:
            peer.out_of_view = f"{peer.node.name} isn't in the view yet"
            self._out_of_view[peer.node] = self._hub.loop.time()
            self._groups.linked(peer.node, True)
        else:  # others proposed it before we had met it
            self._enter_view(peer)

    def _drop_dead(self, peer: Peer) -> None:
        if self._hub.peers.get(peer.node.name) is peer:
            self._hub.drop_peer(peer.node.name, peer.out_of_view)

    def on_peer_dead(self, peer: Peer) -> None:
        """A peer is dead for certain."""
        self._out_of_view.pop(peer.node, None)
        name, incarnation = peer.node
        if peer.up or peer.node in self._groups.view.members:
            self._went[name] = incarnation, peer.dead
        if peer.up:
            self._dead[name] = max(incarnation, self._dead.get(name, 0))
            self._groups.dead(peer.node)

    def on_disconnected(self, peer: Peer) -> None:
        """A broken connection is a hint: find out whether the process lives."""
        self._groups.linked(peer.node, False)
        # A link that flaps breaks more often than a check takes: one goes on while it is broken.
        if peer not in self._checked:
            self._checked.add(peer)
            self._spawn(self._check_process(peer))

    async def _check_process(self, peer: Peer) -> None:
        try:
            while not peer.connected and not peer.dead:
                if not await self._may_live(peer):
                    self._hub.drop_peer(peer.node.name, process_gone(peer.node.name))
                    return
                await asyncio.sleep(limits.PROCESS_CHECKS_MS / 1000)
        finally:
            self._checked.discard(peer)

    async def _may_live(self, peer: Peer) -> bool:
        """Whether nothing proves that the process behind a door is gone."""
        host, _, port = peer.hello.endpoint.removeprefix("tcp://").rpartition(":")
        try:
            async with asyncio.timeout(limits.PROCESS_CHECK_MS / 1000):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except ConnectionRefusedError:
            return False
        except OSError:
            pass  # no proof of anything: silence will tell
        else:
            writer.close()  # by whoever has its port now, if not by the node
        return not self._has_ended(peer.node)

    def on_heartbeat(self, heartbeat: Heartbeat) -> None:
        """A peer's loop is alive."""
        sender = heartbeat.group.sender
        peer = self._hub.peers.get(sender.name)
        if peer is None or not peer.up or peer.node != sender:
            return
        self.clocks[sender.name] = heartbeat.clock
        if str(self._hub.me) not in heartbeat.linked:
            self._hub.probe(peer)  # if we are dead to it, it will say so
        self._groups.hear(heartbeat)

    # -- from the engine ---------------------------------------------------------------------
    def on_view(self, old: View, view: View, together: tuple[NodeId, ...]) -> None:
        """The view changed: part from who didn't come along, meet who is new."""
        log.debug("view_installed", view=str(view.id), members=[str(q) for q in view.members])
        for node in old.members:
            if node not in together:
                self._leave_view(node)
        for node in view.members:
            peer = self._hub.peers.get(node.name)
            if node not in together and peer is not None and peer.node == node and peer.up:
                self._enter_view(peer)
        self._user.on_members()

    def _leave_view(self, node: NodeId) -> None:
        peer = self._hub.peers.get(node.name)
        if peer is not None and peer.node == node:
            peer.out_of_view = out_of_reach(node.name)
            self._out_of_view[node] = self._hub.loop.time()
            self._user.on_out_of_view(peer)
        why = self._why_gone(node)
        if not why:  # there is no proof of anything
            self._went[node.name] = node.incarnation, out_of_reach(node.name)
        self._tell(NodeOutOfView(node, _in_words(node.name, why, node.name in self.stuck)))
        self.clocks.pop(node.name, None)
        self.stuck.discard(node.name)
        self._user.on_node(node.name)

    def _why_gone(self, node: NodeId) -> str:
        """Return the proof that this life has ended; "" if there is none."""
        life, why = self._went.get(node.name, (0, ""))
        return why if life == node.incarnation else ""

    def _enter_view(self, peer: Peer) -> None:
        peer.out_of_view = ""
        self._went.pop(peer.node.name, None)
        self._out_of_view.pop(peer.node, None)
        self._tell(NodeUp(peer.node, peer.hello.role))
        self._user.on_node(peer.node.name)

    def on_group_trace(self, event: str, fields: dict[str, object]) -> None:
        """News of the engine: suspicions above all."""
        log.debug(event, **fields)
        peer = str(fields.get("peer", ""))
        name = peer.rpartition("@")[0]
        if event.startswith("peer_"):
            self._held.pop(name, None)
        if event == _HELD:
            wait_s = int(str(fields["wait_ms"])) / 1000
            self._held[name] = self._hub.loop.time() + wait_s, int(str(fields["losses"]))
        if event == _LOST:
            self._on_lost(peer)
        if event in _SUSPECTED:
            self._tell(NodeSuspect(peer))
        elif event == "woke_late":
            self.lag_ms = int(str(fields["late_ms"]))
        elif event == _STUCK:
            self.stuck.add(name)
            self._tell(NodeStuck(name))
        elif event == _WELL:
            if name in self.stuck:
                self.stuck.discard(name)
                self._tell(NodeUnstuck(name))
            self._tell(NodeHeard(peer))

    def _on_lost(self, peer: str) -> None:
        """The engine is certain: by a proof of ours, which is known here, or by a farewell."""
        for node in self._groups.view.members:
            if str(node) == peer and not self._why_gone(node):
                self._went[node.name] = node.incarnation, said_goodbye(node.name)

    # -- time --------------------------------------------------------------------------------
    def keep(self) -> None:
        """Look after the connections; called every HOUSEKEEPING_MS."""
        self._hub.sweep_memory()
        broken = self._hub.broken()
        for peer in list(self._hub.peers.values()):
            if peer.up:
                self._groups.linked(peer.node, peer.node.name not in broken)
                if peer.node.name in broken:
                    self._hub.probe(peer)
        now = self._hub.loop.time()
        for node, since in list(self._out_of_view.items()):
            if now - since > limits.PEER_KEPT_S:
                why = f"{node.name} has been out of the view for {limits.PEER_KEPT_S} s"
                self._hub.drop_peer(node.name, why)


def _in_words(name: str, why: str, is_stuck: bool) -> str:
    """Return why a node left the view, as the end of a sentence about it."""
    if not why and is_stuck:
        return "its process runs, but says nothing"
    known = {
        "": "it is out of reach",
        process_gone(name): "its process ended",
        said_goodbye(name): "it was stopped",
        f"{name} was restarted": "it was restarted",
    }
    return known.get(why, why)


def process_gone(name: str) -> str:
    """Return why a node is dead whose door refuses."""
    return f"the process of {name} is gone"


def said_goodbye(name: str) -> str:
    """Return why a node is dead that stopped in good order."""
    return f"{name} left"


def out_of_reach(name: str) -> str:
    """Return why a node isn't there of whose end there is no proof."""
    return f"{name} is out of reach"


Roles = Mapping[str, tuple[str, int]]

"""The members of the view: name to role and incarnation."""


def is_there(node: NodeId, roles: Roles) -> bool:
    """Whether that very life of a node is a member."""
    return node.name in roles and roles[node.name][1] == node.incarnation
