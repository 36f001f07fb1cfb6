"""A page whose nodes are gone says so, whatever it is asked for."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys

import pytest
from deadlines import DEADLINE_S, running
from http_world import free_port

pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")
pytest.importorskip("prometheus_client", reason="the extra zactor[metrics] isn't installed")

from zactor import local


def test_what_needs_a_node_is_answered_in_words_when_there_is_none() -> None:
    with local(nodes=1) as cluster:
        port = free_port()
        words = [sys.executable, "-P", "-m", "zactor", "web", "--bind", f"127.0.0.1:{port}"]
        words += ["--home", str(cluster.home), "--timeout", "2"]
        with running(words, stdout=subprocess.PIPE, text=True) as page:
            assert page.stdout is not None
            assert page.stdout.readline().startswith("http")
            token = (cluster.home / "run" / f"web-{port}.token").read_text()

            def ask(method: str, path: str) -> tuple[int, bytes]:
                line = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
                line.request(method, path, headers={"Authorization": f"Bearer {token}"})
                answer = line.getresponse()
                found = answer.status, answer.read()
                line.close()
                return found

            assert ask("GET", "/metrics")[0] == 200
            for name in list(cluster.processes.spawned):
                cluster.kill(name)
            for path in ("/metrics", "/api/v1/letters", "/api/v1/kb", "/api/v1/why/c1"):
                status, text = ask("GET", path)
                error = json.loads(text)["error"]
                # The last: a node of somebody else's has the port by now.
                told = {"NotReachable": 503, "TimedOut": 504, "Refused": 409}
                assert status == told[error], (path, text)
            assert ask("HEAD", "/api/v1/stream") == (200, b"")
            assert ask("GET", "/api/v1/state")[0] == 200, "what it knew"
