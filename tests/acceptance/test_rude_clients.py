"""What one client may do to a node: little memory, no stillness, nothing of the node's own."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest
from deadlines import DEADLINE_S
from rude_clients import COUNTER, DONE_S, Unmet, busy_s, demand, resident_bytes, rude_client
from slow_marks import all_slow_but
from slowness import Slowness

from zactor import ZactorError, connect
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import (
    AskActor,
    DeclareFactory,
    DeployActor,
    EmitSignal,
    GetPart,
    Inspect,
    Operation,
    PutPart,
    QueryFacts,
    Subject,
    TellActor,
    Waiting,
)
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.wire.payload import encode
from zactor.lab.lab import Lab, until

UNREAD_BYTES_MAX = 64 << 20
# A mailbox may hold 32 MiB of what clients sent, one client may have as much under way, and malloc
# keeps of it what is scattered; three clients say 300 MiB.
ASKED_BYTES_MAX = 128 << 20
WAITING_BYTES_MAX = 32 << 20
HELD_S_MAX = 0.3  # the others call a node stuck after twice that
PIECES = 300
WATCHED_S = 5.0
FRAME_CHARS = 10_000  # of each of many queries: beyond what is read

NODES = ",".join(f"node(A{number}, B{number})" for number in range(20))
DOUBLED = ",".join(f"X{number + 1} = f(X{number},X{number})" for number in range(40))
PADDED = COUNTER.replace(
    "    @action", "    def __init__(self, padding: str) -> None: ...\n\n    @action", 1
).replace("Counter", "Padded")
QUERIES = {  # the first has 2 ** 20 solutions but for its end
    "a join": f"{NODES}, nope(X)",
    "a huge answer": NODES,
    "a negated join": f"\\+ ({NODES}, nope(X))",
    "deep terms": f"{DOUBLED}, node(X0, X40)",
    "arguments": f"f({','.join('a' * 500_000)})",
    "a list": f"X = [{','.join('a' * 500_000)}]",
}


def declare(lab: Lab, at: str, padding: str = "") -> str:
    """Declare a factory; return the identity of its bundle."""
    source = lab.home / "counter.py"
    source.write_text(f"{COUNTER}\nPADDING = {padding!r}\n")
    with connect(lab.endpoint(at), home=lab.home, timeout=20) as m:
        return str(m.declare_factory("counter", source)["bundle"])


# -- memory ----------------------------------------------------------------------------------
def write_facts(lab: Lab) -> None:
    """Make the knowledge base so long that a list of it is a megabyte."""
    source = lab.home / "padded.py"
    source.write_text(PADDED)
    with connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m:
        m.declare_factory("padded", source)
        for number in range(4):
            m.deploy_actor("padded", f"p{number}", "n1", padding="x" * 250_000)


UNREAD: dict[str, Operation] = {
    "facts": Inspect(Subject.FACTS, ""),
    "changes": Inspect(Subject.LOG, ""),
    "reasons": Inspect(Subject.WHY, "padded"),
    "solutions": QueryFacts("spec(X,Y,Z,_)", 0.0),
}


@pytest.mark.parametrize("asked", all_slow_but(set(), ["pieces", *UNREAD]))
def test_a_client_that_reads_no_answers_costs_a_node_little_memory(lab: Lab, asked: str) -> None:
    lab.start("n1")
    if asked == "pieces":
        operation: Operation = GetPart(declare(lab, "n1", os.urandom(700_000).hex()), 0)
    else:
        operation = UNREAD[asked]
        write_facts(lab)
    pid = lab.pid("n1")
    with (
        connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m,
        rude_client(lab.home, lab.endpoint("n1"), small=True) as client,
    ):
        m.status()
        before = resident_bytes(pid)
        for _ in range(PIECES):
            client.send(operation)
        end = time.monotonic() + WATCHED_S
        while time.monotonic() < end:
            m.status()  # others are served
            grown = resident_bytes(pid) - before
            demand(grown < UNREAD_BYTES_MAX, f"it grew by {grown >> 20} MiB")


SLEEPER = """
import asyncio

