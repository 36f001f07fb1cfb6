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
from daemon_world import daemon_world
from deadlines import run_to_end, running
from raw_spread import JOIN, SAFE, entered, listens
from spread_world import free_port

from zactor.spread import SpreadConnection, SpreadRefused

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
    ("text", "options", "code", "what"),
    [
        (None, [], 2, "there is no spread.conf here"),
        ("Spread_Segment 1.2.3.255 { a 1.2.3.4 }", [], 2, "say -n NAME"),
        ("Spread_Segment 1.2.3.255 { a 127.0.0.1 }", ["-n", "b"], 2, "there is no daemon 'b'"),
        ("Spread_Segment 1.2.3.255 { a 127.0.0.1 }\nEventPriority=INFO", [], 1, "spread.conf:2: "),
        ("Spread_Segment 1.2.3.255 { a 300.0.0.1 }", [], 1, "spread.conf:1: Invalid IP"),
        ("", [], 2, "say -n NAME"),
    ],
)
def test_what_is_wrong_with_its_file_is_one_line(
    tmp_path: Path, text: str | None, options: list[str], code: int, what: str
) -> None:
    """Its exit code is Spread's where the file can't be read."""
    if text is not None:
        (tmp_path / "spread.conf").write_text(text)
    done = run_to_end(
        [*SPREAD, *options],
        cwd=tmp_path,
        env=environment(tmp_path),
    )
    assert done.returncode == code
    assert what in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_event_log_is_a_file_named_like_the_daemon(tmp_path: Path) -> None:
    with daemon_world(tmp_path) as world:
        world.write(["d1"])
        world.start("d1", options=["-l", "y"])
        with entered(world.at("d1"), "a"):
            pass
        world.processes["d1"].terminate()
        assert world.processes["d1"].wait(DEADLINE_S) == 0
    lines = [line.split() for line in (tmp_path / "d1").read_text().splitlines()]
    assert [(words[0], words[2:]) for words in lines if words[0] in "BCD"] == [
        ("B", ["d1"]),
        ("C", ["#a#d1"]),
        ("D", ["#a#d1"]),
    ]


def test_the_method_ip_goes_by_the_file_beside_the_configuration(tmp_path: Path) -> None:
    """Also when the daemon runs elsewhere; without the file nobody passes."""
    with daemon_world(tmp_path) as world:
        world.write(["d1"], 'AllowedAuthMethods = "IP"')
        conf = tmp_path / "etc"
        conf.mkdir()
        (tmp_path / "spread.conf").rename(conf / "spread.conf")
        world.start("d1", options=["-c", "etc/spread.conf"])
        port = world.ports["d1"]
        with pytest.raises(SpreadRefused):
            SpreadConnection(f"{port}@127.0.0.1", "a", methods=("IP",))
        (conf / "spread.access_ip").write_text("127.0.0.0/8\n")
        world.processes["d1"].send_signal(signal.SIGHUP)
        until(lambda: "config_reloaded" in world.log("d1"), "it is read again")
        SpreadConnection(f"{port}@127.0.0.1", "a", methods=("IP",)).close()
        with pytest.raises(SpreadRefused):
            SpreadConnection(f"{port}", "a", methods=("IP",))


def test_only_the_interfaces_of_a_block_are_bound(tmp_path: Path) -> None:
    """C for programs, D for daemons and monitors; what has no meaning is said."""
    port = free_port()
    (tmp_path / "spread.conf").write_text(
        f"Spread_Segment 127.0.0.255:{port} {{ d1 127.0.0.1 {{\n"
        "C 127.0.0.2\nD 127.0.0.3\nM 127.0.0.4\n} }\n"
    )
    with daemon_world(tmp_path) as world:
        world.ports["d1"], world.hosts["d1"] = port, "127.0.0.2"
        log = (tmp_path / "d1.log").open("wb")
        with (
            log,
            running(
                [*SPREAD, "-n", "d1"],
                cwd=tmp_path,
                env=environment(tmp_path),
                stdout=log,
                stderr=log,
            ),
        ):
            until(lambda: listens(("127.0.0.2", port)), "it listens")
            assert listens(("127.0.0.3", port + 1))
            for host in ("127.0.0.1", "127.0.0.3", "127.0.0.4"):
                assert not listens((host, port))
            for host in ("127.0.0.1", "127.0.0.2", "127.0.0.4"):
                assert not listens((host, port + 1))
        assert "interface 127.0.0.4 (M)" in (tmp_path / "d1.log").read_text()


def test_a_password_lets_in_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    """`sekrit`, by crypt's oldest way; the daemon's file is read again with its configuration."""
    with daemon_world(tmp_path) as world:
        world.write(["d1"], 'AllowedAuthMethods = "PWORD"\nRequiredAuthMethods = "PWORD"')
        lacks = run_to_end([*SPREAD, "-n", "d1"], cwd=tmp_path, env=environment(tmp_path))
        assert lacks.returncode == 2
        assert "there is no spread.access_pword: write USER:HASH there" in lacks.stderr
        (tmp_path / "spread.access_pword").write_text("ann:abfbSiOREpOPQ\n")
        world.start("d1")
        daemon = f"{world.ports['d1']}@127.0.0.1"
        let_in = world.run("spuser", "-s", daemon, "-n", "ann", "-p", "sekrit", input="q\n")
        assert let_in.returncode == 0, let_in.stderr
        assert "connected to" in let_in.stdout
        for words, what in (
            (("-n", "ann", "-p", "wrong"), "that is no user there, or not the password"),
            (("-n", "eve", "-p", "sekrit"), "that is no user there, or not the password"),
            ((), "it offers the methods 'PWORD'"),
            (("-n", "ann"), "-n and -p belong together"),
        ):
            refused = world.run("spuser", "-s", daemon, *words, input="q\n")
            assert refused.returncode in (2, 6)
            assert what in refused.stderr
        assert "spread_password_wrong" in world.log("d1")
        (tmp_path / "spread.access_pword").write_text("")
        world.processes["d1"].send_signal(signal.SIGHUP)
        until(lambda: "config_reloaded" in world.log("d1"), "it is read again")
        gone = world.run("spuser", "-s", daemon, "-n", "ann", "-p", "sekrit", input="q\n")
        assert gone.returncode == 6
