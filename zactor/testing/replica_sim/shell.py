"""Replicas, their disks and their links: whatever one of them says is carried out and judged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.knowledge import KbLinked, KbOrdered
from zactor.kernel.messages.service import Service
from zactor.kernel.replication import effects
from zactor.kernel.replication.replica import Replica
from zactor.testing.replica_coverage import ReplicaCoverage
from zactor.testing.replica_sim.checkers import Judge
from zactor.testing.replica_sim.journal import Journal
from zactor.testing.replica_sim.order import Configuration, Message
from zactor.testing.replica_sim.seen import Formed

Tell = Callable[[str], None]


class Node:
    """A name, its disk, and the process that runs under it, if one does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.role = "master" if name.startswith("m") else "node"
        self.life = 0
        self.journal = Journal()
        self.has_lost_disk = False
        self.has_room = True
        self.is_cramped = False  # its disk had no room for a write, which is tried again
        self.replica: Replica | None = None
        self.view: Configuration | None = None
        self.outbox: deque[tuple[Service, KbOrdered]] = deque()
        self.is_muted = False
        self.is_held = False
        self.is_leaving = False
        self.has_retired = False
        self.open: set[str] = set()  # what clients wait for
        self.past = 0  # of all that the process was given: who has the same is in the same state
        self.said = 0
        self.now_ms = 0

    @property
    def id(self) -> NodeId:
        """This life."""
        return NodeId(self.name, self.life)


class Shell:
    """All nodes, and what is between them."""

    def __init__(self, names: Sequence[str], coverage: ReplicaCoverage | None = None) -> None:
        """Nobody runs yet."""
        self.names = tuple(sorted(names))
        self.nodes = {name: Node(name) for name in self.names}
        self.views: list[Configuration] = []
        self.links: dict[tuple[NodeId, NodeId], deque[KbLinked]] = {}
        self.judge = Judge(self.names)
        self.coverage = coverage or ReplicaCoverage()
        self.tell: Tell | None = None
        self.has_founded = False
        self._counter = 0

    # -- looking -----------------------------------------------------------------------------
    def live(self) -> list[Node]:
        """Nodes whose process runs."""
        return [node for node in self.nodes.values() if node.replica is not None]

    def is_active(self, node: Node) -> bool:
        """Whether it works in a view, and isn't frozen on the way to the next."""
        return node.view is not None and node.name in node.view.active

    # -- what replicas say -------------------------------------------------------------------
    def _call(
        self, node: Node, about: tuple[object, ...], call: Callable[[], list[effects.Effect]]
    ) -> bool:
        """Give the replica something; False if the process has ended by it."""
        node.past = hash((node.past, about))
        node.said = 0
        replica = node.replica
        try:
            done = call()
        except (AssertionError, KeyError, IndexError, ValueError) as error:
            self._say(node, f"fails: {error!r}")
            self.judge.complain("nobody breaks", f"{node.name} fails: {error!r}")
            node.journal.crash(0)
            self._end(node)
            return False
        for effect in done:
            self._carry_out(node, effect)
            if node.replica is not replica:
                return False
        self._flush(node)
        return True

    def _flush(self, node: Node) -> None:
        if node.is_muted or node.view is None or not self.is_active(node):
            return
        while node.outbox:
            service, body = node.outbox.popleft()
            node.said += 1
            message = Message(node.name, service, body, hash((node.past, node.said)))
            node.view.send(message)

    def _say(self, node: Node, words: str) -> None:
        if self.tell is not None:
            self.tell(f"{node.id} {words}")

    def _carry_out(self, node: Node, effect: effects.Effect) -> None:
        name, judge, replica = node.name, self.judge, node.replica
        assert replica is not None
        match effect:
            case effects.Multicast(service=service, message=message):
                node.outbox.append((service, message))
                self.coverage.said(replica, message)
            case effects.SendTo(node=target, message=said):
                self.links.setdefault((node.id, target), deque()).append(said)
            case effects.Write(number=number, records=put, is_urgent=is_urgent):
                node.journal.write(number, is_urgent, put)
                view = str(node.view.view.id) if node.view is not None else ""
                self.coverage.wrote(put, bool(judge.nodes[name].memory.tail))
                judge.wrote(name, replica.founding, view, put)
            case effects.Applied(change=change):
                primary = replica.primary
                epoch = primary.epoch if primary is not None else 0
                judge.applied(name, replica.founding, change, epoch)
                self._say(node, f"applies {change.id} at {change.epoch}.{change.index}")
            case effects.Replaced(clock=clock, digest=digest):
                judge.replaced(name, clock, digest)
                self._say(node, f"takes over the history up to {clock}")
            case effects.Decided():
                self._decided(node, replica, effect)
            case effects.BecamePrimary():
                self._formed(node, replica, effect)
            case effects.LostPrimary():
                judge.left_primary(name)
                self._say(node, "is in the primary no more")
            case effects.Retired():
                if not node.has_retired:
                    self._say(node, "may stop: the others go on without it")
                node.has_retired = True
                self.coverage.hit("P7 retired")
            case effects.Stranger():
                self.coverage.hit("P9 strangers")
                self._say(node, f"sees strangers: {', '.join(effect.names)}")
            case effects.Broken():
                self.coverage.broke(effect)
                judge.broke(name, effect.why)
                self._say(node, f"stops: {effect.why}")
                node.journal.crash(0)
                self._end(node)
            case Trace():
                self.coverage.traced(effect)

    def _decided(self, node: Node, replica: Replica, effect: effects.Decided) -> None:
        primary = replica.primary or replica.last_primary
        members = primary.members if primary is not None else ()
        node.open.discard(effect.id)
        self.judge.decided(node.name, effect.id, effect.clock, effect.kind, members)
        self.coverage.decided(effect, replica)
        how = f"as {effect.kind}" if effect.kind else f"well, at {effect.clock}"
        self._say(node, f"answers: {effect.id} ended {how}")

    def _formed(self, node: Node, replica: Replica, effect: effects.BecamePrimary) -> None:
        primary = replica.primary
        assert primary is not None
        self.has_founded = True
        new = Formed(effect.epoch, effect.members, primary.decider, effect.voices, str(effect.view))
        self._say(node, f"is in primary {effect.epoch}: {', '.join(effect.members)}")
        self.judge.became_primary(node.name, primary.founding, new)

    def _end(self, node: Node) -> None:
        if node.view is not None:
            node.view.active.discard(node.name)
        node.replica, node.view, node.is_muted = None, None, False
        node.is_held = node.is_leaving = node.has_retired = node.is_cramped = False
        node.outbox.clear()
        node.open.clear()
        self.judge.ended(node.name)

    def state(self) -> int:
        """A number that tells this state from others."""
        nodes = tuple(
            (
                node.past,
                node.replica is not None,
                node.has_room,
                node.is_muted,
                len(node.journal.waiting),
                self.views.index(node.view) if node.view is not None else -1,
                tuple(type(body).__name__ for _, body in node.outbox),
            )
            for node in self.nodes.values()
        )
        used = {id(node.view) for node in self.nodes.values() if node.view is not None}
        views = tuple(view.state() for view in self.views if id(view) in used)
        links = tuple((key, len(queue)) for key, queue in self.links.items() if queue)
        return hash((nodes, views, links))
