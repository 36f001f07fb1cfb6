"""A request that is over keeps nothing, though its deadline is still to come."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from zactor.client.pending_request import PendingRequest
from zactor.kernel import errors
from zactor.kernel.messages.operations import Inspect, Subject


class Answer:
    """Something that can be looked after."""


class Failure(errors.NotReachable):
    """An error that can be looked after."""


def pending() -> tuple[PendingRequest, Future[object]]:
    future: Future[object] = Future()
    return PendingRequest(Inspect(what=Subject.NODES, argument=""), future, 0.0, 30.0), future


@pytest.mark.parametrize(
    ("what", "end"),
    [(Answer, PendingRequest.settle), (Failure, PendingRequest.fail)],
    ids=["an answer", "an error"],
)
def test_what_came_of_it_is_kept_by_who_asked_alone(
    what: type[object], end: Callable[[PendingRequest, object], None]
) -> None:
    request, future = pending()
    outcome = what()
    seen = weakref.ref(outcome)
    end(request, outcome)
    assert future.done()
    assert request.future.done()
    assert request.operation is None
    del outcome, future
    assert seen() is None


def test_the_second_end_of_a_request_changes_nothing() -> None:
    request, future = pending()
    request.settle("first")
    request.fail(errors.TimedOut("too late"))
    request.settle("second")
    assert future.result() == "first"


def test_a_request_that_was_cancelled_ends_without_a_word() -> None:
    request, future = pending()
    assert future.cancel()
    request.settle("nobody asks any more")
    assert future.cancelled()
