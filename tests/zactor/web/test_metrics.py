"""`zactor node --metrics`: a real node's numbers, and the dashboard and the docs that name them."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end, running
from family import children_of

from zactor import connect
from zactor.demos import counter

pytest.importorskip("prometheus_client", reason="the extra zactor[metrics] isn't installed")

DOCS = Path(__file__).resolve().parents[3] / "docs"
NODE = (sys.executable, "-m", "zactor", "node", "--name", "n1", "--home")
NAME = re.compile(r"zactor_[a-z_]+")


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


def scrape(port: int) -> str:
    """Return what is served; "" while there is nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
        return text if answer.status == 200 else ""
    except OSError:
        return ""
    finally:
        connection.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found = probe.getsockname()[1]
    return int(found)


def test_a_node_is_scraped_by_type_and_no_name_is_told_that_isnt_in_the_docs(
    tmp_path: Path, port: int
) -> None:
    with running([*NODE, tmp_path, "--metrics", str(port)]) as node:
        until(lambda: "zactor_uptime_seconds" in scrape(port), "the node's numbers")
        with connect(home=tmp_path) as m:
            m.declare_factory("counter", str(counter.__file__))
            m.deploy_actor("counter", "c1", "n1")
            m.ask("c1", "inc")
        counted = 'zactor_actors{node="n1",type="counter"} 1.0'
        until(lambda: counted in scrape(port), "the counter")  # in the next sample
        text = scrape(port)
        handled = re.search(r'messages_handled_total{node="n1",type="counter"} (.+)', text)
        assert handled is not None
        assert float(handled[1]) >= 1
        assert "c1" not in text
        told = {line.split("{")[0] for line in text.splitlines() if line[:1] not in ("#", "")}
        assert set(NAME.findall((DOCS / "metrics.md").read_text())) == told
        shown = set(NAME.findall((DOCS / "grafana.json").read_text()))
        assert shown - told == set()
        assert len(shown) > 10

        (beside,) = children_of(node.pid)
        node.send_signal(signal.SIGKILL)  # however the node ends
        until(lambda: not Path(f"/proc/{beside}").exists() and not scrape(port), "its end")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("nonsense", "want a port, or HOST:PORT"),
        ("taken", "can't listen at 127.0.0.1, port"),
    ],
)
def test_where_it_cant_listen_the_node_doesnt_start(tmp_path: Path, given: str, says: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        at = str(other.getsockname()[1]) if given == "taken" else given
        done = run_to_end([*NODE, tmp_path, "--metrics", at])
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
