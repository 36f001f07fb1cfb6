"""Replicas, their disks and their links under an adversary: one `Action` after the other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from functools import partial

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.knowledge import KbLinked, KbOrdered, Transaction
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.replication import effects
from zactor.kernel.replication.replica import Replica
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.checkers import Formed, Judge
from zactor.testing.replica_sim.coverage import Coverage
from zactor.testing.replica_sim.journal import Journal
from zactor.testing.replica_sim.order import Configuration, Flushed, Message, Reach

Tell = Callable[[str], None]


class Node:
    """A name, its disk, and the process that runs under it, if one does."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.role = "master" if name.startswith("m") else "node"
        self.life = 0
        self.journal = Journal()
        self.has_lost_disk = False
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


class World:
    """All of them. `do` is the only way to change anything."""

    def __init__(self, names: Sequence[str], coverage: Coverage | None = None) -> None:
        """Nobody runs yet."""
        self.names = tuple(sorted(names))
        self.nodes = {name: Node(name) for name in self.names}
        self.views: list[Configuration] = []
        self.links: dict[tuple[NodeId, NodeId], deque[KbLinked]] = {}
        self.judge = Judge(self.names)
        self.coverage = coverage or Coverage()
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

    def default(self, deaf: Collection[str] = (), stuck: Collection[str] = ()) -> Action | None:
        """What a world in which nothing goes wrong does next; None if all is at rest.

        Args:
            deaf: these get nothing.
            stuck: the disks of these do nothing.
        """
        for (source, target), queue in self.links.items():
            if not queue:
                continue
            node = self.nodes[target.name]
            if node.replica is not None and node.id == target and node.name not in deaf:
                return Action("link", target.name, source.name)
        for node in self.nodes.values():
            if node.view is not None and node.name not in deaf:
                sender = node.view.first(node.name)
                if sender is not None:
                    return Action("give", node.name, sender)
        disks = [
            node
            for node in self.nodes.values()
            if node.replica is not None and node.journal.waiting and node.name not in stuck
        ]
        for node in [*(one for one in disks if one.journal.is_awaited), *disks][:1]:
            return Action("sync", node.name, count=len(node.journal.waiting))
        return None

    def may_found(self, node: Node) -> bool:
        """Whether the shell would, which knows that there is no other cluster.

        So nobody it can't see has ever agreed to an attempt; or somebody whom it sees has, and the
        replicas must know what became of it. Who has a history must never found, however alone.
        """
        if node.replica is None or node.is_held or not node.replica.may_be_founded:
            return False
        if node.replica.digest:
            return True
        names = node.view.names if node.view is not None else ()
        if 2 * len(names) <= len(self.names):
            return False
        agreed = {one.name for one in self.nodes.values() if one.journal.has_agreed}
        return not agreed or bool(agreed & {*names})

    # -- doing -------------------------------------------------------------------------------
    def do(self, action: Action) -> bool:
        """Do it; False if it isn't possible here, and nothing has changed."""
        return bool(getattr(self, f"_do_{action.kind}")(action))

    def _running(self, name: str) -> Node | None:
        node = self.nodes.get(name)
        return node if node is not None and node.replica is not None else None

    def _do_give(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or node.view is None or action.other not in node.view.names:
            return False
        message = node.view.give(node.name, action.other)
        if message is None:
            return False
        self._give(node, message, False)
        return True

    def _give(self, node: Node, message: Message, transitional: bool) -> None:
        assert node.view is not None
        if node.replica is None:
            return
        sender = node.view.view.members[node.view.names.index(message.sender)]
        replica, body = node.replica, message.body
        before = self.coverage.look(replica)
        if self._call(
            node,
            ("give", message.key, transitional),
            lambda: replica.on_delivery(sender, body, transitional),
        ):
            self.coverage.gave(before, replica, message.sender, body, transitional)

    def _do_link(self, action: Action) -> bool:
        node, source = self._running(action.who), self.nodes.get(action.other)
        if node is None or source is None:
            return False
        for (sender, target), queue in self.links.items():
            if sender.name == action.other and target == node.id and queue:
                message = queue.popleft()
                replica = node.replica
                assert replica is not None
                self.coverage.linked(replica, message)
                about = ("link", sender, type(message).__name__, message.piece, message.view)
                self._call(node, about, partial(replica.on_link, sender, message))
                return True
        return False

    def _do_sync(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or not node.journal.waiting:
            return False
        count = min(action.count, len(node.journal.waiting))
        for _, _, put in node.journal.waiting[:count]:
            self.judge.synced(node.name, put)
        number = node.journal.sync(count)
        replica = node.replica
        assert replica is not None
        self._call(node, ("sync", count), lambda: replica.written(number))
        return True

    def _do_mute(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or node.is_muted:
            return False
        node.is_muted = True
        return True

    def _do_unmute(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or not node.is_muted:
            return False
        node.is_muted = False
        self._flush(node)
        return True

    def _do_burn(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or node.view is None or not self.is_active(node):
            return False
        node.view.burn()
        return True

    def _cohorts(self, names: Sequence[str]) -> list[tuple[Configuration, list[str]]]:
        found: dict[int, tuple[Configuration, list[str]]] = {}
        for name in names:
            view = self.nodes[name].view
            if view is not None:
                found.setdefault(id(view), (view, []))[1].append(name)
        return list(found.values())

    def _do_recover(self, action: Action) -> bool:
        names = [name for name in action.names if self._running(name) is not None]
        cohorts = self._cohorts(names)
        if not any(self.is_active(self.nodes[name]) for name in names):
            return False
        for number, (view, cohort) in enumerate(cohorts):
            view.recover(cohort, _nth(action.reach, number))
        return True

    def _do_view(self, action: Action) -> bool:
        names = [name for name in sorted(action.names) if self._running(name) is not None]
        if not names:
            return False
        for number, (view, cohort) in enumerate(self._cohorts(names)):
            rest = view.leave(cohort, _nth(action.reach, number))
            for name in cohort:
                self._leave(self.nodes[name], view, rest[name], cohort)
        names = [name for name in names if self._running(name) is not None]
        if not names:
            return True
        members = tuple(sorted(self.nodes[name].id for name in names))
        new = Configuration(View(id=ViewId(len(self.views) + 1, members[0]), members=members))
        self.views.append(new)
        for name in names:
            self.nodes[name].view = new
        for name in names:
            node = self.nodes[name]
            replica = node.replica
            if replica is not None:
                before = self.coverage.look(replica)
                self._call(node, ("view", new.view), partial(replica.on_view, new.view, ()))
                self.coverage.viewed(before, replica, new.names, node.is_held)
        return True

    def _leave(self, node: Node, view: Configuration, rest: Flushed, cohort: Sequence[str]) -> None:
        for message in rest.regular:
            self._give(node, message, False)
        replica = node.replica
        if replica is None:
            return
        members = [one for one in view.view.members if one.name in cohort]
        about = ("signal", tuple(members))
        self._call(node, about, lambda: replica.on_transitional(view.view.id, members))
        for message in rest.transitional:
            self._give(node, message, True)

    def _do_crash(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None:
            return False
        count = min(action.count, len(node.journal.waiting))
        for _, _, put in node.journal.waiting[:count]:
            self.judge.synced(node.name, put)
        node.journal.crash(count)
        self._end(node)
        return True

    def _end(self, node: Node) -> None:
        if node.view is not None:
            node.view.active.discard(node.name)
        node.replica, node.view, node.is_muted = None, None, False
        node.is_held = node.is_leaving = node.has_retired = False
        node.outbox.clear()
        node.open.clear()
        self.judge.ended(node.name)

    def _do_start(self, action: Action) -> bool:
        return self._start(action, is_held=False)

    def _do_hold(self, action: Action) -> bool:
        return self._start(action, is_held=True)

    def _start(self, action: Action, *, is_held: bool) -> bool:
        node = self.nodes.get(action.who)
        if node is None or node.replica is not None:
            return False
        node.life += 1
        node.is_held = is_held
        kept = node.journal.load()
        self.coverage.started(kept)
        node.replica = Replica(node.id, node.role, kept, is_held=is_held)
        node.past = hash((node.name, node.life, is_held, len(node.journal.synced), node.past))
        self.judge.started(node.name, node.replica.digest)
        return True

    def _do_begin(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or not node.is_held:
            return False
        node.is_held = False
        replica = node.replica
        assert replica is not None
        self.coverage.hit("P10 begun")
        self._call(node, ("begin",), replica.begin)
        return True

    def _do_lose(self, action: Action) -> bool:
        node = self.nodes.get(action.who)
        if node is None or node.replica is not None or not node.journal.synced:
            return False
        node.journal.lose()
        node.has_lost_disk = True
        self.judge.disk_is(node.name, (), is_lost=True)
        node.past = hash((node.past, "lose"))
        return True

    def _do_back(self, action: Action) -> bool:
        node = self.nodes.get(action.who)
        if node is None or node.replica is not None or not node.journal.synced:
            return False
        node.journal.go_back(action.count)
        self.judge.disk_is(node.name, node.journal.synced, is_lost=False)
        node.past = hash((node.past, "back", action.count))
        return True

    def _do_fail(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None:
            return False
        self.judge.failed(node.name)
        replica = node.replica
        assert replica is not None
        self.coverage.hit("D9 failed disk")
        self._call(node, ("fail",), lambda: replica.failed("no space left on device"))
        return True

    # -- what clients do ---------------------------------------------------------------------
    def _do_found(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or not self.may_found(node):
            return False
        replica = node.replica
        assert replica is not None
        self._counter += 1
        founding = f"{node.id}/{self._counter}"
        self.coverage.hit("P8 told to found")
        self._call(node, ("found", founding), lambda: replica.found(founding, 0.0))
        return True

    def _do_retire(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or node.is_leaving:
            return False
        node.is_leaving = True
        replica = node.replica
        assert replica is not None
        self._call(node, ("retire",), replica.retire)
        return True

    def _do_submit(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or action.other in node.open:
            return False
        replica, id_ = node.replica, action.other
        assert replica is not None
        self.judge.asks(node.name, id_, is_read=False)
        node.open.add(id_)
        # One in ten is refused when it is applied.
        is_vain = id_[0] == "u" and id_[-1] == "7"
        require = (("absent(x)", "Refused", "no"),) if is_vain else ()
        wanted = Transaction(id_, "me", "why", require, (), (f"did({id_})",))
        self._call(node, ("submit", id_), lambda: replica.submit(wanted, 0.0))
        return True

    def _do_read(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None or action.other in node.open:
            return False
        replica, id_ = node.replica, action.other
        assert replica is not None
        self.judge.asks(node.name, id_, is_read=True)
        node.open.add(id_)
        self._call(node, ("read", id_), lambda: replica.read(id_))
        return True

    def _do_tick(self, action: Action) -> bool:
        node = self._running(action.who)
        if node is None:
            return False
        replica = node.replica
        assert replica is not None
        was_outside = not replica.is_primary
        node.now_ms += action.count
        self._call(node, ("tick", action.count), lambda: replica.tick(node.now_ms))
        if was_outside and action.count > limits.KB_REFUSE_MS and node.replica is replica:
            self.judge.waited(node.name, sorted(node.open))
        return True

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
                judge.applied(name, change, primary.epoch if primary is not None else 0)
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
                judge.broke(name, effect.why)
                self._say(node, f"stops: {effect.why}")
                node.journal.crash(0)
                self._end(node)
            case effects.Trace():
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

    def state(self) -> int:
        """A number that tells this state from others."""
        nodes = tuple(
            (
                node.past,
                node.replica is not None,
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


def _nth(reach: Sequence[Reach], number: int) -> Reach:
    return reach[number] if number < len(reach) else Reach()
