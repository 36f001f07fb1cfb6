"""The adversary keeps the promises of the order: what it does is what G1 to G10 allow."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest
from slow_marks import slow_after

from zactor.kernel.ids import NodeId
from zactor.kernel.messages.knowledge import KbAttempted
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import View, ViewId
from zactor.testing.replica_sim.actions import Action
from zactor.testing.replica_sim.adversary import Adversary
from zactor.testing.replica_sim.healing import heal
from zactor.testing.replica_sim.order import ALL, Configuration, Message, Reach
from zactor.testing.replica_sim.plan import draw_plan
from zactor.testing.replica_sim.run import with_limits
from zactor.testing.replica_sim.shell import Node
from zactor.testing.replica_sim.world import World


def _room(*names: str) -> Configuration:
    members = tuple(NodeId(name, 1) for name in names)
    return Configuration(View(id=ViewId(1, members[0]), members=members))


def _say(room: Configuration, sender: str, service: Service) -> Message:
    message = Message(sender, service, KbAttempted(1), random.randrange(1 << 30))
    room.send(message)
    return message


def test_a_safe_message_is_regular_only_while_all_members_can_hold_it() -> None:
    room = _room("a", "b", "c")
    _say(room, "a", Service.SAFE)
    assert room.deliverable("b") == ["a"]
    room.leave(["c"], Reach(extent=0))
    assert room.deliverable("b") == []


def test_what_one_was_given_as_safe_is_delivered_to_the_others_too() -> None:
    room = _room("a", "b", "c")
    message = _say(room, "a", Service.SAFE)
    assert room.give("b", "a") is message
    rest = room.leave(["c"], Reach(0, ("a", "b"), 0))["c"]
    assert (*rest.regular, *rest.transitional) == (message,)


def test_beyond_a_gap_only_those_are_heard_who_came_along() -> None:
    room = _room("a", "b", "c")
    _say(room, "c", Service.AGREED)
    mine = _say(room, "a", Service.AGREED)
    _say(room, "c", Service.AGREED)
    rest = room.leave(["a", "b"], Reach(ALL, ("c",)))
    assert rest["a"] == rest["b"] == ((), (mine,))


def test_a_fifo_message_follows_what_its_sender_sent_before_it() -> None:
    room = _room("a", "b")
    _say(room, "b", Service.AGREED)
    first, second = _say(room, "a", Service.AGREED), _say(room, "a", Service.FIFO)
    assert room.deliverable("b") == ["b"]
    room.give("b", "b")
    assert [room.give("b", "a"), room.give("b", "a")] == [first, second]


class Audited(World):
    """Keeps who was delivered what, where, and how."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.heard: dict[tuple[ViewId, NodeId], list[tuple[Message, bool]]] = defaultdict(list)
        self.moves: dict[tuple[ViewId, NodeId], int] = {}  # to which view each went on
        self.wrong: list[str] = []

    def _give(self, node: Node, message: Message, transitional: bool) -> None:
        assert node.view is not None
        if node.replica is not None:
            self.heard[node.view.view.id, node.id].append((message, transitional))
        super()._give(node, message, transitional)

    def _do_view(self, action: Action) -> bool:
        before = {node.id: node.view for node in self.live() if node.view is not None}
        done = super()._do_view(action)
        for node in self.live():
            old = before.get(node.id)
            if old is not None and old is not node.view:
                self.moves[old.view.id, node.id] = len(self.views)
        return done

    def _view(self, view: ViewId) -> Configuration:
        return next(one for one in self.views if one.view.id == view)

    def audit(self) -> None:
        for (view, node), heard in self.heard.items():
            messages = [message for message, _ in heard]
            tickets = [message.ticket for message in messages if message.ticket]
            assert len(set(map(id, messages))) == len(messages), "G2: once"
            assert tickets == sorted(tickets), "G7: one order"
            self._audit_streams(messages)
            self._audit_safe(view, node, heard)
        self._audit_together()

    def _audit_streams(self, messages: list[Message]) -> None:
        places: dict[str, int] = {}
        for message in messages:
            assert message.place == places.get(message.sender, 0), "G5: FIFO, without a hole"
            places[message.sender] = message.place + 1

    def _audit_safe(self, view: ViewId, node: NodeId, heard: list[tuple[Message, bool]]) -> None:
        members = self._view(view).view.members
        for message, transitional in heard:
            if message.service is Service.SAFE and not transitional:
                for other in members:
                    if (view, other) in self.moves:
                        have = [one for one, _ in self.heard[view, other]]
                        assert message in have, f"G8: {other} lacks what {node} has as SAFE"

    def _audit_together(self) -> None:
        groups: dict[tuple[ViewId, int], list[NodeId]] = defaultdict(list)
        for (view, node), target in self.moves.items():
            groups[view, target].append(node)
        for (view, _), nodes in groups.items():
            sets = {
                frozenset((id(one), late) for one, late in self.heard[view, node]) for node in nodes
            }
            assert len(sets) <= 1, "G9: who goes on together was delivered the same"
            for node in nodes:
                own = self._view(view).streams[node.name]
                have = [one for one, _ in self.heard[view, node]]
                assert all(one in have for one in own), "G4: its own"


@pytest.mark.parametrize("first", slow_after(1, range(0, 200, 20)))
def test_what_the_adversary_does_obeys_the_promises_of_the_order(first: int) -> None:
    views = 0
    for seed in range(first, first + 20):
        plan = draw_plan(seed)
        with with_limits(plan):
            world = Audited(plan.names)
            Adversary(world, plan).play()
            heal(world, plan.gone)
        world.audit()
        views += len(world.views)
    assert views > 100
