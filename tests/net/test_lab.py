"""A lab's hosts are machines: each has its own of everything, and whatever befalls it is real."""

from __future__ import annotations

import json
import sys

import pytest
from lab_world import LabWorld

from zactor.kernel.errors import ConfigError, NoSuchThing
from zactor.lab.lab import until

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]

HOSTS = {"n1", "n2", "n3"}
CONNECT = """
import socket, time
began = time.monotonic()
try:
    socket.create_connection(("10.77.0.{number}", {port}), timeout={timeout}).close()
    print("came after", time.monotonic() - began)
except OSError as error:
    print("lost:", error)
"""


def call(world: LabWorld, host: str, number: int, port: int = 4810, timeout: float = 1.0) -> str:
    code = CONNECT.format(number=number, port=port, timeout=timeout)
    return world.python(host, code)


def test_each_host_has_its_own_name_address_home_folder_and_boot(world: LabWorld) -> None:
    code = (
        "import socket, os; print(socket.gethostname(), socket.gethostbyname('n2'),"
        " open('/proc/sys/kernel/random/boot_id').read().strip(), sorted(os.listdir('/tmp')),"
        " os.environ['ZACTOR_HOME'])"
    )
    told = {host: world.python(host, code).split(" ", 3) for host in HOSTS}
    assert {host: words[:2] for host, words in told.items()} == {
        host: [host, "10.77.0.2"] for host in HOSTS
    }
    assert len({words[2] for words in told.values()}) == 3
    assert all("'zactor'" in words[3] for words in told.values())
    world.python("n1", "open('/tmp/mine', 'w').close()")
    assert "mine" not in world.python("n2", "import os; print(os.listdir('/tmp'))")
    names = [row["name"] for row in json.loads(world.run("n2", "zactor", "nodes", "--json").stdout)]
    assert set(names) == HOSTS


def test_a_command_on_a_host_has_its_exit_code_and_no_terminal_of_ours(world: LabWorld) -> None:
    assert world.run("n1", "sh", "-c", "exit 7").returncode == 7
    assert world.run("n1", "sh", "-c", "kill -9 $$").returncode == 137
    assert world.run("n1", "no-such-program").returncode == 127
    done = world.run("nobody", "true")
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == "zactor: this lab has no host 'nobody': it has n1, n2, n3\n"


def test_what_is_cut_is_lost_in_silence_and_in_one_direction_only(world: LabWorld) -> None:
    lab = world.lab
    lab.obey("cut", "n1", "/", "n2")
    assert call(world, "n1", 2) == "lost: timed out"
    assert call(world, "n1", 3).startswith("came")
    assert world.row("n1")["reaches"] == ["n3"]
    lab.obey("heal")
    assert call(world, "n1", 2).startswith("came")
    lab.obey("one-way", "n1", "n2")
    assert world.row("n1")["reaches"] == ["n2", "n3"]
    assert world.row("n2")["reaches"] == ["n3"]
    assert call(world, "n1", 2) == "lost: timed out"
    lab.obey("heal")


def test_a_cable_that_is_out_has_no_carrier(world: LabWorld) -> None:
    carrier = "print(open('/sys/class/net/eth0/carrier').read())"
    code = "import subprocess; print(subprocess.run(['ip', 'link', 'show', 'eth0'],"
    code += " capture_output=True, text=True).stdout)"
    world.lab.obey("cable", "n3", "out")
    assert "NO-CARRIER" in world.python("n3", code), carrier
    world.until_view("n1", {"n1", "n2"})
    world.until_view("n3", {"n3"})
    world.lab.obey("cable", "n3", "in")
    world.until_view("n1", HOSTS)
    world.until_view("n3", HOSTS)


def test_links_are_late_and_lossy_and_whole_again(world: LabWorld) -> None:
    world.lab.obey("delay", "60", "n1", "n2")
    assert world.lab.ask("faults")["carried_by"] == "packet switch"
    took_s = float(call(world, "n1", 2, timeout=5).removeprefix("came after "))
    assert 0.12 <= took_s < 3
    world.lab.obey("delay", "0", "n1", "n2")
    world.lab.obey("loss", "100", "n1", "n2")
    assert call(world, "n1", 2) == "lost: timed out"
    world.lab.obey("heal")
    assert world.lab.ask("faults") == {"faults": [], "carried_by": "bridge"}
    assert call(world, "n1", 2).startswith("came")


