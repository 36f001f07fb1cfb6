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
    ground: Any, wait_until: Callable[..., None]
) -> None:
    threads: set[str] = set()
    told: list[int] = []

    def callback(event: int, _value: int, endpoint: str) -> None:
        assert endpoint == ground.endpoint
        threads.add(threading.current_thread().name)
        told.append(event)

    mask = zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED
    sockets_made: list[zmq.Socket[bytes]] = []
    for _ in range(3):
        sockets_made.append(
            ground.keep(
                sockets.connect_link(
                    ground.context,
                    ground.endpoint,
                    ground.keys.door,
                    ground.keys.server.public,
                    before=lambda socket: ground.monitor.watch(socket, mask, callback),
                )
            )
        )
    wait_until(lambda: told.count(zmq.EVENT_HANDSHAKE_SUCCEEDED) == 3)
    assert threads == {"zactor-monitor"}
    assert set(told) == {zmq.EVENT_CONNECTED, zmq.EVENT_HANDSHAKE_SUCCEEDED}


def test_after_unwatch_nothing_is_told(ground: Any, wait_until: Callable[..., None]) -> None:
    told, callback = recorder()
    client = ground.client()
    ground.monitor.watch(client, zmq.EVENT_ALL, callback)
    ground.monitor.unwatch(client)
    before = len(told)
    ground.exchange(client)
    client.close()
    assert len(told) == before
    ground.monitor.unwatch(client)  # a second time is no error


def test_what_was_on_its_way_when_unwatch_was_called_is_not_told(
    ground: Any, wait_until: Callable[..., None]
) -> None:
    told, callback = recorder()
    held, go_on = threading.Event(), threading.Event()

    def hold(_event: int, _value: int, _endpoint: str) -> None:
        held.set()
        go_on.wait(DEADLINE_S)

    client, other = ground.client(), ground.client()
    ground.exchange(client)
    ground.exchange(other)
    ground.monitor.watch(other, zmq.EVENT_ALL, hold)
    ground.monitor.watch(client, zmq.EVENT_ALL, callback)
    other.disconnect(ground.endpoint)
    other.connect(ground.endpoint)
    assert held.wait(DEADLINE_S)
    client.disconnect(ground.endpoint)
    client.connect(ground.endpoint)
    ground.exchange(client)  # so its events are queued now, behind the one that is held
    ground.monitor.unwatch(client)
    go_on.set()
    last, record = recorder()
    ground.monitor.watch(client, zmq.EVENT_ALL, record)
    client.disconnect(ground.endpoint)
    client.connect(ground.endpoint)
    wait_until(lambda: last)
    assert not told


def test_a_socket_can_be_watched_again(ground: Any, wait_until: Callable[..., None]) -> None:
    _told, callback = recorder()
    client = ground.client()
    for _ in range(50):
        ground.monitor.watch(client, zmq.EVENT_ALL, callback)
        ground.monitor.unwatch(client)
    ground.monitor.watch(client, zmq.EVENT_DISCONNECTED, callback)
    ground.exchange(client)
    client.disconnect(ground.endpoint)
    ground.exchange(ground.client(), b"another")


def test_sockets_that_come_and_go_while_watched_stop_nothing(
    ground: Any, wait_until: Callable[..., None]
) -> None:
    _told, callback = recorder()
    for number in range(60):
        link = sockets.connect_link(
            ground.context,
            ground.endpoint,
            ground.keys.door,
            ground.keys.server.public,
            before=lambda socket: ground.monitor.watch(socket, zmq.EVENT_ALL, callback),
        )
        if number % 3:
            assert link.poll(1000, zmq.POLLOUT)
        if number % 2:
            ground.monitor.unwatch(link)  # else it is closed while it is watched
        link.close()
    assert ground.serve_an_honest_client() < 1
    assert len(ground.monitor._watched) <= 2, "closed sockets must be forgotten"


def test_a_callback_that_raises_is_told_once_and_stops_nothing(
    ground: Any, wait_until: Callable[..., None], logged: list[dict[str, Any]]
) -> None:
    def callback(_event: int, _value: int, _endpoint: str) -> None:
        raise RuntimeError("broken")

    client = ground.client()
    ground.monitor.watch(client, zmq.EVENT_ALL, callback)
    other = ground.client()
    told, record = recorder()
    ground.monitor.watch(other, zmq.EVENT_ALL, record)
    client.disconnect(ground.endpoint)
    client.connect(ground.endpoint)
    wait_until(lambda: "monitor_callback_failed" in {line["event"] for line in logged})
    ground.exchange(client)
    other.disconnect(ground.endpoint)
    wait_until(lambda: told)
    assert [line["event"] for line in logged].count("monitor_callback_failed") == 1


def test_closing_with_sockets_still_watched_and_busy_leaves_them_working(
    make_ground: Callable[..., Any],
) -> None:
    ground = make_ground()
    client = ground.client()
    ground.monitor.watch(client, zmq.EVENT_ALL, lambda *_: None)
    ground.exchange(client, b"before")
    ground.monitor.close()
    ground.exchange(client, b"after")
    assert ground.serve_an_honest_client() < 1
    ground.monitor.close()  # a second time is no error


def test_a_monitor_with_nothing_to_watch_ends() -> None:
    context = sockets.context()
    with MonitorThread(context):
        pass
    context.term()


# -- counting handshakes ---------------------------------------------------------------------
def test_every_way_to_fail_is_counted_as_what_it_is(
    ground: Any, stranger: KeyPair, wait_until: Callable[..., None], logged: list[dict[str, Any]]
) -> None:
    counter: HandshakeCounter = ground.counter
    ground.exchange(ground.client())
    wait_until(lambda: counter.succeeded == 1)
    assert counter.counts() | {"accepted": 1, "succeeded": 1} == counter.counts()
    ground.client(stranger)
    wait_until(lambda: counter.failed_auth >= 1)
    with ground.raw() as raw:
        raw.sendall(b"\xff" + b"\0" * 8 + b"\x7f" + b"\x03\0NULL" + b"\0" * 48)
        wait_until(lambda: counter.failed_protocol >= 1)
    with ground.raw() as raw:
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
