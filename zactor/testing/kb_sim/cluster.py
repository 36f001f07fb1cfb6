"""A cluster of group engines with the knowledge base's replica and a disk at each node.

Everything on virtual time; the same seed and the same calls give the same log. The lines that the
checkers read are written here, from what the replicas' effects say and what is on the disks.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from zactor.kernel.errors import MailboxFull
from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.knowledge import KbBehind, KbLinked, KbOrdered, KbPiece, Transaction
from zactor.kernel.replication import effects as kb
from zactor.kernel.replication.replica import Replica
from zactor.testing.group_sim.cluster import Cluster, SimNode
from zactor.testing.group_sim.faults import Faults
from zactor.testing.group_sim.history import Line
from zactor.testing.kb_sim.disk import Disk, DiskFailed
from zactor.testing.replica_coverage import ReplicaCoverage

GROUP = "zactor.kb"
TICK_MS = 100.0
_AGAIN_MS = 20.0  # where there was no room
_LAZY_SYNC_MS = 60.0  # what nobody waits for
_ENCODER = msgspec.msgpack.Encoder()
_ORDERED = msgspec.msgpack.Decoder(KbOrdered)
_LINKED = msgspec.msgpack.Decoder(KbLinked)


class KbNode:
    """The replica of one simulated process."""

    def __init__(self, sim: SimNode, disk: Disk, role: str, *, is_held: bool) -> None:
        self.sim = sim
        self.disk = disk
        kept = disk.load()
        self.replica = Replica(sim.id, role, kept, is_held=is_held)
        self.has_tail = bool(kept.tail)
        self.is_held = is_held
        self.outbox: list[kb.Multicast] = []  # until the session is open
        self.is_open = False
        self.inbox: list[Callable[[], None]] = []  # while the process is paused
        self.is_syncing = False
        self.kept: list[kb.Write] = []  # the disk had no room for them: they are tried again
        self.returning = 0  # the last of them, which is being written
        self.skew_s = 0.0  # of its wall clock
        self.is_waiting_for: dict[str, Callable[[kb.Decided], None]] = {}


class KbCluster(Cluster):
    """Nodes with knowledge."""

    def __init__(
        self, chance: random.Random, faults: Faults, settings: Settings, roles: dict[str, str]
    ) -> None:
        """Args: `roles` by name, "node" or "master"."""
        super().__init__(chance, faults, settings)
        self.roles = roles
        self.disks = {name: Disk() for name in roles}
        self.had: dict[str, set[str]] = {name: set() for name in roles}  # on disks that were lost
        self.kbs: dict[str, KbNode] = {}
        self.sync_ms = (0.5, 5.0)  # how long a sync takes
        self.broken: list[str] = []  # processes that ended because they had to
        self.forked: set[str] = set()  # nodes that ended since they are outvoted
        self.coverage = ReplicaCoverage()
        self.on_broken: Callable[[str], None] = lambda name: None
        self.on_said: Callable[[KbNode, KbOrdered], KbOrdered] = lambda one, said: said  # instead
        self.on_given: Callable[[KbNode, KbOrdered], None] = lambda one, said: None
        self.on_leaving: Callable[[KbNode], None] = lambda one: None  # its view
        self.on_heartbeat: Callable[[SimNode, GroupHeartbeat], GroupHeartbeat] = (
            lambda node, heartbeat: heartbeat  # instead
        )
        self.on_trace: Callable[[Trace], None] = lambda trace: None
        self.hold_ms: Callable[[], float] = lambda: 0.0  # before a node that starts has its say

    # -- processes ---------------------------------------------------------------------------
    def log(self, node: SimNode, line: Line) -> None:
        """Write a line; of the engine's only those that say who lives."""
        if line["k"].startswith("kb_") or line["k"] in ("up", "down", "primary", "lost"):
            super().log(node, line)

    def note(self, who: str, line: Line) -> None:
        """Write a line about who isn't a process now."""
        self.lines.append({"t": int(self.now_ms * 1e6), "p": who, **line})

    def start(self, name: str) -> SimNode:
        """Start a process on the disk of its name."""
        node = super().start(name)
        self.step(node, events.SessionOpened(GROUP))
        one = self.kbs[name]
        one.is_open = True
        outbox, one.outbox = one.outbox, []
        self.carry(one, outbox)
        self._tick(one)
        return node

    def _kb_of(self, node: SimNode) -> KbNode:
        one = self.kbs.get(node.id.name)
        if one is None or one.sim is not node:
            hold_ms = self.hold_ms()
            disk, role = self.disks[node.id.name], self.roles[node.id.name]
            one = KbNode(node, disk, role, is_held=hold_ms > 0)
            self.coverage.started(disk.load())
            if hold_ms:
                self.after(hold_ms, lambda: self._soon(one, lambda: self._begin(one)))
            one.skew_s = self.chance.uniform(-1e6, 1e6)
            self.kbs[node.id.name] = one
            replica = one.replica
            self.log(
                node,
                {
                    "k": "kb_start",
                    "clock": list(replica.clock),
                    "hash": replica.digest.hex(),
                    "ids": sorted(one.disk.ids()),
                },
            )
        return one

    def end(self, name: str) -> None:
        """What a dead process leaves: a disk, perhaps with a torn end."""
        self.kbs.pop(name, None)
        self.disks[name].crash(self.chance)

    def crash(self, name: str, refused: bool) -> None:
        """End a process without a word."""
        super().crash(name, refused)
        self.end(name)

    def stop(self, name: str) -> None:
        """End a process in good order, as far as the engine is concerned."""
        super().stop(name)
        self.end(name)

    def pause(self, name: str) -> None:
        """SIGSTOP."""
        super().pause(name)
        self.log(self.nodes[name], {"k": "kb_paused"})

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.log(self.nodes[name], {"k": "kb_resumed"})
        super().resume(name)
        one = self.kbs.get(name)
        if one is not None:
            inbox, one.inbox = one.inbox, []
            for call in inbox:
                if self._runs(one):
                    call()

    def _runs(self, one: KbNode) -> bool:
        return self.kbs.get(one.sim.id.name) is one

    def _soon(self, one: KbNode, call: Callable[[], None]) -> None:
        """Something comes to the process, which may be paused."""
        if self._runs(one):
            if one.sim.paused:
                one.inbox.append(call)
            else:
                call()

    def _tick(self, one: KbNode) -> None:
        def tick() -> None:
            if self._runs(one):
                if not one.sim.paused:
                    self.carry(one, one.replica.tick(self.local_ms(one.sim)))
                self._tick(one)

        self.after(TICK_MS, tick)

    # -- what a client does ------------------------------------------------------------------
    def submit_change(
        self, name: str, transaction: Transaction, then: Callable[[kb.Decided], None]
    ) -> None:
        """Submit at a node; `then` gets the decision, if the process lives to make it."""
        one = self.kbs[name]
        one.is_waiting_for[transaction.id] = then
        self.log(
            one.sim,
            {
                "k": "kb_submit",
                "id": transaction.id,
                "asserted": list(transaction.assert_),
                "primary": one.replica.is_primary,
            },
        )
        at = self.now_ms / 1_000 + one.skew_s
        self.carry(one, one.replica.submit(transaction, at))

    def read(self, name: str, id_: str, then: Callable[[kb.Decided], None]) -> None:
        """Read at a node."""
        one = self.kbs[name]
        one.is_waiting_for[id_] = then
        self.log(one.sim, {"k": "kb_read", "id": id_, "primary": one.replica.is_primary})
        self.carry(one, one.replica.read(id_))

    # -- effects -----------------------------------------------------------------------------
    def _carry(self, node: SimNode, effects: Sequence[out.Effect]) -> None:
        one = self._kb_of(node)
        for effect in effects:
            match effect:
                case out.Send():
                    for peer in effect.to:
                        self.network.send(node.id, peer, effect.message)
                case out.SendUnreliably():
                    for peer in effect.to:
                        self.network.cast(node.id, peer, effect.message)
                case out.Publish():
                    heartbeat = self.on_heartbeat(node, effect.heartbeat)
                    for name in self.live:
                        if name != node.id.name:
                            self.network.cast(node.id, self.nodes[name].id, heartbeat)
                case out.Deliver():
                    for message, sessions in effect.messages:
                        for session in sessions:
                            self._read(node, session, 1, len(message.payload))
                        if GROUP in message.groups:
                            said = _ORDERED.decode(message.payload)
                            self._deliver(one, message.sender, said, effect.transitional)
                case Trace():
                    self.on_trace(effect)
                case out.ViewInstalled():
                    self._enter(one, effect)
                case out.Transitional():
                    self.carry(one, one.replica.on_transitional(effect.view, effect.members))
                case _:
                    pass

    def _deliver(self, one: KbNode, sender: NodeId, said: KbOrdered, transitional: bool) -> None:
        replica = one.replica
        before = self.coverage.look(replica)
        self.carry(one, replica.on_delivery(sender, said, transitional))
        self.coverage.gave(before, replica, sender.name, said, transitional)
        self.on_given(one, said)

    def _enter(self, one: KbNode, effect: out.ViewInstalled) -> None:
        self.on_leaving(one)
        replica, names = one.replica, tuple(member.name for member in effect.view.members)
        before = self.coverage.look(replica)
        effects = replica.on_view(effect.view, ())
        self.coverage.viewed(before, replica, names, one.is_held)
        self.carry(one, effects)

    def _begin(self, one: KbNode) -> None:
        one.is_held = False
        self.coverage.hit("P10 begun")
        self.carry(one, one.replica.begin())

    def _link(self, one: KbNode, source: NodeId, said: KbBehind | KbPiece) -> None:
        replica = one.replica
        one.has_tail = bool(replica._state.log.tail)
        self.coverage.linked(replica, said)
        self.carry(one, replica.on_link(source, said))

    def carry(self, one: KbNode, effects: Sequence[kb.Effect]) -> None:
        """Do what a replica says, in order."""
        for effect in effects:
            if not self._runs(one):
                return
            match effect:
                case kb.Multicast(message=message):
                    self.coverage.said(one.replica, message)
                    said = self.on_said(one, message)
                    self._multicast(one, kb.Multicast(service=effect.service, message=said))
                case kb.SendTo():
                    frame = ("kb", _ENCODER.encode(effect.message))
                    self.network.send(one.sim.id, effect.node, frame)
                case kb.Write(records=put):
                    self.coverage.wrote(put, one.has_tail)
                    self._write(one, effect)
                case kb.Decided():
                    self._decided(one, effect)
                case kb.Broken():
                    self.log(one.sim, {"k": "kb_broken", "why": effect.why})
                    self.broken.append(effect.why)
                    if effect.is_fork:
                        self.forked.add(one.sim.id.name)
                    self.coverage.broke(effect)
                    self.on_broken(one.sim.id.name)
                case _:
                    self._log_line(one, effect)

    def _multicast(self, one: KbNode, effect: kb.Multicast) -> None:
        if not one.is_open:
            one.outbox.append(effect)
            return
        payload = _ENCODER.encode(effect.message)
        try:
            self.submit(one.sim, events.Submit(GROUP, effect.service, (GROUP,), payload))
        except MailboxFull as error:
            raise AssertionError("the replica keeps the engine's queue short") from error

    def _log_line(self, one: KbNode, effect: kb.Effect) -> None:
        line: dict[str, Any] | None = None
        replica = one.replica
        match effect:
            case kb.Applied(change=change):
                clock = [change.epoch, change.index]
                line = {"k": "kb_apply", "clock": clock, "hash": change.digest.hex()}
                line["id"] = change.id
            case kb.Replaced(clock=place, digest=digest):
                line = {"k": "kb_take", "clock": list(place), "hash": digest.hex()}
            case kb.BecamePrimary():
                line = {
                    "k": "primary",
                    "v": [effect.view.epoch, str(effect.view.coordinator)],
                    "epoch": effect.epoch,
                    "members": list(effect.members),
                    "voices": list(effect.voices),
                    "decider": replica.primary.decider if replica.primary else "",
                    "clock": list(replica.clock),
                    "hash": replica.digest.hex(),
                }
            case kb.LostPrimary():
                line = {"k": "lost", "reason": effect.reason}
            case Trace():
                line = {"k": "kb_note", "event": effect.event, "fields": dict(effect.fields)}
                self.coverage.traced(effect)
                self.on_trace(effect)
            case kb.Stranger():
                line = {"k": "kb_stranger", "why": effect.why}
                self.coverage.hit("P9 strangers")
            case kb.Retired():
                line = {"k": "kb_retired"}
                self.coverage.hit("P7 retired")
            case _:
                pass
        if line is not None:
            self.log(one.sim, line)

    def _decided(self, one: KbNode, effect: kb.Decided) -> None:
        line: dict[str, Any] = {"k": "kb_decided", "id": effect.id, "kind": effect.kind}
        line |= {"clock": list(effect.clock), "why": effect.message}
        if not effect.kind:
            primary = one.replica.primary or one.replica.last_primary
            line["members"] = list(primary.members) if primary is not None else []
            line["disks"] = [
                name
                for name in sorted(self.disks)
                if self.disks[name].holds(effect.id) or effect.id in self.had[name]
            ]
        self.log(one.sim, line)
        self.coverage.decided(effect, one.replica)
        then = one.is_waiting_for.pop(effect.id, None)
        if then is not None:
            then(effect)

    # -- disks -------------------------------------------------------------------------------
    def _write(self, one: KbNode, effect: kb.Write) -> None:
        if one.kept or one.disk.is_full:
            one.kept.append(effect)
            if len(one.kept) == 1:
                self.log(one.sim, {"k": "kb_full"})
                self.coverage.hit("P14 no room")
                self._try_again(one)
                self.carry(one, one.replica.run_out("no space left on device"))
            return
        try:
            one.disk.write(effect.number, effect.records)
        except DiskFailed:
            self.log(one.sim, {"k": "kb_failed"})
            self.coverage.hit("D9 failed disk")
            self.carry(one, one.replica.failed("no space left on device"))
            return
        if not one.is_syncing:
            self._sync(one, effect.is_urgent)

    def _try_again(self, one: KbNode) -> None:
        def again() -> None:
            if not self._runs(one):
                return
            if one.disk.is_full or one.returning:
                self._try_again(one)
                return
            kept, one.kept = one.kept, []
            one.returning = kept[-1].number
            for effect in kept:
                self._write(one, effect)

        self.after(_AGAIN_MS, again)

    def _written(self, one: KbNode, number: int) -> None:
        self.carry(one, one.replica.written(number))
        if self._runs(one) and 0 < one.returning <= number:
            one.returning = 0
            if not one.kept:
                self.log(one.sim, {"k": "kb_room"})
                self.coverage.hit("P14 the disk is brought up")
                self.carry(one, one.replica.make_room())

    def _sync(self, one: KbNode, is_urgent: bool) -> None:
        one.is_syncing = True
        ms = self.chance.uniform(*self.sync_ms) + (0.0 if is_urgent else _LAZY_SYNC_MS)
        number = one.disk.last

        def done() -> None:
            if not self._runs(one):
                return
            last = one.disk.sync(number)
            one.is_syncing = False
            if one.disk.has_waiting:
                self._sync(one, True)
            if last:
                self._soon(one, lambda: self._written(one, last))

        self.after(ms, done)

    # -- links -------------------------------------------------------------------------------
    def _arrive(self, source: NodeId, target: NodeId, message: object) -> None:
        if not isinstance(message, tuple):
            super()._arrive(source, target, message)
            return
        one = self.kbs.get(target.name)
        if one is None or one.sim.id != target:
            return
        said: KbBehind | KbPiece = _LINKED.decode(message[1])
        self._soon(one, lambda: self._link(one, source, said))
