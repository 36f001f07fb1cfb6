"""`zactor spmonitor`: status, cuts, windows, the end and the reload of real daemons."""

from __future__ import annotations

import json
import select
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_world import DaemonWorld, all_in, daemon_world, until, until_members
from raw_spread import JOIN, SAFE, RawSpread, listens

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path: Path) -> Iterator[DaemonWorld]:
    with daemon_world(tmp_path) as made:
        yield made


def status(world: DaemonWorld) -> dict[str, dict[str, object]]:
    done = world.run("spmonitor", "status", "--json")
    return {row["daemon"]: row for row in json.loads(done.stdout)}


def started(world: DaemonWorld, *names: str) -> tuple[list[RawSpread], list[str]]:
    """Start daemons and a client of each in group g; return them and their names."""
    world.write(names)
    world.start(*names)
    clients = [world.client(name, f"c{number}") for number, name in enumerate(names)]
    all_in(clients, "g")
    return clients, [client.own for client in clients]


def test_a_partition_cuts_daemons_from_each_other_and_heals_when_cancelled(
    world: DaemonWorld,
) -> None:
    clients, names = started(world, "d1", "d2", "d3")
    rows = status(world)
    assert {name: row["members"] for name, row in rows.items()} == {
        name: ["d1", "d2", "d3"] for name in rows
    }
    assert {row["sessions"] for row in rows.values()} == {1}

    cut_at = time.monotonic()
    done = world.run("spmonitor", "partition", "d1,d2", "/", "d3")
    assert done.returncode == 0, done.stderr
    for client, left in zip(clients, (names[:2], names[:2], names[2:]), strict=True):
        signal_frame, change = until_members(client, *left)
        assert (signal_frame.kind, signal_frame.name) == (0x2000, "g")
        assert change.cause == "network"
        assert change.vs_sets == ((tuple(left),), 0)
    took_s = time.monotonic() - cut_at
    assert took_s < 20, "Spread takes 3; most of it here is the start of the monitor"
    clients[0].send(SAFE, "g", data=b"this side")
    clients[2].send(SAFE, "g", data=b"that side")
    assert clients[1].data().data == b"this side"
    assert clients[2].data().data == b"that side"
    rows = status(world)
    assert rows["d3"]["members"] == ["d3"]
    assert rows["d3"]["cut_off"] == ["d1", "d2"]

    assert world.run("spmonitor", "heal").returncode == 0
    assert clients[0].data().data == b"this side"
    for number, client in enumerate(clients):
        (change,) = until_members(client, *names)
        assert change.cause == "network"
        assert change.vs_sets == ((tuple(names[:2]), tuple(names[2:])), number // 2)


def test_a_partition_that_nobody_says_again_ends_by_itself(world: DaemonWorld) -> None:
    clients, names = started(world, "d1", "d2")
    world.run("spmonitor", "partition", "d1 / d2", "--lasts", "1")
    until_members(clients[0], names[0])
    until_members(clients[0], *names)


def test_the_menu_defines_sends_reviews_and_cancels_a_partition(world: DaemonWorld) -> None:
    clients, _ = started(world, "d1", "d2")
    done = world.run("spmonitor", "-n", "d1", input="0 all\n1\n1\n2\n3\n2\n4\n5 all 100 50\n6\n9\n")
    assert done.returncode == 0, done.stderr
    assert "Status at d1 V 4.4.0 (state regular)" in done.stdout
    assert "Membership  :  2  procs, leader is d1: d1 d2" in done.stdout
    assert done.stdout.count("\td2                  \t2") == 2, "defined, and reviewed"
    assert "Monitor: partition is set at: d1 d2" in done.stdout
    assert "Monitor: partition is cancelled at: d1 d2" in done.stdout
    assert "Monitor: flow control is set at: d1 d2" in done.stdout
    assert done.stdout.rstrip().endswith("Bye.")
    assert {row["own_window"] for row in status(world).values()} == {50}

    def is_heard() -> bool:
        """What is said while they are apart, if they have noticed that, is heard on one side."""
        clients[0].send(SAFE, "g", data=b"one again")
        ready, _, _ = select.select([clients[1].socket], [], [], 0.1)
        return bool(ready) and clients[1].frame().data == b"one again"

    until("they are one again", is_heard)


def test_a_daemon_is_terminated_and_who_is_gone_is_named(world: DaemonWorld) -> None:
    clients, names = started(world, "d1", "d2")
    done = world.run("spmonitor", "terminate", "d2")
    assert (done.returncode, done.stdout) == (0, "Monitor: terminated: d2\n")
    assert world.processes["d2"].wait(60) == 0
    until_members(clients[0], names[0])
    done = world.run("spmonitor", "status", "--json")
    assert done.returncode == 3
    assert [("error" in row) for row in json.loads(done.stdout)] == [False, True]


def test_who_has_another_key_and_whom_the_file_forbids_change_nothing(world: DaemonWorld) -> None:
    world.write(["d1"], "DangerousMonitor = false")
    world.start("d1")
    for words in (("partition", "d1"), ("terminate", "all"), ("flow", "all", "1", "1")):
        done = world.run("spmonitor", *words)
        assert done.returncode == 6
        assert "DangerousMonitor = false" in done.stdout
    assert status(world)["d1"]["members"] == ["d1"]
    other = {**world.environment, "ZACTOR_HOME": str(world.folder / "other")}
    world.environment, mine = other, world.environment
    done = world.run("keys", "init")
    done = world.run("spmonitor", "terminate", "d1")
    world.environment = mine
    assert done.returncode == 6
    assert "another cluster" in done.stdout
    assert world.processes["d1"].poll() is None


def test_a_window_holds_a_daemon_and_it_still_delivers_all(world: DaemonWorld) -> None:
    clients, _ = started(world, "d1", "d2")
    assert world.run("spmonitor", "flow", "d1", "1", "1").returncode == 0
    for number in range(300):
        clients[0].send(SAFE, "g", data=b"%d" % number)
    for client in clients:
        assert [client.data().data for _ in range(300)] == [b"%d" % n for n in range(300)]


@pytest.mark.parametrize("by_monitor", [True, False])
def test_a_daemon_comes_into_the_file_and_one_goes(world: DaemonWorld, by_monitor: bool) -> None:
    """By SIGHUP and from the monitor: programs stay, and who is out goes on alone or ends."""
    clients, names = started(world, "d1", "d2")
    world.write(["d3", "d1", "d2"])
    reload(world, by_monitor)
    until("d3 is in", lambda: "d3" in world.log("d1"))
    world.start("d3")
    until("they meet", lambda: status(world)["d3"].get("members") == ["d3", "d1", "d2"])
    late = world.client("d3", "late")
    late.send(JOIN, "g")
    until_members(late, late.own, *names)
    for client in clients:
        (change,) = until_members(client, late.own, *names)
        assert change.cause == "join", "memberships are in the order of the file as it is now"
    world.write(["d3", "d1"])
    reload(world, by_monitor)
    assert world.processes["d2"].wait(60) == 0, "it is in the file no more"
    assert "d2 is not in its file any more" in world.log("d2")
    until_members(clients[0], late.own, names[0])


def reload(world: DaemonWorld, by_monitor: bool) -> None:
    if by_monitor:
        # The monitor knows whom the file names now; who left it hears it by SIGHUP.
        assert world.run("spmonitor", "reload").returncode in (0, 3)
        if "d2" not in (world.folder / "spread.conf").read_text():
            world.processes["d2"].send_signal(signal.SIGHUP)
    else:
        for process in world.processes.values():
            process.send_signal(signal.SIGHUP)


def test_a_file_that_is_wrong_changes_nothing_and_is_told(world: DaemonWorld) -> None:
    clients, _ = started(world, "d1")
    (world.folder / "good").write_text((world.folder / "spread.conf").read_text())
    (world.folder / "spread.conf").write_text("Nonsense\n")
    done = world.run("spmonitor", "-c", "good", "reload")
    assert done.returncode == 1
    assert "spread.conf:1: syntax error at 'Nonsense'" in done.stdout
    world.processes["d1"].send_signal(signal.SIGHUP)
    until("it is told", lambda: "config_refused" in world.log("d1"))
    clients[0].send(SAFE, "g", data=b"as before")
    assert clients[0].data().data == b"as before"


def test_addresses_for_programs_change_while_it_runs(world: DaemonWorld) -> None:
    clients, _ = started(world, "d1")
    port = world.ports["d1"]
    conf = f"Spread_Segment 127.0.0.1:{port} {{ d1 127.0.0.1 {{ D 127.0.0.1\n C 127.0.0.7 }} }}\n"
    (world.folder / "spread.conf").write_text(conf)
    assert world.run("spmonitor", "reload").returncode == 0
    until("there", lambda: listens(("127.0.0.7", port)))
    until("no more here", lambda: not listens(("127.0.0.1", port)))
    clients[0].send(SAFE, "g", data=b"still connected")
    assert clients[0].data().data == b"still connected"