from zactor import Actor, action


class Sleeper(Actor):
    @action
    async def sleep(self, text: str) -> None:
        await asyncio.sleep(3_600)

    @action
    def ping(self) -> int:
        return 1
"""
LONG = encode((), {"text": "x" * 1_000_000}, "data")
HELD: dict[str, Operation] = {
    "asks": AskActor("s", "sleep", LONG, True),
    "tells": TellActor("s", "sleep", LONG),
    "signals": EmitSignal("awake", "sleep", LONG, anyway=True),
    "deployments": DeployActor("none", "x", "n1", LONG),
    "pieces": PutPart("sha256:" + "0" * 64, 1_000_000, 60_000_000, b"x" * 1_000_000),
    "names": DeclareFactory("x" * 500_000, "y" * 500_000),
}


@pytest.mark.parametrize("asked", all_slow_but({"tells"}, HELD))
def test_what_a_client_asks_costs_a_node_little_memory_however_long_it_takes(
    lab: Lab, asked: str
) -> None:
    """Each of three clients leaves, and what it told actors stays."""
    lab.start("n1")
    (lab.home / "sleeper.py").write_text(SLEEPER)
    pid = lab.pid("n1")
    with connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m:
        m.declare_factory("sleeper", lab.home / "sleeper.py")
        m.deploy_actor("sleeper", "s", "n1")
        m.deploy_actor("sleeper", "awake", "n1")
        m.react_interaction("s", "awake", "sleep", anyway=True)
        before = resident_bytes(pid)
        for _ in range(3):
            with rude_client(lab.home, lab.endpoint("n1")) as client:
                for _ in range(PIECES // 3):
                    client.send(HELD[asked])
                for _ in range(5):
                    assert m.ask("awake", "ping") == 1, "others are served"
        until(
            "it has read all that",
            lambda: resident_bytes(pid) - before < ASKED_BYTES_MAX,
            DONE_S,
        )


def test_a_client_whose_long_requests_are_many_is_served_in_turn(lab: Lab) -> None:
    """The limit is for who doesn't wait: an honest client never meets it."""
    lab.start("n1")
    (lab.home / "counter.py").write_text(COUNTER.replace("ping(self)", "ping(self, text: str)"))
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        m.declare_factory("counter", lab.home / "counter.py")
        m.deploy_actor("counter", "c", "n1")
        text = "x" * 1_000_000
        replies = [
            m.connection.request(AskActor("c", "ping", LONG, True), DEADLINE_S) for _ in range(100)
        ]
        assert [reply.result(DEADLINE_S) for reply in replies] == [{"value": 1}] * 100
        assert m.ask("c", "ping", text) == 1


def test_announcements_of_nodes_cost_a_node_little_memory_however_long_they_are(lab: Lab) -> None:
    lab.start("n1")
    pid = lab.pid("n1")
    keys = cluster_keys(lab.home)
    with rude_client(lab.home, lab.endpoint("n1")) as client:
        before = resident_bytes(pid)
        for number in range(150):
            there = f"tcp://{number}:" + "x" * 1_000_000
            client.ask(Waiting(WIRE_VERSION, keys.cluster, there, (3, 11)))
            grown = resident_bytes(pid) - before
            demand(grown < WAITING_BYTES_MAX, f"{number + 1} of them cost {grown >> 20} MiB")


