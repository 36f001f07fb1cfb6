"""Replicas, their disks and their links under an adversary: one `Action` after the other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from zactor.kernel import limits
from zactor.kernel.messages.knowledge import Transaction
from zactor.kernel.messages.views import View, ViewId
from zactor.kernel.replication.replica import Replica
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.order import Configuration, Flushed, Message, Reach
from zactor.testing.replica_sim.shell import Node, Shell


class World(Shell):
    """All of them. `do` is the only way to change anything."""

    # -- looking -----------------------------------------------------------------------------
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
            if node.replica is not None
            and node.journal.waiting
            and node.name not in stuck
            and (node.has_room or not node.is_cramped)
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
        replica = node.replica
        assert replica is not None
        if not node.has_room:
            return self._run_out(node, replica)
        waiting = len(node.journal.waiting)
        count = waiting if node.is_cramped else min(action.count, waiting)
        for _, _, put in node.journal.waiting[:count]:
            self.judge.synced(node.name, put)
        number = node.journal.sync(count)
        if self._call(node, ("sync", count), lambda: replica.written(number)) and node.is_cramped:
            node.is_cramped = False
            self.coverage.hit("P14 the disk is brought up")
            self._call(node, ("make room",), replica.make_room)
        return True

    def _run_out(self, node: Node, replica: Replica) -> bool:
        """A write finds no room: the shell keeps it, and tries again when there is some."""
        if node.is_cramped:
            return False
        node.is_cramped = True
        self.coverage.hit("P14 no room")
        self._call(node, ("run out",), lambda: replica.run_out("no space left on device"))
        return True

    def _do_fill(self, action: Action) -> bool:
        node = self.nodes.get(action.who)
        if node is None or not node.has_room:
            return False
        node.has_room = False
        return True

    def _do_room(self, action: Action) -> bool:
        node = self.nodes.get(action.who)
        if node is None or node.has_room:
            return False
        node.has_room = True
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
        count = min(action.count, len(node.journal.waiting)) if node.has_room else 0
        for _, _, put in node.journal.waiting[:count]:
            self.judge.synced(node.name, put)
        node.journal.crash(count)
        self._end(node)
        return True

    def _do_start(self, action: Action) -> bool:
        return self._start(action, is_held=False)

    def _do_hold(self, action: Action) -> bool:
        return self._start(action, is_held=True)

    def _start(self, action: Action, *, is_held: bool) -> bool:
        node = self.nodes.get(action.who)
        if node is None or node.replica is not None or not node.has_room:
            return False  # it couldn't note which life it is
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

    def _do_forget(self, action: Action) -> bool:
        node, gone = self._running(action.who), self.nodes.get(action.other)
        if node is None or gone is None:
            return False
        replica = node.replica
        assert replica is not None
        self.judge.forgets(gone.name, is_up=gone.replica is not None)
        self.coverage.hit("P13 forgotten")
        return self._call(node, ("forget", gone.name), lambda: replica.forget(gone.name, 0.0))

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


def _nth(reach: Sequence[Reach], number: int) -> Reach:
    return reach[number] if number < len(reach) else Reach()
