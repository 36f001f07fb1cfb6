"""A change whose node goes before it has answered is asked again at another, and done once."""

from __future__ import annotations

from collections.abc import Callable

from client_world import (
    CHANGE,
    Doors,
    failure,
    only_probes,
    wait_until,
)
from deadlines import DEADLINE_S

from zactor.kernel import errors
from zactor.kernel.messages.operations import Answer, DestroyActor, Inspect, Problem, Request
from zactor.kernel.wire import results

DESTROY = DestroyActor(name="c1", todo=True, drain_s=-1.0)


def silent_but_knows(
    endpoint: str,
) -> Callable[[Request], list[Answer | Problem]]:
    """A node that tells of another one, and then says nothing to anything."""
    rows = [{"state": "up", "address": endpoint.removeprefix("tcp://")}]

    def answer(request: Request) -> list[Answer | Problem]:
        probe = isinstance(request.operation, Inspect)
        return list(results.answers(request.number, rows)) if probe else []

    return answer


def test_a_change_whose_node_goes_is_asked_again_at_another_under_the_same_id(
    doors: Doors,
) -> None:
    other = doors.porter()
    first = doors.porter(silent_but_knows(other.endpoint))
    connection = doors.connection(first.endpoint)
    changes = [connection.request(DESTROY, timeout=60) for _ in range(2)]
    telling = connection.request(CHANGE)
    wait_until(lambda: len(first.seen) == 4)
    first.close()
    assert [change.result(DEADLINE_S) for change in changes] == ["told", "told"]
    assert isinstance(failure(telling), errors.OutcomeUnknown), "what has no id isn't"
    ids = [name for name in first.ids if name]
    assert len(set(ids)) == 2
    assert [name for name in other.ids if name] == ids, "in the same order too"
    assert connection.request(DESTROY).result(DEADLINE_S) == "told"
    assert other.ids[-1] not in ids, "another request is another"


def test_a_change_that_no_other_node_can_be_asked_for_may_have_been_done(doors: Doors) -> None:
    porter = doors.porter(only_probes)
    connection = doors.connection(porter.endpoint)
    change = connection.request(DESTROY)
    wait_until(lambda: len(porter.seen) == 2)
    porter.close()
    error = failure(change)
    assert isinstance(error, errors.OutcomeUnknown)
    assert str(error).endswith("it may have been done, look first")


def test_a_change_that_was_never_sent_was_not_done(doors: Doors) -> None:
    porter = doors.porter()
    porter.close()
    assert isinstance(
        failure(doors.connection(porter.endpoint).request(DESTROY)), errors.NotReachable
    )


def test_a_change_that_is_asked_again_keeps_its_time(doors: Doors) -> None:
    other = doors.porter(only_probes)
    first = doors.porter(silent_but_knows(other.endpoint))
    connection = doors.connection(first.endpoint)
    change = connection.request(DESTROY, timeout=0.6)
    wait_until(lambda: len(first.seen) == 2)
    first.close()
    error = failure(change)
    assert isinstance(error, errors.TimedOut)
    assert str(error).endswith("it may still be done")


def test_who_is_asked_next_and_takes_no_changes_cannot_say_that_nothing_was_done(
    doors: Doors,
) -> None:
    def refuse(request: Request) -> list[Answer | Problem]:
        if isinstance(request.operation, Inspect):
            return only_probes(request)
        return [results.problem(request.number, errors.NotPrimary("n2 sees 1 of 3 members"))]

    other = doors.porter(refuse)
    first = doors.porter(silent_but_knows(other.endpoint))
    connection = doors.connection(first.endpoint)
    change = connection.request(DESTROY, timeout=60)
    wait_until(lambda: len(first.seen) == 2)
    first.close()
    error = failure(change)
    assert isinstance(error, errors.OutcomeUnknown)
    assert str(error) == "n2 sees 1 of 3 members: it may have been done, look first"
    assert isinstance(failure(connection.request(DESTROY)), errors.NotPrimary), "asked only there"
