"""The command line with real nodes: every command, scripts, exit codes, up and down."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end, running

from zactor.cli.main import run
from zactor.supervisor.membership.run_directory import read_entries

DEADLINE_S = 20.0
ZACTOR = (sys.executable, "-m", "zactor")

COUNTER = """
import time
from zactor import Actor, action, signal

class Counter(Actor):
    updateVal = signal(int)

    def __init__(self, start=0):
        self.value = start

    @action
    def inc(self, by=1):
        self.value += by
        return self.value

    @action
    def show(self, text):
        return {"shown": [text, None]}

    @action
    def slow(self):
        time.sleep(0.6)
"""


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not in time: {what}"
        time.sleep(0.01)


def names(home: Path) -> list[str]:
    return sorted(entry.name for entry in read_entries(home))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "parts").mkdir()
    (folder / "parts" / "counter.py").write_text(COUNTER)
    return folder


@pytest.fixture(scope="module")
def home(folder: Path) -> Iterator[Path]:
    """A home with a node n1 that has a counter c1, and its counterpart g1."""
    home = folder / "home"
    with (folder / "n1.log").open("wb") as log:
        command = [*ZACTOR, "node", "--name", "n1", "--home", str(home)]
        with running(command, stderr=log) as child:
            until(lambda: names(home) == ["n1"], "n1 runs")
            prepare = [
                ["declare-factory", "counter", str(folder / "parts" / "counter.py")],
                ["deploy", "counter", "c1", "n1", "--arg", "start=5"],
                ["deploy", "counter", "g1", "n1"],
                ["wire", "g1.inc", "c1", "--anyway"],
            ]
            assert [run([*each, "--home", str(home)]) for each in prepare] == [0, 0, 0, 0]
            yield home
            child.terminate()
            assert child.wait(DEADLINE_S) == 0


@pytest.fixture
def zactor(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = run(["--home", str(home), *(str(each) for each in arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    capsys.readouterr()
    return call


Zactor = Callable[..., tuple[int, str, str]]


def rows(answer: tuple[int, str, str]) -> list[dict[str, object]]:
    code, out, err = answer
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert isinstance(found, list)
    return found


# -- looking ---------------------------------------------------------------------------------
def test_tables_and_json_show_the_same(zactor: Zactor) -> None:
    assert zactor("ps")[1].split()[:2] == ["NAME", "TYPE"]
    assert [(row["name"], row["state"]) for row in rows(zactor("ps", "--json"))] == [
        ("c1", "running"),
        ("g1", "running"),
    ]
    assert [row["name"] for row in rows(zactor("nodes", "--json"))] == ["n1"]
    (wire,) = rows(zactor("wires", "--json"))
    wired = {"emitter": "g1", "action": "inc", "reactor": "c1", "service": "fifo", "state": "up"}
    assert wired.items() <= wire.items()
    assert [row["type"] for row in rows(zactor("factories", "--json"))] == ["counter"]
    assert rows(zactor("deadletters", "--json")) == []
    checks = json.loads(zactor("doctor", "--json")[1])
    assert zactor("doctor")[0] in (0, 3)  # a busy machine may be unwell
    assert {"check", "ok", "detail"} <= checks[0].keys()
    assert json.loads(zactor("status", "--json")[1])["degraded"] is False


def test_an_actor_is_described_with_its_code_and_its_wires(zactor: Zactor) -> None:
    code, out, err = zactor("describe", "c1")
    assert (code, err) == (0, "")
    first, state, origin, *rest = out.splitlines()
    assert first == "c1: counter (Counter) on n1"
    assert state.startswith("state: running since ")
    assert origin.startswith("code: sha256:")
    assert origin.endswith(", current")
    assert rest == [
        "arguments: start=5",
        "restart: never",
        "constructor: Counter(start=0)",
        "actions:",
        "  inc(by=1)",
        "  show(text)",
        "  slow()",
        "signals:",
        "  updateVal(int)",
        "wires in:",
        "  g1.inc -> c1 (fifo)",
        "wires out: none",
    ]
    told = json.loads(zactor("describe", "g1", "--json")[1])
    assert {"name": "g1", "node": "n1", "code": "current", "arguments": {}}.items() <= told.items()
    assert [wire["reactor"] for wire in told["wires_out"]] == ["c1"]
    assert told["wires_in"] == []


def test_actors_get_the_newest_code_and_each_says_so(zactor: Zactor) -> None:
    code, out, err = zactor("upgrade", "c1", "g1")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.partition(" has the newest code already")[0] for line in lines] == ["c1", "g1"]
    told = json.loads(zactor("upgrade", "c1", "--json")[1])
    assert [(row["name"], row["changed"], row["error"]) for row in told] == [("c1", False, "")]
    code, out, err = zactor("upgrade", "c1", "zz")
    assert (code, err) == (1, "")
    assert out.splitlines()[1].startswith("zz: no actor zz")


def test_facts_print_as_prolog_and_as_json(zactor: Zactor) -> None:
    assert "actor(c1,counter,n1).\n" in zactor("kb", "facts")[1]
    facts = {row["fact"]: row for row in rows(zactor("kb", "facts", "--json"))}
    fact = facts["actor(c1,counter,n1)"]
    assert fact["functor"] == "actor"
    assert fact["args"] == ["c1", "counter", "n1"]
    export = zactor("kb", "export", "--prolog")[1]
    assert ":- dynamic(reacts/4)." in export
    assert "\nactor(c1,counter,n1).  % " in export
    assert {row["fact"] for row in rows(zactor("kb", "export"))} == facts.keys()
    assert any("actor(c1,counter,n1)" in str(row) for row in rows(zactor("kb", "log", "--json")))


def test_goals_are_answered_with_bindings_or_yes_or_no(zactor: Zactor) -> None:
    assert zactor("kb", "query", "actor(X, counter, n1), reacts(X, _, _, _)")[1] == "X = c1\n"
    assert zactor("query", "actor(c1, _, _)")[:2] == (0, "yes\n")
    assert zactor("kb", "query", "actor(zz, _, _)")[:2] == (0, "no\n")
    assert zactor("kb", "query", "actor(X, counter, n1)", "--json")[1] == (
        '[{"X": "c1"}, {"X": "g1"}]\n'
    )
    assert zactor("wait", "state(c1, running, _)", "5")[:2] == (0, "yes\n")


def test_events_are_listed_and_followed(zactor: Zactor, home: Path) -> None:
    listed = rows(zactor("events", "--json"))
    command = [*ZACTOR, "events", "-f", "--json", "--home", str(home)]
    with running(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        followed = [json.loads(child.stdout.readline()) for _ in listed]
        assert followed == listed
        zactor("deploy", "counter", "e1", "n1")
        while "e1" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE_S) == 130
    zactor("destroy", "e1")


# -- doing -----------------------------------------------------------------------------------
def test_ask_prints_the_reply_as_json(zactor: Zactor) -> None:
    before = json.loads(zactor("ask", "c1", "inc", 0)[1])
    assert zactor("ask", "c1", "inc", "-2")[1] == f"{before - 2}\n"
    assert zactor("ask", "c1", "show", '{"a": [1, "x"]}')[1] == (
        '{"shown": [{"a": [1, "x"]}, null]}\n'
    )
    assert zactor("ask", "c1", "show", "plain words")[1] == '{"shown": ["plain words", null]}\n'
    assert zactor("tell", "c1", "inc", 5) == (0, "", "")
    assert zactor("ask", "c1", "inc", 0)[1] == f"{before + 3}\n"


def test_an_action_that_an_actor_has_not_is_exit_code_5(zactor: Zactor) -> None:
    for command in ("tell", "ask"):
        code, out, err = zactor(command, "c1", "nope")
        assert (code, out) == (5, ""), command
        assert "has no action 'nope': it has " in err


def test_a_signal_says_how_many_it_reached(zactor: Zactor) -> None:
    assert zactor("signal", "g1", "inc", "--anyway")[1] == "g1.inc reached 1 actor\n"
    assert zactor("signal", "g1", "updateVal", "7")[1] == "g1.updateVal reached 0 actors\n"


def test_wires_and_actors_come_and_go(zactor: Zactor) -> None:
    assert zactor("deploy", "counter", "w1", "n1")[1] == "w1: counter on n1\n"
    assert zactor("wire", "g1.updateVal", "w1.inc")[1] == "g1.updateVal -> w1.inc (fifo)\n"
    assert len(rows(zactor("wires", "--json"))) == 2
    assert zactor("unwire", "g1.updateVal", "w1.inc")[1] == "g1.updateVal -> w1.inc removed\n"
    assert zactor("destroy", "w1", "--drain", "1")[1] == "w1 destroyed\n"
    assert [row["name"] for row in rows(zactor("ps", "--json"))] == ["c1", "g1"]


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        ("ask c1 inc x", 1, "c1.inc on n1 raised TypeError"),
        ("ask zz inc", 5, "no actor zz"),
        ("destroy zz", 5, "zz"),
        ("describe zz", 5, "no actor zz"),
        ("upgrade zz", 5, "no actor zz"),
        ("move zz n1", 5, "no actor zz"),
        ("move c1 n9", 5, "no node n9 (there are: n1"),
        ("undeclare-factory counter", 6, "actors of counter are there (c1; g1)"),
        ("undeclare-factory nothing", 5, "no factory for nothing (declared: counter)"),
        ("deploy counter c9 n9", 5, "n9"),
        ("deploy nothing c9 n1", 5, "nothing"),
        ("deploy counter c1 n1", 6, "c1"),
        ("recover n1 --i-know", 6, "n1 takes changes, with n1: there is nothing to recover"),
        ("recover n9 --i-know", 5, "n9 is not connected to n1"),
        ("forget n1 --i-know", 6, "n1 is up"),
        ("wait actor(zz,_,_) 0.1", 124, "has not become true"),
        ("ask c1 slow --timeout 0.2", 124, "0.2 s"),
        ("kb query actor(", 2, "column 7"),
        ("declare-factory counter nowhere.py", 2, "there is no file or folder 'nowhere.py'"),
        ("ps --endpoint 127.0.0.1:1", 4, "127.0.0.1:1"),
    ],
)
def test_what_fails_is_one_line_with_its_exit_code(
    zactor: Zactor, arguments: str, code: int, expected: str
) -> None:
    found, out, err = zactor(*arguments.split())
    assert (found, out) == (code, "")
    assert err.startswith("zactor: ")
    assert expected in err
    assert err.count("\n") == 1


def test_a_node_that_nothing_waits_for_is_forgotten_already(zactor: Zactor) -> None:
    assert zactor("forget", "n9")[:2] == (0, "nothing waits for n9: changes are taken by n1\n")
    assert json.loads(zactor("forget", "n9", "--json")[1]) == {
        "node": "n9",
        "primary": ["n1"],
        "waits": "",
        "forgot": None,
    }


def test_verbose_shows_the_traceback_of_an_action(zactor: Zactor) -> None:
    code, _, err = zactor("ask", "c1", "inc", "x", "-v")
    assert code == 1
    assert err.startswith("Traceback")
    assert err.splitlines()[-1].startswith("zactor: c1.inc on n1 raised TypeError")


# -- scripts ---------------------------------------------------------------------------------
SCRIPT = """\
# both spellings, a file beside the script, several on a line
declareFactory(counter, 'parts/counter.py'). deployActor(counter, s1, n1, [start=40]).
wire s1.updateVal s1.inc % and back
-deploy counter s1 n1
wait(state(s1, running, _), 5).
ask s1 inc 2
query(actor(s1, counter, N)).
declareFactory(spare, 'parts/counter.py'). undeclareFactory(spare).
upgradeActor(s1).
unwire s1.updateVal s1.inc. destroyActor(s1).
"""


def master(home: Path, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return run_to_end(
        [*ZACTOR, "master", "--home", str(home), *arguments], timeout=DEADLINE_S, **options
    )


def test_a_script_in_both_spellings_runs_and_the_master_goes(home: Path, folder: Path) -> None:
    script = folder / "net.zs"
    script.write_text(SCRIPT)
    done = master(home, str(script))
    assert done.returncode == 0, done.stderr
    assert "s1: counter on n1\n" in done.stdout
    assert "\n42\n" in done.stdout
    assert "\nN = n1\n" in done.stdout
    end = "spare isn't declared any more\n"
    assert f"{end}s1 has the newest code already, sha256:" in done.stdout
    end = "\ns1.updateVal -> s1.inc removed\ns1 destroyed\n"
    assert done.stdout.endswith(end)
    assert done.stderr.startswith(f"{script}:4: ")  # the one that may fail
    assert done.stderr.count("\n") == 1
    assert names(home) == ["n1"]


def test_a_failing_line_stops_the_script_with_file_and_line(home: Path, folder: Path) -> None:
    script = folder / "bad.zs"
    script.write_text("ps\n\nask c1 inc x\ntell c1 inc 1000\n")
    done = master(home, str(script))
    assert done.returncode == 1
    assert done.stdout.startswith("NAME")
    assert done.stderr.startswith(f"{script}:3: c1.inc on n1 raised TypeError")
    assert done.stderr.count("\n") == 1


def test_lines_come_from_c_and_from_stdin(home: Path) -> None:
    done = master(home, "-c", "query(actor(c1, _, N)).", "-", "--json", input="ask c1 show a\nfly")
    assert done.returncode == 1
    assert done.stdout == '[{"N": "n1"}]\n{"shown": ["a", null]}\n'
    assert done.stderr == "<stdin>:2: 'fly' is no operation: `help` lists them\n"


def test_a_script_out_of_time_ends_with_exit_code_124(home: Path) -> None:
    done = master(home, "-c", "-sleep 9", "-c", "ps", "--timeout", "0.5")
    assert (done.returncode, done.stdout) == (124, "")
    assert done.stderr.startswith("zactor: not done in 0.5 s")


@pytest.mark.parametrize("arguments", [["-c", "ps", "--stay"], []])
def test_a_master_stays_until_sigterm(home: Path, arguments: list[str]) -> None:
    command = [*ZACTOR, "master", "--home", str(home), *arguments]
    with running(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as child:
        until(lambda: names(home) == ["m1", "n1"], "m1 runs")
        assert child.stdout is not None
        if arguments:
            child.stdout.readline()  # the script is over when the table's one write has come
        child.terminate()
        assert child.wait(DEADLINE_S) == 0
    assert names(home) == ["n1"]


def test_masters_that_are_started_at_once_have_a_name_each(home: Path) -> None:
    command = [*ZACTOR, "master", "--home", str(home)]
    with contextlib.ExitStack() as all_of_them:
        for _ in range(3):
            quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            child = all_of_them.enter_context(running(command, **quiet))
            all_of_them.callback(child.wait, DEADLINE_S)
            all_of_them.callback(child.terminate)
        until(lambda: names(home) == ["m1", "m2", "m3", "n1"], "all run")


def test_ctrl_c_in_a_script_is_exit_code_130_and_leaves_nothing(home: Path) -> None:
    command = [*ZACTOR, "master", "--home", str(home), "-c", "ps", "-c", "sleep 60"]
    with running(command, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"NAME")
        child.send_signal(signal.SIGINT)
        assert child.wait(DEADLINE_S) == 130
    assert names(home) == ["n1"]


# -- following ------------------------------------------------------------------------------
def test_following_events_ends_when_nobody_reads_them(home: Path) -> None:
    command = [*ZACTOR, "events", "-f", "--home", str(home)]
    with running(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.wait(DEADLINE_S) == 1
        said = child.stderr.read()
        assert said == b"", said.decode()
