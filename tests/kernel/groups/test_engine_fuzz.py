"""Whatever well-typed messages members send, none can end a node, nor keep it from new views."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from group_world import A, B, C, together
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zactor.kernel.groups import effects as out
from zactor.kernel.groups import events
from zactor.kernel.groups.engine import Engine
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.base import Trace
from zactor.kernel.messages.groups import (
    Accept,
    AckSummary,
    BehindSessions,
    CohortGroups,
    Departed,
    EngineMessage,
    GroupAck,
    GroupHeartbeat,
    GroupItem,
    GroupPacket,
    GroupState,
    Held,
    Install,
    Kind,
    Plan,
    Propose,
    Ready,
    Report,
    StreamState,
    Sync,
    TicketGrant,
    TicketRequest,
    Want,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import GroupId, SessionId, ViewId

_DECODER = msgspec.msgpack.Decoder(EngineMessage | GroupHeartbeat)


def _tuples(of: st.SearchStrategy[Any], most: int = 4) -> st.SearchStrategy[Any]:
    return st.lists(of, max_size=most).map(tuple)


LOW = NodeId("0", 1)  # lower than all: it may propose to all

nodes = st.sampled_from([A, B, C, LOW])
counts = st.integers(0, 5) | st.integers(0, 5) | st.sampled_from([300, (1 << 53) - 1])
# The first is the view of `together`.
views = st.sampled_from(
    [*[ViewId(1, A)] * 5, ViewId(2, A), ViewId(2, B), ViewId(3, LOW), ViewId(0, B)]
)
members = st.lists(nodes, unique=True).map(sorted).map(tuple) | _tuples(nodes)
services = st.sampled_from(Service)
groups = st.sampled_from([("red",), ("#s#a",), ("blue", "red"), (), ("",), ("#",)])
rows = _tuples(counts) | st.tuples(counts, counts, counts)
items = st.builds(
    GroupItem,
    counts,
    services,
    st.sampled_from(["s", "", "t"]),
    groups,
    st.booleans(),
    st.integers(-(1 << 15), (1 << 15) - 1),
    st.sampled_from([b"", b"x"]),
)
packets = st.builds(
    GroupPacket,
    views,
    nodes,
    counts,
    counts,
    services,
    st.sampled_from([*[Kind.DATA] * 3, *Kind]),
    counts,
    _tuples(items, 3),
)
held = st.builds(Held, counts, counts, services, nodes)
holdings = st.just(()) | _tuples(held)
streams = st.tuples(
    *(st.builds(StreamState, st.just(node), counts, holdings) for node in (A, B, C))
) | _tuples(st.builds(StreamState, nodes, counts, holdings), 3)
reports = st.builds(Report, views, counts, counts, members, streams)
plans = st.builds(Plan, views, members, counts, counts, members, streams)
sessions = st.builds(SessionId, nodes, st.sampled_from(["s", "t"]))
states = st.builds(
    GroupState,
    st.sampled_from(["red", "blue", ""]),
    st.builds(GroupId, views, st.integers(-9, 9)),
    _tuples(sessions),
    st.booleans(),
)
messages = st.one_of(
    packets,
    st.builds(GroupAck, views, counts, rows),
    st.builds(AckSummary, views, counts, rows),
    st.builds(TicketRequest, views, counts),
    st.builds(TicketGrant, views, counts, counts),
    st.builds(Want, views, _tuples(st.tuples(nodes, counts, counts))),
    st.builds(Propose, views, members),
    st.builds(Accept, views, reports),
    st.builds(Sync, views, members, plans),
    st.builds(Ready, views, _tuples(states)),
    st.builds(Install, views, _tuples(st.builds(CohortGroups, members, _tuples(states)))),
    st.builds(Departed),
    st.builds(BehindSessions, _tuples(st.sampled_from(["s", "t", "", "x" * 999]))),
)
heartbeats = st.builds(
    GroupHeartbeat,
    nodes,
    counts,
    views,
    views,
    nodes,
    members,
    members,
    counts,
    counts,
    rows,
)


class World:
    """A cluster, and the one of its nodes that has to bear it all."""

    def __init__(self, victim: NodeId) -> None:
        self.victim = victim
        self.wires = together(A, B, C)

    def receive(self, peer: NodeId, message: Any) -> None:
        if peer != self.victim:
            self.wires.step(self.victim, events.Received(peer, message))


_Act = Callable[[World], object]


def _receive(peer: NodeId, message: Any) -> _Act:
    return lambda world: world.receive(peer, message)


def _hear(heartbeat: GroupHeartbeat) -> _Act:
    return lambda world: world.wires.step(world.victim, events.Heard(heartbeat))


def _submit(node: NodeId, service: Service) -> _Act:
    event = events.Submit("s", service, ("red",), b"")
    return lambda world: world.wires.step(node, event)


def _run(ms: int) -> _Act:
    return lambda world: world.wires.run(ms)


def _in_turn(acts: list[_Act]) -> _Act:
    def act(world: World) -> None:
        for one in acts:
            one(world)

    return act


@functools.cache
def _real() -> tuple[tuple[NodeId, Any], ...]:
    """What nodes hear from each other while they send and lose one of them."""
    wires = together(A, B, C)
    for service in Service:
        for node in (A, B, C):
            wires.step(node, events.Submit("s", service, ("red",), b""))
    wires.dropped = {GroupPacket}
    wires.step(A, events.Submit("s", Service.AGREED, ("red",), b""))
    wires.run(30)
    wires.dropped = set()
    wires.run(100)
    wires.step(A, events.ProcessGone(C))
    wires.run(100)
    heard = [
        (node, effect.message)
        for node in (A, B, C)
        for effect in wires.effects[node]
        if isinstance(effect, (out.Send, out.SendUnreliably))
    ]
    return tuple({repr(one): one for one in heard}.values())


@st.composite
def _bent(draw: st.DrawFn) -> _Act:
    """A real message with one field of another message of its type."""
    peer, message = draw(st.sampled_from(_real()))
    alike = [other for _, other in _real() if type(other) is type(message)]
    names = type(message).__struct_fields__
    if names:
        name, other = draw(st.sampled_from(names)), draw(st.sampled_from(alike))
        value = getattr(other, name)
        if isinstance(value, int):
            value = draw(counts)
        message = msgspec.structs.replace(message, **{name: value})
    return _receive(peer, message)


@st.composite
def _attempt(draw: st.DrawFn) -> _Act:
    """A proposer that goes wrong somewhere on the way to a view."""
    peer = draw(st.sampled_from([LOW, LOW, A]))
    ballot = ViewId(draw(st.integers(2, 40)), peer)
    wanted = tuple(sorted({peer, A, B, draw(nodes)}))
    plan = draw(
        st.builds(
            Plan,
            st.just(ViewId(1, A)) | views,
            st.just((A, B)) | st.just((B,)) | members,
            counts,
            counts,
            members,
            streams,
        )
    )
    steps = [_receive(peer, Propose(ballot, wanted))]
    steps.append(_receive(peer, Sync(ballot, draw(st.just(wanted) | members), plan)))
    for entries in plan.streams:
        for entry in entries.held:
            packet = draw(packets)
            of = {"view": plan.view, "sender": entries.sender, "sequence": entry.sequence}
            steps.append(_receive(entry.holder, msgspec.structs.replace(packet, **of)))
    steps += [_receive(draw(nodes), draw(messages)) for _ in range(draw(st.integers(0, 2)))]
    cohorts = draw(_tuples(st.builds(CohortGroups, members, _tuples(states))))
    steps.append(_receive(peer, Install(ballot, cohorts)))
    return _in_turn(steps[: draw(st.integers(1, len(steps)))])


@st.composite
def _answers(draw: st.DrawFn) -> _Act:
    """A node is lost, and the other answers the proposal, if there is one, as it likes."""
    lost, other = draw(st.sampled_from([(C, B), (A, C), (B, C), (NodeId("b", 2), A)]))

    def act(world: World) -> None:
        me = world.victim
        world.wires.step(me, events.ProcessGone(lost))
        ballot = world.wires.engines[me].agreement.promised
        world.receive(other, Accept(ballot, report))
        world.receive(other, Ready(ballot, brought))

    report = draw(
        st.builds(Report, st.just(ViewId(1, A)) | views, counts, counts, members, streams)
    )
    brought = draw(_tuples(states))
    return act


acts = st.one_of(
    st.builds(_receive, nodes, messages),
    st.builds(_receive, nodes, messages),
    _bent(),
    _attempt(),
    _answers(),
    st.builds(_hear, heartbeats),
    st.builds(_submit, st.sampled_from([A, B, C]), services),
    st.builds(_run, st.sampled_from([10, 30, 500])),
)
victims = st.sampled_from([A, B])


def _play(victim: NodeId, story: list[_Act]) -> World:
    world = World(victim)
    for act in story:
        act(world)
    world.wires.run(100)
    return world


def _check(world: World) -> None:
    """All it sent can travel; and when those nodes have gone it makes views with others."""
    me, wires = world.victim, world.wires
    for effect in wires.effects[me]:
        if isinstance(effect, (out.Send, out.SendUnreliably)):
            assert _DECODER.decode(msgspec.msgpack.encode(effect.message)) == effect.message
        elif isinstance(effect, out.Publish):
            assert _DECODER.decode(msgspec.msgpack.encode(effect.heartbeat)) == effect.heartbeat
    others = [node for node in (A, B, C) if node != me]
    for node in others:
        wires.engines.pop(node)
    for node in (*others, LOW):
        wires.step(me, events.ProcessGone(node))
    again = [NodeId(node.name, 9) for node in others]
    for node in again:
        wires.engines[node] = Engine(node, wires.now_ms)
        wires.effects[node] = []
    wires.run(3_000)
    assert set(wires.engines[me].view.members) == {me, *again}
    wires.effects[again[0]].clear()
    wires.step(me, events.Submit("s", Service.SAFE, ("red",), b"end"))
    wires.run(200)
    found = [one for one in wires.of(again[0], out.Deliver) if isinstance(one, out.Deliver)]
    assert b"end" in [item.payload for one in found for item in one.packet.items]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(victims, st.lists(acts, min_size=4, max_size=25))
def test_no_message_of_a_member_ends_a_node(victim: NodeId, story: list[_Act]) -> None:
    _check(_play(victim, story))


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(victims, st.lists(acts, min_size=4, max_size=25))
def test_no_message_of_a_member_ends_a_node_in_more_stories(
    victim: NodeId, story: list[_Act]
) -> None:
    _check(_play(victim, story))


@pytest.mark.soak
@settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(victims, st.lists(acts, min_size=4, max_size=40))
def test_no_message_of_a_member_ends_a_node_in_many_stories(
    victim: NodeId, story: list[_Act]
) -> None:
    _check(_play(victim, story))


def test_what_makes_no_sense_is_told_of_but_not_each_time() -> None:
    wires = together(A, B)
    view = wires.engines[A].view.id
    for _ in range(9):
        wires.step(A, events.Received(B, TicketGrant(view, 1, 1)))
    told = [one for one in wires.of(A, Trace) if isinstance(one, Trace)]
    assert [one.event for one in told] == ["message_refused"] * 4
    assert [one.fields["count"] for one in told] == [1, 2, 4, 8]
    assert told[0].fields["message"] == "TicketGrant"
