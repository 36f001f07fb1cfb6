"""Who gets in, and that nobody does when the authenticator fails (SECURITY: S2, S3, S4)."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

import pytest
import zmq
from deadlines import DEADLINE_S

from zactor.kernel.transport import authenticator, sockets
from zactor.kernel.transport.authenticator import Authenticator
from zactor.kernel.transport.keys import KeyPair, fingerprint


class Raising(Authenticator):
    """Fails whenever it has to look up a key, while `broken`."""

    broken = False

    def label(self, public: bytes | str) -> str | None:
        if self.broken:
            raise RuntimeError("broken")
        return super().label(public)


class Slow(Authenticator):
    """Looks up nothing until `go_on` is set."""

    def __init__(self, context: Any) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        super().__init__(context)

    def label(self, public: bytes | str) -> str | None:
        self.go_on.wait(DEADLINE_S)
        return super().label(public)

    def close(self) -> None:
        self.go_on.set()
        super().close()


def connected(bound: Any) -> zmq.Socket[bytes]:
    """Return an honest client that is in."""
    client: zmq.Socket[bytes] = bound.client()
    bound.exchange(client, b"before")
    return client


def kill_thread(bound: Any, wait_until: Callable[..., None]) -> None:
    """End the authenticator's thread as a fatal error in it would."""
    thread = bound.authenticator._thread
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    bound.client()  # a knock wakes it up
    wait_until(lambda: not bound.authenticator.alive)


dies_in_a_test = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


# -- who gets in -----------------------------------------------------------------------------
def test_an_admitted_key_gets_in_and_bears_its_name(bound: Any) -> None:
    assert bound.serve_an_honest_client() < 1
    assert bound.authenticator.label(bound.keys.door.public) == "door"
    assert bound.authenticator.label(bound.keys.door.public.decode()) == "door"
    assert bound.authenticator.refused == 0


