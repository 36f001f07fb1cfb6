"""Looking from a terminal at real nodes: top, panel and logs, on screens and as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end, running

from zactor import BlockingCluster, local
from zactor.cli.logs import read_since
from zactor.client.rates import Rates
from zactor.kernel import limits
from zactor.kernel.errors import ConfigError

ZACTOR = (sys.executable, "-m", "zactor")

CODE = """
from zactor import Actor, Button, Number, Panel, Slider, action, signal

class Lamp(Actor):
    turned = signal(int)
    panel = Panel(Number("level"), Button("turned"), Slider("level", low=0, high=9))

    def __init__(self):
        self.level = 3
        self.every = None

    @action
    def set_level(self, level):
        self.level = level
        print("level", level)

    @action
    def fail(self):
        raise ValueError("no such light")

    @action
    def note(self):
        self.log.info("noted", shown=self.level)

class Far(Lamp, dispatcher="process"):
    pass

class Plain(Actor):
    @action
    def turned(self, *_):
        pass
"""


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("looking") / "lamps.py"
    source.write_text(CODE)
    return source


@pytest.fixture(scope="module")
def cluster(source: Path) -> Iterator[BlockingCluster]:
    """Two nodes; a Lamp l1 on n1 that p1 on n2 listens to."""
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("lamp", str(source))
        m.declare_factory("plain", str(source))
        m.deploy_actor("lamp", "l1", "n1")
        m.deploy_actor("plain", "p1", "n2")
        m.react_interaction("p1", "l1", "turned")
        yield cluster


def zactor(cluster: BlockingCluster, *words: str) -> subprocess.CompletedProcess[str]:
    return run_to_end([*ZACTOR, *words, "--home", str(cluster.home)])


def test_top_once_shows_nodes_and_actors_and_as_json_their_numbers(
    cluster: BlockingCluster,
) -> None:
    for _ in range(20):
        cluster.master.send_signal("l1", "turned", 1)
    done = zactor(cluster, "top", "--once")
    assert done.returncode == 0, done.stderr
    assert "healthy" in done.stdout.splitlines()[0]
    assert re.search(r"^ n1 +up +\d+ ", done.stdout, re.MULTILINE)
    assert max(map(len, done.stdout.splitlines())) <= 80
    found = json.loads(zactor(cluster, "top", "--json").stdout)
    rows = {row["name"]: row for row in found["actors"]}
    assert rows["p1"]["handled"] >= 20
    assert rows["l1"]["node"] == "n1"
    assert all(row["pid"] and row["memory_bytes"] for row in found["nodes"])


def test_nothing_is_collected_while_nobody_watches(cluster: BlockingCluster) -> None:
    rates = Rates()
    rates.take(cluster.master.watch(rates.after))
    before = dict(rates.after)
    rates.take(cluster.master.watch(rates.after, 5.0))
    assert all(rates.after[name] == before[name] + 1 for name in ("n1", "n2"))
    time.sleep(limits.COUNTING_S + 3 * limits.COUNTS_EVERY_S)  # the watch is over then
    last = dict(rates.after)
    rates.take(cluster.master.watch(rates.after))
    # While it was collected some samples came; since then one, for who asked now.
    most = (limits.COUNTING_S / limits.COUNTS_EVERY_S) + 2
    assert all(rates.after[name] - last[name] <= most for name in ("n1", "n2"))


class Screen:
    """A real terminal of a size, with a program in it; what it shows, as far as we need to know."""

    def __init__(self, columns: int, lines: int, *words: str) -> None:
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.rows = [""] * lines
        self.columns = columns
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1"}
        self._shown = b""
        self.running = running(
            [*ZACTOR, *words], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        self.child = self.running.__enter__()
        os.close(theirs)
        os.set_blocking(self.ours, False)

    def read(self) -> str:
        try:
            while data := os.read(self.ours, 65_536):
                self._shown += data
        except OSError:  # nothing more for now, or it has ended
            pass
        text = self._shown.decode(errors="replace")
        for row, line in re.findall(r"\x1b\[(\d+);1H\x1b\[2K([^\x1b]*)", text):
            self.rows[int(row) - 1] = line
        return "\n".join(self.rows)

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def close(self) -> None:
        print(self.child.poll(), self.read(), self._shown[-2_000:])  # for a test that fails
        self.running.__exit__(None, None, None)
        os.close(self.ours)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (200, 50)])
def test_top_fills_a_terminal_and_obeys_its_keys(
    cluster: BlockingCluster, columns: int, lines: int
) -> None:
    screen = Screen(columns, lines, "top", "--home", str(cluster.home))
    try:
        until(lambda: "l1" in screen.read() and "healthy" in screen.read(), "a frame")
        assert len(screen.rows) == lines
        assert max(map(len, screen.rows)) <= columns
        until(lambda: "q quit" in screen.read(), "its last line")
        assert "q quit" in screen.rows[-1]
        screen.press("s")
        screen.press("\x1b[B")
        until(lambda: "\n>" in screen.read(), "an actor is chosen")
        screen.press("p")
        until(lambda: screen.read().rstrip().splitlines()[-1].startswith("PAUSED"), "a pause")
        screen.press("w")
        until(lambda: "zactor why" in screen.read(), "why")
        assert "· 1 to" in screen.rows[-1], "the newest, which comes first"
        told = "".join(row.ljust(columns) for row in screen.rows[:-2])
        whole = zactor(cluster, "why", screen.rows[-1].split()[2]).stdout.splitlines()
        assert [line for line in whole[: lines // 4] if line not in told] == [], "none is cut"
        screen.press(" ")
        until(lambda: "PAUSED" in screen.read(), "back")
        screen.press("q")
        until(lambda: screen.child.poll() is not None, "its end")
        assert screen.child.returncode == 0
        screen.read()
        assert screen._shown.endswith(b"\x1b[?25h\x1b[?1049l")
    finally:
        screen.close()


def test_a_panel_is_shown_and_driven_in_a_terminal(cluster: BlockingCluster) -> None:
    screen = Screen(80, 24, "panel", "l1", "--home", str(cluster.home))
    try:
        until(lambda: "level" in screen.read(), "the panel")
        screen.press("\x1b[B")
        screen.press("\x1b[C")
        until(lambda: re.search(r"level +4", screen.read()), "the slider has moved")
        assert cluster.master.ask("l1", "note") is None
        screen.press("q")
        until(lambda: screen.child.poll() is not None, "its end")
    finally:
        screen.close()
    done = zactor(cluster, "panel", "l1", "--json")
    assert json.loads(done.stdout)["values"]["level"] == 4


def test_a_panel_is_driven_by_one_command(cluster: BlockingCluster) -> None:
    done = zactor(cluster, "panel", "l1", "--press", "level=7", "--json")
    assert json.loads(done.stdout)["values"]["level"] == 7
    assert "7" in zactor(cluster, "panel", "l1", "--once").stdout


def test_a_panel_of_an_actor_in_a_process_of_its_own_is_shown_and_driven(
    cluster: BlockingCluster, source: Path
) -> None:
    cluster.master.declare_factory("far", str(source))
    cluster.master.deploy_actor("far", "f1", "n2")
    try:
        told = json.loads(zactor(cluster, "panel", "f1", "--json").stdout)
        assert told["values"] == {"level": 3}
        assert [each.get("by") for each in told["controls"]] == [None, "signal", "action"]
        done = zactor(cluster, "panel", "f1", "--press", "level=7", "--json")
        assert json.loads(done.stdout)["values"] == {"level": 7}
        rates = Rates()
        rates.take(cluster.master.watch(rates.after, 0.0))
        far = rates.actors["f1"]
        assert far.has_panel
        assert far.signals == ("turned",)
        assert {"fail", "note", "set_level"} <= set(far.actions)
    finally:
        cluster.master.destroy_actor("f1")


# -- -w --------------------------------------------------------------------------------------
def test_a_listing_is_shown_again_in_its_place_until_ctrl_c(cluster: BlockingCluster) -> None:
    screen = Screen(80, 24, "ps", "-w", "--home", str(cluster.home))
    try:
        until(lambda: screen.read() and b"every 1 s" in screen._shown, "the first")
        assert b"w1" not in screen._shown
        cluster.master.deploy_actor("plain", "w1", "n1")
        until(lambda: screen.read() and b"w1 " in screen._shown, "what came meanwhile")
        screen.child.send_signal(signal.SIGINT)
        until(lambda: screen.child.poll() is not None, "its end")
        assert screen.child.returncode == 130
        assert b"Traceback" not in screen._shown
    finally:
        screen.close()
        cluster.master.destroy_actor("w1")


def test_who_waits_for_longer_than_half_a_second_is_told_that_it_goes_on(
    cluster: BlockingCluster,
) -> None:
    screen = Screen(80, 24, "wait", "never(so)", "600", "--home", str(cluster.home))
    try:
        until(lambda: screen.read() is not None and b"wait takes a while" in screen._shown, "that")
    finally:
        screen.close()
    done = zactor(cluster, "wait", "never(so)", "1")
    assert (done.returncode, done.stdout) == (124, "")
    assert "takes a while" not in done.stderr  # a program's stderr has errors only


def test_a_program_reads_a_listing_when_it_differs(cluster: BlockingCluster) -> None:
    words = [*ZACTOR, "wires", "-w", "-q", "--home", cluster.home]
    with running(words, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "l1.turned p1\n"
        cluster.master.remove_interaction("p1", "l1", "turned")
        assert child.stdout.readline() == "\n"
        cluster.master.react_interaction("p1", "l1", "turned")
        assert child.stdout.readline() == "l1.turned p1\n"
        child.stdout.close()  # nobody reads any more
        assert child.wait(DEADLINE_S) == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("panel", "nobody"), 5, "no actor nobody"),
        (("panel", "p1"), 5, "p1 has no panel"),
        (("panel", "l1", "--press", "level=99"), 2, "wants a number from 0 to 9"),
        (("panel", "l1", "--press", "door"), 5, "it has turned, level"),
        (("logs", "nobody"), 5, "no actor or node 'nobody'"),
        (("logs", "--since", "soon"), 2, "is no time"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    cluster: BlockingCluster, words: tuple[str, ...], code: int, says: str
) -> None:
    done = zactor(cluster, *words)
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.returncode == code


def test_logs_have_prints_logging_and_failures_each_with_its_actor(
    cluster: BlockingCluster,
) -> None:
    cluster.master.ask("l1", "set_level", 5)
    cluster.master.ask("l1", "note")
    cluster.master.tell("l1", "fail")
    until(lambda: "no such light" in zactor(cluster, "logs", "l1").stdout, "the failure")
    text = zactor(cluster, "logs", "l1").stdout
    assert re.search(r"  n1  l1  level 5$", text, re.MULTILINE)
    assert "  n1  l1  # noted shown=5" in text
    assert "  n1  l1  ! fail raised ValueError: no such light" in text
    rows = json.loads(zactor(cluster, "logs", "n1", "--json", "-n", "500").stdout)
    assert {row["kind"] for row in rows} == {"printed", "logged", "failed"}
    assert zactor(cluster, "logs", "n2").stdout == ""
    assert zactor(cluster, "logs", "--since", "0s").stdout == ""


def test_logs_follow_an_actor_of_another_node(cluster: BlockingCluster) -> None:
    words = [*ZACTOR, "logs", "-f", "l1", "-n", "0", "--home", str(cluster.home)]
    with running(words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        heard = b""

        def hears() -> bool:
            nonlocal heard
            assert child.stdout is not None
            cluster.master.ask("l1", "set_level", 8)
            heard += child.stdout.read() or b""
            return b"level 8" in heard

        until(hears, "a print of l1")


def test_what_was_printed_before_a_kill_is_there_after_it(source: Path) -> None:
    with local(nodes=1) as cluster:
        cluster.master.declare_factory("lamp", str(source))
        cluster.master.deploy_actor("lamp", "l1", "n1")
        cluster.master.ask("l1", "set_level", 9)
        cluster.kill("n1")
        cluster.start("n1")
        assert "level 9" in zactor(cluster, "logs", "l1").stdout


def test_since_is_read_as_people_say_it() -> None:
    now = time.mktime((2026, 5, 1, 17, 30, 0, 0, 0, -1))
    assert read_since("10m", now) == now - 600
    assert read_since("17:00", now) == now - 1800
    assert read_since("2026-05-01T17:29:50", now) == now - 10
    with pytest.raises(ConfigError):
        read_since("tomorrow", now)


def test_lists_have_a_wide_form_and_one_of_names(cluster: BlockingCluster) -> None:
    assert zactor(cluster, "ps", "-q").stdout.split() == ["l1", "p1"]
    assert zactor(cluster, "wires", "-o", "name").stdout == "l1.turned p1\n"
    assert "n1" in zactor(cluster, "nodes", "-q").stdout.split()
    head, *rows = zactor(cluster, "nodes", "-o", "wide").stdout.splitlines()
    assert {"PID", "CPU%", "MEMORY", "UP"} <= set(head.split())
    assert all(re.search(r"\d+M", row) for row in rows)
    assert "WAITING" in zactor(cluster, "ps", "-o", "wide").stdout
    assert json.loads(zactor(cluster, "ps", "-o", "json").stdout)[0]["name"] == "l1"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("zactor pa", "panel"),
        ("zactor ask l1 se", "set_level"),
        ("zactor logs l", "l1"),
        ("zactor wire l1.", "l1.turned"),
        ("zactor wire l1.turned p1 --service ag", "agreed"),
        ("zactor top --so", "--sort"),
    ],
)
def test_a_shell_completes_commands_options_and_names(
    cluster: BlockingCluster, line: str, offered: str
) -> None:
    words = line.split(" ")
    environment = {
        **os.environ,
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
        "_ZACTOR_COMPLETE": "bash_complete",
        "ZACTOR_HOME": str(cluster.home),
    }
    code = "from zactor.cli.main import main; main()"
    done = run_to_end([sys.executable, "-c", code], env=environment)
    assert f"plain,{offered}" in done.stdout.splitlines()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_each_shell_is_printed(shell: str, home: Path) -> None:
    done = run_to_end([*ZACTOR, "completion", shell])
    assert done.returncode == 0
    assert "_ZACTOR_COMPLETE" in done.stdout