def test_only_addresses_of_this_cluster_and_version_are_shown_as_waiting(lab: Lab) -> None:
    lab.start("n1")
    cluster, version = cluster_keys(lab.home).cluster, WIRE_VERSION
    honest = Waiting(version, cluster, "tcp://127.0.0.1:9", (3, 11))
    others = [
        Waiting(version, cluster, "no address\x1b[2J", (3, 11)),
        Waiting(version, cluster, "tcp://127.0.0.1:99999", (3, 11)),
        Waiting(version, "another cluster", "tcp://127.0.0.1:10", (3, 11)),
        Waiting(version + 1, cluster, "tcp://127.0.0.1:11", (3, 11)),
    ]
    with (
        connect(lab.endpoint("n1"), home=lab.home, timeout=20) as m,
        rude_client(lab.home, lab.endpoint("n1")) as client,
    ):

        def shown() -> set[str]:
            for each in [*others, honest]:  # they are shown for a time: say it again
                client.ask(each)
            return {str(row["address"]) for row in m.nodes() if row["state"] == "unconfigured"}

        until("the honest one is shown", lambda: "127.0.0.1:9" in shown())
        found = shown()
        demand(found == {"127.0.0.1:9"}, f"shown: {found}")


# -- time ------------------------------------------------------------------------------------
@pytest.mark.parametrize("query", all_slow_but({"a list", "arguments"}, QUERIES))
def test_no_query_holds_a_node_for_long(lab: Lab, query: str, slowness: Slowness) -> None:
    """Measured in the node's own time, so that other programs on the machine don't count; but
    while this one gets no turn, the node goes on with the query."""
    lab.start("n1")
    lab.start("n2")
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    pid = lab.pid("n1")
    waits: list[float] = []
    is_over, is_looking = threading.Event(), threading.Event()

    def look() -> None:
        with connect(lab.endpoint("n1"), home=lab.home, timeout=60) as m:
            while not is_over.is_set():
                began = busy_s(pid)
                m.status()
                waits.append(busy_s(pid) - began)
                is_looking.set()

    other = threading.Thread(target=look)
    other.start()
    try:
        assert is_looking.wait(20)
        with (
            connect(lab.endpoint("n1"), home=lab.home, timeout=60) as m,
            contextlib.suppress(ZactorError),  # what is too much may be refused
        ):
            m.query(QUERIES[query])
    finally:
        is_over.set()
        other.join(DEADLINE_S)
    worst = slowness.quiet_s(max(waits))
    demand(worst < HELD_S_MAX, f"another client waited for {worst:.2f} s of its work")


@pytest.mark.slow
def test_many_queries_of_one_client_keep_no_other_waiting(lab: Lab, slowness: Slowness) -> None:
    lab.start("n1")
    lab.start("n2")
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    pid = lab.pid("n1")
    with (
        connect(lab.endpoint("n1"), home=lab.home, timeout=60) as m,
        rude_client(lab.home, lab.endpoint("n1")) as client,
    ):
        for _ in range(100):
            for query in QUERIES.values():
                client.send(QueryFacts(query[:FRAME_CHARS], 60.0))
        worst = 0.0
        end = time.monotonic() + WATCHED_S
        while time.monotonic() < end:
            began = busy_s(pid)
            assert len(m.query("node(N, _)")) == 2
            worst = max(worst, busy_s(pid) - began)
        worst = slowness.quiet_s(worst)
        demand(worst < HELD_S_MAX, f"another client waited for {worst:.2f} s of its work")


# -- identity --------------------------------------------------------------------------------
def test_no_request_of_a_client_stands_for_what_a_node_will_do(lab: Lab) -> None:
    lab.start("n1")
    lab.start("n2")
    until("they meet", lambda: lab.names_up("n1") == {"n1", "n2"})
    bundle = declare(lab, "n1")
    with rude_client(lab.home, lab.endpoint("n1")) as client:
        for name in ("n1", "n2"):
            for number in range(1, 61):
                client.ask(DeclareFactory("f", bundle), f"{name}@1#{number}")
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DONE_S) as m:
        m.status()
        for name in ("n1", "n2"):
            try:
                m.deploy_actor("counter", f"on_{name}", name)
            except ZactorError as error:
                raise Unmet(f"no actor on {name}: {error}") from error
        assert m.ask("on_n2", "ping") == 1