def test_a_routing_id_that_another_client_bore_gives_nobody_its_name(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    node = KeyPair(*zmq.curve_keypair())
    bound.authenticator.admit(node.public, "n2")

    def is_free() -> bool:  # the ROUTER hears of the end later than the counter
        try:
            bound.door.send_multipart([b"the same", b""], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            return bool(error.errno == zmq.EHOSTUNREACH)
        return False

    def said_by(pair: KeyPair) -> Any:
        """A client whose message has arrived."""
        for _ in range(20):
            wait_until(is_free)
            client = bound.keep(bound.context.socket(zmq.DEALER))
            client.set(zmq.ROUTING_ID, b"the same")
            client.set(zmq.CURVE_PUBLICKEY, pair.public)
            client.set(zmq.CURVE_SECRETKEY, pair.secret)
            client.set(zmq.CURVE_SERVERKEY, bound.keys.server.public)
            client.connect(bound.endpoint)
            client.send(b"who am I")
            if bound.door.poll(1_000):
                return client
            client.close(linger=0)  # the ROUTER still had the former, and takes nothing of this one
        raise AssertionError("nothing arrives")

    for pair in (bound.keys.door, node):
        client = said_by(pair)
        routing_id, body = bound.door.recv_multipart(copy=False)
        assert routing_id.bytes == b"the same"
        assert sockets.user_id(body) == pair.public.decode()
        client.close(linger=0)


def test_a_message_of_nobody_has_no_user_id() -> None:
    assert sockets.user_id(zmq.Frame(b"made here")) == ""


def test_a_key_nobody_introduced_is_refused_counted_and_logged_once(
    bound: Any,
    stranger: KeyPair,
    wait_until: Callable[..., None],
    logged: list[dict[str, Any]],
) -> None:
    clients = [bound.client(stranger) for _ in range(5)]
    for client in clients:
        client.send(b"let me in")
    wait_until(lambda: bound.authenticator.refused >= 5)
    bound.assert_nothing_delivered()
    lines = [line for line in logged if line["event"] == "key_refused"]
    assert len(lines) == 1
    assert lines[0]["key"] == fingerprint(stranger.public)
    assert lines[0]["address"] == "127.0.0.1"
    assert bound.serve_an_honest_client() < 1


def test_whoever_wants_to_know_is_told_of_a_refusal(stranger: KeyPair, bound: Any) -> None:
    told: list[tuple[str, str]] = []
    heard = threading.Event()

    def on_refused(print_: str, address: str) -> None:
        told.append((print_, address))
        heard.set()
        raise RuntimeError("a callback that fails hurts nobody")

    bound.authenticator._on_refused = on_refused
    bound.client(stranger)
    assert heard.wait(DEADLINE_S)
    assert told == [(fingerprint(stranger.public), "127.0.0.1")]
    assert bound.serve_an_honest_client() < 1
    assert bound.authenticator.alive


def test_an_unknown_key_waits_a_moment_for_its_introduction(
    bound: Any, stranger: KeyPair, wait_until: Callable[..., None]
) -> None:
    client = bound.client(stranger)
    client.send(b"early")
    wait_until(lambda: bound.authenticator._waiting)
    bound.authenticator.admit(stranger.public, "n2")
    assert bound.door.poll(20_000)
    assert bound.authenticator.refused == 0


def test_no_more_than_so_many_unknown_keys_wait(
    bound: Any,
    stranger: KeyPair,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., None],
) -> None:
    monkeypatch.setattr(authenticator, "KEYS_WAITING_MAX", 1)
    monkeypatch.setattr(authenticator, "KEY_GRACE_MS", 100_000)
    for _ in range(3):
        bound.client(stranger)
    wait_until(lambda: bound.authenticator.refused == 2)
    assert len(bound.authenticator._waiting) == 1


def test_an_expelled_key_gets_no_new_connection_and_has_no_name_on_its_old_one(
    bound: Any, stranger: KeyPair, wait_until: Callable[..., None]
) -> None:
    bound.authenticator.admit(stranger.public, "n2")
    old = bound.client(stranger)
    old.send(b"one")
    assert bound.door.poll(20_000)
    bound.door.recv_multipart()
    bound.authenticator.expel(stranger.public)
    new = bound.client(stranger)
    new.send(b"two")
    wait_until(lambda: bound.authenticator.refused)
    bound.assert_nothing_delivered()
    old.send(b"three")
    assert bound.door.poll(20_000)
    frame = bound.door.recv_multipart(copy=False)[1]
    assert bound.authenticator.label(sockets.user_id(frame)) is None
    assert bound.serve_an_honest_client() < 1


def test_expelling_a_key_that_is_not_there_is_no_error(bound: Any, stranger: KeyPair) -> None:
    bound.authenticator.expel(stranger.public)


# -- it fails closed -------------------------------------------------------------------------
def test_without_an_authenticator_nobody_gets_in(
    make_bound_door: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    bound = make_bound_door(None)
    bound.client().send(b"let me in")
    wait_until(lambda: bound.counter.accepted)
    bound.assert_nothing_delivered()
    assert bound.counter.succeeded == 0


@dies_in_a_test
def test_while_its_thread_is_dead_nobody_new_gets_in_and_who_is_in_stays(
    bound: Any, wait_until: Callable[..., None]
) -> None:
    client = connected(bound)
    kill_thread(bound, wait_until)
    wait_until(lambda: bound.counter.accepted == 2)  # the client's, and the knock
    accepted = bound.counter.accepted
    bound.client().send(b"let me in")
    wait_until(lambda: bound.counter.accepted > accepted)
    bound.assert_nothing_delivered()
    assert bound.counter.succeeded == 1
    bound.exchange(client, b"meanwhile")


@dies_in_a_test
def test_the_watchdog_starts_a_dead_thread_again_with_an_alarm(
    bound: Any, wait_until: Callable[..., None], logged: list[dict[str, Any]]
) -> None:
    client = connected(bound)
    assert bound.authenticator.check()
    kill_thread(bound, wait_until)
    assert not bound.authenticator.check()
    assert bound.authenticator.alive
    alarms = [line for line in logged if line["event"] == "authenticator_restarted"]
    assert [line["level"] for line in alarms] == ["error"]
    assert bound.serve_an_honest_client() < 1
    bound.exchange(client, b"after")
    assert bound.authenticator.check()


def test_a_lookup_that_raises_lets_nobody_in_and_the_thread_lives(
    make_bound_door: Callable[..., Any],
    wait_until: Callable[..., None],
    logged: list[dict[str, Any]],
) -> None:
    bound = make_bound_door(Raising)
    client = connected(bound)
    bound.authenticator.broken = True
    late = bound.client()
    late.send(b"let me in")
    wait_until(lambda: bound.authenticator.refused)
    bound.assert_nothing_delivered()
    bound.exchange(client, b"meanwhile")
    assert bound.authenticator.alive
    assert "authenticator_failed" in {line["event"] for line in logged}
    bound.authenticator.broken = False
    assert bound.door.poll(20_000), "who was refused by mistake must get in afterwards"


def test_a_slow_lookup_lets_nobody_in_before_its_answer_and_who_is_in_stays(
    make_bound_door: Callable[..., Any], wait_until: Callable[..., None]
) -> None:
    bound = make_bound_door(Slow)
    client = connected(bound)
    bound.authenticator.go_on.clear()
    late = bound.client()
    late.send(b"let me in")
    wait_until(lambda: bound.counter.failed_early)  # HANDSHAKE_MS is over
    bound.assert_nothing_delivered()
    bound.exchange(client, b"meanwhile")
    bound.authenticator.go_on.set()
    assert bound.door.poll(20_000), "it must get in once the answers come again"


def test_nobody_in_another_domain_or_without_a_key_is_let_in(bound: Any) -> None:
    asker = bound.keep(bound.context.socket(zmq.REQ))
    asker.connect(authenticator.ZAP_ENDPOINT)
    good = [b"1.0", b"7", b"zactor", b"::1", b"", b"CURVE", b"k" * 32]
    for wrong in (
        [*good[:2], b"other", *good[3:]],
        [*good[:5], b"PLAIN", b"user", b"password"],
        [*good[:5], b"NULL"],
        [*good[:6], b"short"],
        [b"9.9", *good[1:]],
        [b"1.0"],
    ):
        asker.send_multipart(wrong)
        assert asker.poll(20_000)
        assert asker.recv_multipart()[2] == b"400"
    assert bound.serve_an_honest_client() < 1


def test_a_closed_one_leaves_its_place_to_the_next(make_bound_door: Callable[..., Any]) -> None:
    bound = make_bound_door(None)
    for _ in range(20):
        Authenticator(bound.context).close()
    with Authenticator(bound.context) as last:
        last.admit(bound.keys.door.public, "door")
        assert bound.serve_an_honest_client() < 1
        last.close()  # a second time is no error
    assert not last.alive
    assert last.check(), "a closed one is not started again"
