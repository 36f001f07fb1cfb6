"""`zactor spread`: daemons from one spread.conf, as processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from deadlines import run_to_end, running
from raw_spread import JOIN, SAFE, entered, listens
from spread_world import free_port

DEADLINE_S = 60
SPREAD = [sys.executable, "-P", "-m", "zactor", "spread"]


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "ZACTOR_HOME": str(tmp_path / "home")}


@pytest.mark.slow
def test_three_daemons_of_one_file_are_one_machine_group(tmp_path: Path) -> None:
    """Their order is that of the file, not of their names; a name need not be one of a node."""
    ports = {name: free_port() for name in ("z1", "d.2", "a3")}
    hosts = dict(zip(ports, ("127.0.0.1", "127.0.0.2", "127.0.0.3"), strict=True))
    (tmp_path / "spread.conf").write_text(
        "".join(
            f"Spread_Segment {hosts[name]}:{port} {{ {name} {hosts[name]} }}\n"
            for name, port in ports.items()
        )
        + "EventPriority = INFO\n"
    )
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((tmp_path / "log").open("wb"))
        daemons = [
            stack.enter_context(
                running(
                    [*SPREAD, "-n", name, "-l", "n"],
                    cwd=tmp_path,
                    env=environment(tmp_path),
                    stdout=log,
                    stderr=log,
                )
            )
            for name in ports
        ]
        clients = []
        for name, port in ports.items():
            until(lambda port=port: listens(("127.0.0.1", port)), f"{name} listens")
            clients.append(stack.enter_context(entered(("127.0.0.1", port), "u")))
            clients[-1].send(JOIN, "g")
        wanted = ("#u#z1", "#u#d.2", "#u#a3")
        for client in clients:
            until(lambda client=client: client.membership().groups == wanted, "all are in")
        clients[1].send(SAFE, "#u#z1", data=b"to one")
        frame = clients[0].data()
        assert (frame.name, frame.groups) == ("#u#d.2", ("#u#z1",))
        clients[0].send(SAFE, "#u#d.2", data=b"and back")
        assert clients[1].data().groups == ("#u#d.2",)
        daemons[2].send_signal(signal.SIGKILL)
        assert clients[2].at_end()
        for client in clients[:2]:
            assert client.frame().kind == 0x2000
            assert client.membership().groups == wanted[:2]
        for daemon in daemons[:2]:
            daemon.terminate()
            assert daemon.wait(DEADLINE_S) == 0
    assert "spread.conf: EventPriority has no meaning here" in (tmp_path / "log").read_text()


@pytest.mark.parametrize(
    ("text", "options", "what"),
    [
        (None, [], "there is no spread.conf here"),
        ("Spread_Segment 1.2.3.255 { a 1.2.3.4 }", [], "say -n NAME"),
        ("Spread_Segment 1.2.3.255 { a 127.0.0.1 }", ["-n", "b"], "there is no daemon 'b'"),
        ("Spread_Segment 1.2.3.255 { a 127.0.0.1 }\nEventPriority=INFO", [], "spread.conf:2: "),
        ("", [], "say -n NAME"),
    ],
)
def test_what_is_wrong_with_its_file_is_one_line(
    tmp_path: Path, text: str | None, options: list[str], what: str
) -> None:
    if text is not None:
        (tmp_path / "spread.conf").write_text(text)
    done = run_to_end(
        [*SPREAD, *options],
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    assert done.returncode == 2
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1
