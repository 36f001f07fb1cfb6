"""Cut, gap, obligation: what a cohort delivers before it leaves its view."""

from __future__ import annotations

from zactor.kernel.groups.recovery import Place, make_plans, make_schedule
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import Held, Plan, Report, StreamState
from zactor.kernel.messages.service import Service
from zactor.kernel.messages.views import ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)
OLD = ViewId(1, A)
Entry = tuple[int, int, Service]


def stream(sender: NodeId, *entries: Entry, base: int = 0, holder: NodeId = A) -> StreamState:
    held = tuple(Held(sequence, ticket, service, holder) for sequence, ticket, service in entries)
    return StreamState(sender, base, held)


def plan(
    *streams: StreamState,
    obligation: tuple[NodeId, ...] = (A,),
    delivered: int = 0,
    stable: int = 0,
) -> Plan:
    return Plan(OLD, (A,), delivered, stable, obligation, streams)


def test_tickets_up_to_the_first_missing_one_are_regular() -> None:
    schedule = make_schedule(
        plan(stream(A, (1, 1, Service.AGREED)), stream(B, (1, 2, Service.AGREED)))
    )
    assert schedule == ((Place(A, 1), Place(B, 1)), ())


def test_a_safe_message_beyond_the_best_stable_line_is_the_cut() -> None:
    streams = stream(A, (1, 1, Service.SAFE), (2, 2, Service.AGREED), (3, 3, Service.SAFE))
    assert make_schedule(plan(streams)).regular == ()
    assert make_schedule(plan(streams, stable=1)).regular == (Place(A, 1), Place(A, 2))
    assert make_schedule(plan(streams, stable=1)).transitional == (Place(A, 3),)


def test_beyond_a_gap_only_the_obligation_counts() -> None:
    streams = (stream(A, (1, 2, Service.AGREED)), stream(B, (1, 3, Service.AGREED)))
    assert make_schedule(plan(*streams)) == ((), (Place(A, 1),))
    both = make_schedule(plan(*streams, obligation=(A, B)))
    assert both.transitional == (Place(A, 1), Place(B, 1))


def test_what_somebody_delivered_counts_as_there() -> None:
    schedule = make_schedule(plan(stream(B, (4, 8, Service.AGREED), base=3), delivered=7))
    assert schedule.regular == (Place(B, 4),)


def test_a_message_behind_a_hole_in_its_stream_is_missing() -> None:
    streams = (stream(B, (2, 1, Service.AGREED)), stream(C, (1, 2, Service.AGREED)))
    assert make_schedule(plan(*streams)) == ((), ())


def test_fifo_goes_where_its_stream_goes() -> None:
    streams = (
        stream(B, (1, 0, Service.FIFO), (2, 1, Service.AGREED), (3, 0, Service.FIFO)),
        stream(C, (1, 2, Service.SAFE), (2, 0, Service.FIFO), (3, 4, Service.AGREED)),
    )
    schedule = make_schedule(plan(*streams))
    assert schedule.regular == (Place(B, 1), Place(B, 2), Place(B, 3))
    assert schedule.transitional == (Place(C, 1), Place(C, 2))


def test_reliable_is_regular_also_behind_a_hole() -> None:
    streams = stream(B, (2, 0, Service.RELIABLE), (3, 0, Service.FIFO))
    assert make_schedule(plan(streams)) == ((Place(B, 2),), ())


def test_a_plan_is_the_union_of_its_cohorts_reports() -> None:
    one = Report(OLD, 3, 1, (A,), (stream(A, (1, 1, Service.SAFE), base=0, holder=A),))
    two = Report(OLD, 2, 2, (C,), (stream(A, (2, 2, Service.SAFE), base=1, holder=B),))
    other = Report(ViewId(5, C), 0, 0, (), (stream(C),))
    plans = make_plans({A: one, B: two, C: other})
    assert list(plans) == [OLD, ViewId(5, C)]
    made = plans[OLD]
    assert made.cohort == (A, B)
    assert (made.delivered, made.stable) == (3, 2)
    assert made.obligation == (A, B, C)
    assert made.streams[0].base == 1
    assert [(one.sequence, one.holder) for one in made.streams[0].held] == [(1, A), (2, B)]
