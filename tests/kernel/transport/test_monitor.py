from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import zmq
from deadlines import DEADLINE_S

from zactor.kernel.transport import sockets
from zactor.kernel.transport.keys import KeyPair
from zactor.kernel.transport.monitor import HandshakeCounter, MonitorThread

Told = list[tuple[int, int, str]]


def recorder() -> tuple[Told, Callable[[int, int, str], None]]:
    told: Told = []
    return told, lambda event, value, endpoint: told.append((event, value, endpoint))


def test_events_are_told_in_order_in_the_monitors_thread(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    threads: set[str] = set()
    told: list[int] = []

    def callback(event: int, _value: int, endpoint: str) -> None:
        assert endpoint == bound.endpoint
        threads.add(threading.current_thread().name)
        told.append(event)

    mask = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED
    sockets_made: list[zmq.Socket[bytes]] = []
    for _ in range(3):
        sockets_made.append(
            bound.keep(
                sockets.connect_link(
                    bound.context,
                    bound.endpoint,
                    bound.keys.door,
                    bound.keys.server.public,
                    before=lambda socket: bound.monitor.watch(socket, mask, callback),
                )
            )
        )
    wait_until(lambda: told.count(zmq.EVENT_HANDSHAKE_SUCCEEDED) == 3)
    assert threads == {"zactor-monitor"}
    assert set(told) == {zmq.EVENT_CONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED}


def test_after_unwatch_nothing_is_told(bound: Any, wait_until: Callable[..., None]) -> None:
    told, callback = recorder()
    client = bound.client()
    bound.monitor.watch(client, zmq.EVENT_ALL, callback)
    bound.monitor.unwatch(client)
    before = len(told)
    bound.exchange(client)
    client.close()
    assert len(told) == before
    bound.monitor.unwatch(client)  # a second time is no error


def test_what_was_on_its_way_when_unwatch_was_called_is_not_told(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    told, callback = recorder()
    held, go_on = threading.Event(), threading.Event()

    def hold(_event: int, _value: int, _endpoint: str) -> None:
        held.set()
        go_on.wait(DEADLINE_S)

    client, other = bound.client(), bound.client()
    bound.exchange(client)
    bound.exchange(other)
    bound.monitor.watch(other, zmq.EVENT_ALL, hold)
    bound.monitor.watch(client, zmq.EVENT_ALL, callback)
    other.disconnect(bound.endpoint)
    other.connect(bound.endpoint)
    assert held.wait(DEADLINE_S)
    client.disconnect(bound.endpoint)
    client.connect(bound.endpoint)
    bound.exchange(client)  # so its events are queued now, behind the one that is held
    bound.monitor.unwatch(client)
    go_on.set()
    last, record = recorder()
    bound.monitor.watch(client, zmq.EVENT_ALL, record)
    client.disconnect(bound.endpoint)
    client.connect(bound.endpoint)
    wait_until(lambda: last)
    assert not told


def test_a_socket_can_be_watched_again(bound: Any, wait_until: Callable[..., None]) -> None:
    _told, callback = recorder()
    client = bound.client()
    for _ in range(50):
        bound.monitor.watch(client, zmq.EVENT_ALL, callback)
        bound.monitor.unwatch(client)
    bound.monitor.watch(client, zmq.EVENT_DISCONNECTED, callback)
    bound.exchange(client)
    client.disconnect(bound.endpoint)
    bound.exchange(bound.client(), b"another")


def test_sockets_that_come_and_go_while_watched_stop_nothing(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    _told, callback = recorder()
    for number in range(60):
        link = sockets.connect_link(
            bound.context,
            bound.endpoint,
            bound.keys.door,
            bound.keys.server.public,
            before=lambda socket: bound.monitor.watch(socket, zmq.EVENT_ALL, callback),
        )
        if number % 3:
            assert link.poll(20_000, zmq.POLLOUT)
        if number % 2:
            bound.monitor.unwatch(link)  # else it is closed while it is watched
        link.close()
    assert bound.serve_an_honest_client() < 1
    assert len(bound.monitor._watched) <= 2, "closed sockets must be forgotten"


def test_descriptors_that_were_never_there_before_leave_nothing(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    """Python keeps each combination of an enumeration's flags: values are none."""
    told, callback = recorder()
    mask = int(zmq.EVENT_CONNECTED)
    names = len(zmq.Event._value2member_map_)
    for _ in range(40):  # all stay, so each connection has a descriptor of its own
        bound.keep(
            sockets.connect_link(
                bound.context,
                bound.endpoint,
                bound.keys.door,
                bound.keys.server.public,
                before=lambda socket: bound.monitor.watch(socket, mask, callback),
            )
        )
    wait_until(lambda: len(told) == 40)
    assert len({value for _, value, _ in told}) == 40
    assert len(zmq.Event._value2member_map_) == names


def test_a_callback_that_raises_is_told_once_and_stops_nothing(
    bound: Any, wait_until: Callable[..., None], logged: list[dict[str, Any]]
) -> None:
    def callback(_event: int, _value: int, _endpoint: str) -> None:
        raise RuntimeError("broken")

    client = bound.client()
    bound.monitor.watch(client, zmq.EVENT_ALL, callback)
    other = bound.client()
    told, record = recorder()
    bound.monitor.watch(other, zmq.EVENT_ALL, record)
    client.disconnect(bound.endpoint)
    client.connect(bound.endpoint)
    wait_until(lambda: "monitor_callback_failed" in {line["event"] for line in logged})
    bound.exchange(client)
    other.disconnect(bound.endpoint)
    wait_until(lambda: told)
    assert [line["event"] for line in logged].count("monitor_callback_failed") == 1


def test_closing_with_sockets_still_watched_and_busy_leaves_them_working(
    make_bound_door: Callable[..., Any],
) -> None:
    bound = make_bound_door()
    client = bound.client()
    bound.monitor.watch(client, zmq.EVENT_ALL, lambda *_: None)
    bound.exchange(client, b"before")
    bound.monitor.close()
    bound.exchange(client, b"after")
    assert bound.serve_an_honest_client() < 1
    bound.monitor.close()  # a second time is no error


def test_a_monitor_with_nothing_to_watch_ends() -> None:
    context = sockets.context()
    with MonitorThread(context):
        pass
    context.term()


# -- counting handshakes ---------------------------------------------------------------------
def test_every_way_to_fail_is_counted_as_what_it_is(
    bound: Any,
    stranger: KeyPair,
    wait_until: Callable[..., None],
    logged: list[dict[str, Any]],
) -> None:
    counter: HandshakeCounter = bound.counter
    bound.exchange(bound.client())
    wait_until(lambda: counter.succeeded == 1)
    assert counter.counts() | {"accepted": 1, "succeeded": 1} == counter.counts()
    bound.client(stranger)
    wait_until(lambda: counter.failed_auth >= 1)
    with bound.raw() as raw:
        raw.sendall(b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\0NULL" + b"\0" * 48)
        wait_until(lambda: counter.failed_protocol >= 1)
    with bound.raw() as raw:
        raw.sendall(b"\xff")
    wait_until(lambda: counter.failed_early >= 1)
    assert counter.succeeded == 1
    lines = [line for line in logged if line["event"] == "handshake_refused"]
    assert len(lines) == 1, "one line for a burst"


def test_a_hundred_thousand_connections_leave_a_handful_of_numbers(
    logged: list[dict[str, Any]],
) -> None:
    counter = HandshakeCounter()
    before = sum(sys.getsizeof(value) for value in vars(counter).values())
    for _ in range(100_000):
        counter(zmq.EVENT_ACCEPTED, 7, "tcp://127.0.0.1:4810")
        counter(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, 32, "tcp://127.0.0.1:4810")
        counter(zmq.EVENT_DISCONNECTED, 7, "tcp://127.0.0.1:4810")
    after = sum(sys.getsizeof(value) for value in vars(counter).values())
    assert counter.counts()["failed_early"] == counter.accepted == 100_000
    assert after - before < 100
    assert len(logged) <= 2
