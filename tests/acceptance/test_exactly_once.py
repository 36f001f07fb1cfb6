"""100,000 numbered signals between two nodes, with everything in their way."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

from deadlines import join

from zactor import connect
from zactor.lab.cutting_proxy import CuttingProxy
from zactor.lab.lab import Lab, until

SIGNALS = 100_000
ACTORS = Path(__file__).parent / "actors.py"


def test_every_signal_arrives_once_and_in_order_over_ten_broken_connections(lab: Lab) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    proxy = CuttingProxy(port)
    try:
        lab.start("n1")
        lab.start("n2", "--bind", f"127.0.0.1:{port}", "--advertise", f"127.0.0.1:{proxy.port}")
        until("both meet", lambda: lab.names_up("n1") == {"n1", "n2"})
        with connect(lab.endpoint("n1"), home=lab.home) as m:
            m.declare_factory("source", ACTORS)
            m.declare_factory("sink", ACTORS)
            m.deploy_actor("source", "s1", "n1")
            sink = m.deploy_actor("sink", "k1", "n2")
            m.deploy_actor("source", "s2", "n1")
            m.react_interaction("k1", "s1", "number")
            done = threading.Event()
            churn = threading.Thread(target=_churn, args=(lab, done))
            churn.start()
            try:
                _send_and_cut(lab, proxy)
            finally:
                done.set()
                join(churn)
            until(
                "all arrived",
                lambda: sink.report()["count"] >= SIGNALS,
                within_s=60,
            )
            report = sink.report()
    finally:
        proxy.close()
    assert proxy.cuts >= 10
    assert report["wrong"] == []
    assert report["count"] == SIGNALS
    assert report["last"] == SIGNALS - 1


def _send_and_cut(lab: Lab, proxy: CuttingProxy) -> None:
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        source, sink = m.ref("s1"), m.ref("k1")
        rounds = 20
        for number in range(rounds):
            source.burst(SIGNALS // rounds)
            if number % 2 == 0:
                ends = proxy.cut()
                assert ends > 0, "there was a connection to cut"
                # Answered over the link: a cut counts only when the link is there again.
                sink.report()


def _churn(lab: Lab, done: threading.Event) -> None:
    """Add and remove the interaction of two other actors all the time."""
    with connect(lab.endpoint("n1"), home=lab.home) as m:
        while not done.is_set():
            m.react_interaction("k1", "s2", "other")
            m.send_signal("s2", "other", 0)
            m.remove_interaction("k1", "s2", "other")
