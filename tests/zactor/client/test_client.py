"""connection.py and request_loop.py, against a real ROUTER with real keys and the real codec."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest
import zmq
from client_world import (
    CHANGE,
    LOOK,
    Doors,
    failure,
    only_probes,
    told,
    wait_until,
)
from deadlines import DEADLINE_S, join
from slowness import Slowness

from zactor.client.endpoints import find_endpoints, parse_endpoint
from zactor.kernel import errors
from zactor.kernel.messages.operations import Answer, Inspect, Problem, Request, Subject
from zactor.kernel.transport import keys
from zactor.kernel.wire import results
from zactor.supervisor.membership import run_directory


def test_an_address_is_a_host_with_or_without_a_port() -> None:
    assert parse_endpoint("10.0.0.7") == "tcp://10.0.0.7:4810"
    assert parse_endpoint("box:5000") == "tcp://box:5000"
    assert parse_endpoint("tcp://[::1]:5000") == "tcp://[::1]:5000"
    with pytest.raises(errors.ConfigError, match="no address"):
        parse_endpoint("box:port")


def test_a_request_ends_with_the_nodes_answer(doors: Doors) -> None:
    connection = doors.connection(doors.porter().endpoint)
    assert connection.request(LOOK).result(DEADLINE_S) == "told"
    assert connection.endpoint == doors.open[0].endpoint.removeprefix("tcp://")


def test_a_long_answer_in_pieces_arrives_whole(doors: Doors) -> None:
    long = ["x" * 1000] * 3000

    def answer(request: Request) -> list[Answer | Problem]:
        return list(results.answers(request.number, long))

    assert doors.connection(doors.porter(answer).endpoint).request(LOOK).result(DEADLINE_S) == long


def test_a_problem_becomes_the_error_it_was(doors: Doors) -> None:
    def answer(request: Request) -> list[Answer | Problem]:
        return [results.problem(request.number, errors.NoSuchActor("no actor c9"))]

    connection = doors.connection(doors.porter(answer).endpoint)
    assert repr(failure(connection.request(LOOK))) == repr(errors.NoSuchActor("no actor c9"))


def test_answers_find_their_requests_in_any_order(doors: Doors) -> None:
    held: list[Request] = []

    def answer(request: Request) -> list[Answer | Problem]:
        if request.operation == Inspect(what=Subject.NODES, argument=""):
            return told(request)
        held.append(request)
        if len(held) < 3:
            return []
        late = [r for r in reversed(held) if isinstance(r.operation, Inspect)]
        return [a for r in late for a in results.answers(r.number, r.operation.argument)]  # type: ignore[union-attr]  # filtered above

    connection = doors.connection(doors.porter(answer).endpoint)
    futures = [connection.request(Inspect(what=Subject.LOG, argument=c)) for c in "abc"]
    assert [future.result(DEADLINE_S) for future in futures] == ["a", "b", "c"]


def test_more_requests_than_may_be_under_way_wait_for_their_turn(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zactor.kernel.limits.DOOR_REQUESTS_MAX", 4)
    porter = doors.porter(only_probes)
    connection = doors.connection(porter.endpoint)
    futures = [connection.request(LOOK) for _ in range(10)]
    wait_until(lambda: len(porter.seen) >= 5)  # the probe and four
    assert connection.request(LOOK, timeout=0.1).exception(5) is not None
    assert len(porter.seen) == 5
    for future in futures[:4]:
        future.cancel()
    connection.request(LOOK)
    wait_until(lambda: len(porter.seen) == 9)


def test_a_request_beyond_the_backlog_is_refused_at_the_callers_line(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zactor.kernel.limits.DOOR_REQUESTS_MAX", 1)
    monkeypatch.setattr("zactor.kernel.limits.CLIENT_BACKLOG_MAX", 3)
    connection = doors.connection(doors.porter(only_probes).endpoint)
    with pytest.raises(errors.MailboxFull, match="3 requests"):
        _ = [connection.request(LOOK) for _ in range(10)]


def test_no_answer_in_time_is_timed_out(doors: Doors) -> None:
    connection = doors.connection(doors.porter(only_probes).endpoint)
    error = failure(connection.request(CHANGE, timeout=0.05))
    assert isinstance(error, errors.TimedOut)
    assert "in 0.05 s" in str(error)


def test_a_cancelled_request_is_forgotten_and_the_next_answered(doors: Doors) -> None:
    porter = doors.porter(only_probes)
    connection = doors.connection(porter.endpoint)

    async def cancel_one() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.wrap_future(connection.request(LOOK))

    asyncio.run(cancel_one())
    porter.answer = told
    assert connection.request(LOOK).result(DEADLINE_S) == "told"


def test_a_node_that_goes_ends_what_was_asked_of_it_at_once(
    doors: Doors, slowness: Slowness
) -> None:
    porter = doors.porter(only_probes)
    connection = doors.connection(porter.endpoint)
    reading, changing = connection.request(LOOK), connection.request(CHANGE)
    wait_until(lambda: len(porter.seen) == 3)
    began = time.monotonic()
    porter.close()
    assert isinstance(failure(reading), errors.NotReachable)
    assert isinstance(failure(changing), errors.OutcomeUnknown)
    assert slowness.quiet_s(time.monotonic() - began) < 1
    wait_until(lambda: connection.endpoint == "")


def test_the_next_request_goes_to_another_node_that_the_first_one_named(doors: Doors) -> None:
    other = doors.porter()
    rows = [{"state": "up", "address": other.endpoint.removeprefix("tcp://")}]

    def answer(request: Request) -> list[Answer | Problem]:
        return list(results.answers(request.number, rows))

    first = doors.porter(answer)
    connection = doors.connection(first.endpoint)
    assert connection.request(LOOK).result(DEADLINE_S) == rows
    first.close()
    wait_until(lambda: connection.endpoint == "")
    assert connection.request(LOOK).result(DEADLINE_S) == "told"
    assert other.seen[-1] == LOOK


def test_without_an_endpoint_any_node_of_the_home_will_do(doors: Doors) -> None:
    gone, there = doors.porter(), doors.porter()
    gone.close()
    for name, porter in (("a", gone), ("b", there)):
        entry = run_directory.RunEntry(
            name=name,
            role="node",
            endpoint=porter.endpoint,
            pid=threading.get_native_id(),
            started=run_directory.process_start(threading.get_native_id()),
        )
        run_directory.write_entry(doors.home, entry)
    assert find_endpoints(doors.home) == [gone.endpoint, there.endpoint]
    assert doors.connection().request(LOOK).result(DEADLINE_S) == "told"


def test_a_home_without_nodes_says_how_to_start_one(doors: Doors) -> None:
    error = failure(doors.connection().request(LOOK))
    assert isinstance(error, errors.NotReachable)
    assert str(error) == (
        f"no node runs in {doors.home}: start one with `zactor master` or `zactor node --name n1`"
    )
    assert not doors.home.exists()  # a client makes no cluster


def test_a_port_where_nobody_listens_is_not_reachable_at_once(
    doors: Doors, slowness: Slowness
) -> None:
    porter = doors.porter()
    porter.close()
    began = time.monotonic()
    error = failure(doors.connection(porter.endpoint).request(CHANGE))
    assert isinstance(error, errors.NotReachable)
    assert "nobody listens there" in str(error)
    assert slowness.quiet_s(time.monotonic() - began) < 1


def test_another_clusters_door_is_refused_with_a_hint(doors: Doors, tmp_path: Path) -> None:
    keys.cluster_keys(tmp_path / "other")
    porter = doors.porter(home=tmp_path / "other")
    for prepare in (lambda: None, lambda: keys.cluster_keys(doors.home)):
        prepare()  # without any keys, then with other ones
        error = failure(doors.connection(porter.endpoint).request(LOOK))
        assert isinstance(error, errors.Refused)
        assert "zactor keys join" in str(error)


def test_a_door_that_hangs_counts_as_gone(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zactor.kernel.limits.CLIENT_PROBE_MS", 100)
    porter = doors.porter(lambda request: [])
    error = failure(doors.connection(porter.endpoint).request(LOOK))
    assert isinstance(error, errors.NotReachable)
    assert "silent for 100 ms" in str(error)


def test_a_node_that_stops_answering_is_given_up_after_a_timeout(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zactor.kernel.limits.CLIENT_PROBE_MS", 100)
    porter = doors.porter()
    connection = doors.connection(porter.endpoint)
    assert connection.request(LOOK).result(DEADLINE_S) == "told"
    porter.answer = lambda request: []
    waiting = connection.request(CHANGE, timeout=60)
    assert isinstance(failure(connection.request(LOOK, timeout=0.05)), errors.TimedOut)
    assert isinstance(failure(waiting), errors.OutcomeUnknown)


def test_closing_ends_what_waits_and_what_comes(doors: Doors) -> None:
    connection = doors.connection(doors.porter(only_probes).endpoint)
    waiting = connection.request(LOOK)
    connection.close()
    connection.close()
    assert isinstance(failure(waiting), errors.NotReachable)
    with pytest.raises(errors.NotReachable, match="connect again"):
        connection.request(LOOK)


def test_garbage_from_a_node_ends_the_connection_not_the_thread(doors: Doors) -> None:
    def answer(request: Request) -> list[Answer | Problem]:
        return [Answer(number=request.number, more=False, result=b"\xc1")]

    connection = doors.connection(doors.porter(answer).endpoint)
    for _ in range(2):
        assert isinstance(failure(connection.request(LOOK)), errors.RemoteProtocolError)


@pytest.mark.parametrize("count", [2000])
def test_many_requests_of_many_threads_each_get_their_answer(doors: Doors, count: int) -> None:
    def answer(request: Request) -> list[Answer | Problem]:
        operation = request.operation
        assert isinstance(operation, Inspect)
        return list(results.answers(request.number, operation.argument))

    connection = doors.connection(doors.porter(answer).endpoint)
    wrong: list[object] = []

    def ask(start: int) -> None:
        texts = [str(start + i) for i in range(count // 4)]
        futures = [connection.request(Inspect(what=Subject.LOG, argument=t)) for t in texts]
        wrong.extend(t for t, f in zip(texts, futures, strict=True) if f.result(DEADLINE_S) != t)

    threads = [threading.Thread(target=ask, args=(n * count,)) for n in range(4)]
    for thread in threads:
        thread.start()
    join(*threads)
    assert wrong == []


def test_the_answers_context_leaves_no_socket_behind(doors: Doors) -> None:
    connection = doors.connection(doors.porter().endpoint)
    assert connection.request(LOOK).result(DEADLINE_S) == "told"
    connection.close()
    with pytest.raises(zmq.ZMQError):
        connection._context.socket(zmq.DEALER)
