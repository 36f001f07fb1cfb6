"""What others may have a node write and keep, however often they say it."""

from __future__ import annotations

import msgspec
import pytest
import zmq
from rude_clients import resident_bytes, rude_client

from zactor import connect
from zactor.kernel import limits
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.client_sessions import OpenSession
from zactor.kernel.messages.operations import Answer, Hello, Problem
from zactor.kernel.transport.keys import cluster_keys
from zactor.lab.lab import Lab, until

TIMES = 300
LINES_MAX = 100  # of TIMES, with those that a busy machine lets through in further bursts
UNMET_BYTES_MAX = 64 << 20


def hello(cluster: str, name: str) -> Hello:
    """What a node says at a door, with a key of its own."""
    there = "tcp://127.0.0.1:9"
    key = zmq.curve_keypair()[0].decode()
    return Hello(WIRE_VERSION, cluster, name, 1, "node", key, there, there, (3, 11), (0, 0))


def lines(lab: Lab, event: str) -> list[str]:
    return [line for line in lab.output("n1").splitlines() if f'"{event}"' in line]


@pytest.mark.parametrize("name", ["stranger", "no name\x1b[2J", "x" * 100_000])
def test_refused_nodes_write_little_into_the_log(lab: Lab, name: str) -> None:
    lab.start("n1")
    with rude_client(lab.home, lab.endpoint("n1")) as client:
        for _ in range(TIMES):
            assert isinstance(client.ask(hello("another", name)), Problem)
    told = lines(lab, "hello_refused")
    assert 1 <= len(told) < LINES_MAX
    assert max(map(len, told)) < 2 * limits.LOG_VALUE_CHARS_MAX


def test_sessions_that_are_opened_and_left_write_little_into_the_log(lab: Lab) -> None:
    lab.start("n1")
    for number in range(TIMES // 3):
        with rude_client(lab.home, lab.endpoint("n1")) as client:
            assert isinstance(client.ask(OpenSession(f"s{number}\x1b[2J")), Answer)
    until("one was missed", lambda: bool(lines(lab, "group_client_lost")))
    assert len(lines(lab, "group_client_lost")) < LINES_MAX // 2


@pytest.mark.slow
def test_nodes_that_say_hello_and_no_more_cost_little_and_are_forgotten(lab: Lab) -> None:
    lab.start("n1")
    cluster = cluster_keys(lab.home).cluster
    pid = lab.pid("n1")
    with (
        connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m,
        rude_client(lab.home, lab.endpoint("n1")) as client,
    ):
        m.status()
        before = resident_bytes(pid)
        answers = [client.ask(hello(cluster, f"x{number}")) for number in range(2 * TIMES)]
        assert resident_bytes(pid) - before < UNMET_BYTES_MAX
        refused = [answer for answer in answers if isinstance(answer, Problem)]
        assert refused
        assert "no more" in refused[0].message
        m.status()
        until(
            "there is room again",
            lambda: isinstance(client.ask(hello(cluster, "late")), Answer),
        )
        m.status()
    assert len(lines(lab, "peer_dropped")) < LINES_MAX


@pytest.mark.parametrize(
    "change",
    [
        {"role": "king"},
        {"key": "k"},
        {"key": "\x1b" * 40},
        {"endpoint": "x" * 1_000_000},
        {"heartbeats": "nowhere\x1b[2J"},
        {"incarnation": -1},
        {"name": ""},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_hello_that_no_node_says_is_refused(lab: Lab, change: dict[str, object]) -> None:
    lab.start("n1")
    said = hello(cluster_keys(lab.home).cluster, "n2")
    with rude_client(lab.home, lab.endpoint("n1")) as client:
        answer = client.ask(msgspec.structs.replace(said, **change))
        assert isinstance(answer, Problem)
        assert len(answer.message) < 1_000
        assert answer.message.isprintable()
        assert isinstance(client.ask(said), Answer)