def test_a_host_that_crashes_says_nothing_more_and_comes_back(world: LabWorld) -> None:
    world.lab.spawn("n3", "sleeper", "sleep", "600")
    world.lab.obey("crash", "n3")
    assert world.row("n3") | {"processes": []} == {
        "host": "n3",
        "address": "10.77.0.3",
        "state": "off",
        "node": "ended -9",
        "reaches": [],
        "view": [],
        "processes": [],
    }
    world.until_view("n1", {"n1", "n2"})
    with pytest.raises(NoSuchThing, match="host n3 is off: `start n3` begins it"):
        world.lab.spawn("n3", "again", "true")
    assert world.run("n3", "true").returncode == 5
    world.lab.obey("start", "n3")
    for host in HOSTS:
        world.until_view(host, HOSTS)


def test_a_frozen_host_is_missed_and_merges_when_it_thaws(world: LabWorld) -> None:
    world.lab.obey("freeze", "n2")
    assert world.row("n2")["state"] == "frozen"
    world.until_view("n1", {"n1", "n3"})
    world.lab.obey("thaw", "n2")
    for host in HOSTS:
        world.until_view(host, HOSTS)


def test_a_clock_goes_wrong_while_programs_run(world: LabWorld) -> None:
    code = "import time; print(time.time() - time.clock_gettime(time.CLOCK_REALTIME))"
    assert abs(float(world.python("n1", code))) < 5
    world.lab.obey("clock", "n1", "-3600")
    assert abs(float(world.python("n1", code)) + 3600) < 5
    assert abs(float(world.python("n2", code))) < 5
    world.lab.obey("clock", "n1", "0")
    assert abs(float(world.python("n1", code))) < 5


def test_a_disk_is_full_and_free_again(world: LabWorld) -> None:
    write = "open('/tmp/big', 'wb').write(bytes(1 << 20))"
    world.lab.obey("disk", "n2", "full")
    done = world.run("n2", sys.executable, "-c", write)
    assert done.returncode == 1
    assert "No space left" in done.stderr
    world.lab.obey("disk", "n2", "free")
    world.python("n2", write)


def test_what_processes_say_is_kept_with_its_time_and_they_take_lines(world: LabWorld) -> None:
    world.lab.spawn("n1", "echo", "sh", "-c", "read line; echo got $line; exit 3")
    world.lab.type("n1", "echo", "a line")
    until(
        "it has answered and ended",
        lambda: (
            [
                row.get("text", row["what"])
                for row in world.seen(
                    lambda row: row.get("name") == "echo" and row["what"] != "did"
                )
            ]
            == ["got a line", "ended"]
        ),
    )
    shown = world.zactor("lab", "log", "echo").stdout
    assert shown.splitlines()[-1].endswith("n1 echo has ended")


def test_what_is_no_fault_is_refused_and_changes_nothing(world: LabWorld) -> None:
    for words, error, text in (
        (["cable", "n9", "out"], NoSuchThing, "no host 'n9'"),
        (["cable", "n1"], ConfigError, "want `cable HOST out|in`"),
        (["loss", "101"], ConfigError, "no number from 0 to 100"),
        (["kill", "n1", "nobody"], NoSuchThing, "no 'nobody' runs on n1"),
    ):
        with pytest.raises(error, match=text):
            world.lab.obey(*words)
    assert world.lab.ask("faults")["faults"] == []
    done = world.zactor("lab", "cut", "n1")
    assert (done.returncode, done.stderr) == (2, "zactor: want `cut A,B / C,D …`\n")


def test_ps_shows_who_reaches_whom_and_who_has_which_view(world: LabWorld) -> None:
    world.lab.obey("cut", "n1,n2", "/", "n3")
    world.until_view("n1", {"n1", "n2"})
    world.until_view("n3", {"n3"})
    shown = [line.split() for line in world.zactor("lab", "ps").stdout.splitlines()]
    assert shown[1][:7] == ["n1", "10.77.0.1", "up", "running", "n1", "n2", "n2"]
    assert shown[3][:6] == ["n3", "10.77.0.3", "up", "running", "n3", "nobody"]
    assert ["fault:", "blocked", "n1", "->", "n3"] in shown
    world.lab.obey("heal")
