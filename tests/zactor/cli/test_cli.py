"""The command line without a node: help, usage, exit codes, errors, bundles and keys."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from deadlines import DEADLINE_S, run_to_end, running

from zactor.cli.common import deadline, error_line
from zactor.cli.main import run
from zactor.cli.master import free_master_name
from zactor.cli.root import cli
from zactor.kernel.errors import RemoteActionError, ScriptError, TimedOut
from zactor.supervisor.membership.run_directory import RunEntry, process_start, write_entry

COUNTER = """
from zactor import Actor, action

class Counter(Actor):
    @action
    def inc(self): ...
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZACTOR_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ZACTOR_DEBUG", raising=False)
    return tmp_path / "home"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER)
    return file


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# -- help ------------------------------------------------------------------------------------
def test_without_arguments_it_helps(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys)
    assert (code, err) == (0, "")
    assert "Exit codes: 0 done" in out


def test_every_command_helps_with_h(capsys: pytest.CaptureFixture[str]) -> None:
    context = cli.make_context("zactor", ["ps"])
    names = [[name] for name in cli.list_commands(context)]
    names += [["kb", name] for name in ("facts", "query", "export", "log")]
    names += [["bundle", name] for name in ("build", "show", "verify")]
    names += [["keys", name] for name in ("init", "token", "join", "show")]
    for name in names:
        code, out, err = said(capsys, *name, "-h")
        assert (code, err) == (0, ""), name
        assert out.startswith(f"Usage: zactor {' '.join(name)}"), name


def test_help_and_errors_load_nothing_heavy() -> None:
    program = (
        "import sys; from zactor.cli.main import run; run(['-h']); run(['deploy', '-h']); "
        "print(sorted({'zmq', 'asyncio', 'structlog', 'msgspec', 'cloudpickle'} & {*sys.modules}))"
    )
    done = run_to_end([sys.executable, "-c", program])
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_module_runs_as_the_command_does() -> None:
    done = run_to_end([sys.executable, "-m", "zactor", "--version"])
    assert done.returncode == 0
    assert done.stdout.startswith("zactor ")


def test_a_group_without_a_command_shows_its_help_with_exit_code_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("kb", "bundle", "keys"):
        code, out, err = said(capsys, name)
        assert (code, err) == (2, "")
        assert out == said(capsys, name, "-h")[1]
        assert out.count("\n") > 5


def test_ctrl_c_during_the_imports_is_exit_code_130_without_a_traceback() -> None:
    program = """
import sys
class Interrupted:
    def find_spec(self, name, *rest):
        if name == "click":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Interrupted())
from zactor.cli.main import main
main()
"""
    done = run_to_end([sys.executable, "-c", program])
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# -- usage -----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["pss"], "there is no command 'pss', did you mean 'ps'?"),
        (["list"], "there is no command 'list', did you mean 'ps'?"),
        (["up", "3"], "how many nodes: `zactor up -n 3`"),
        (["deploy", "counter"], "Missing argument 'NAME': see `zactor deploy -h`"),
        (["ps", "--nonsense"], "No such option"),
        (["ps", "--timeout", "-1"], "--timeout"),
        (["wire", "g1", "c1"], "'g1' is no EMITTER.ACTION, like g1.inc"),
        (["ask", "c1", "inc", "--loud"], "there is no option '--loud'"),
        (["deploy", "a", "b", "c", "--arg", "x"], "'x' is no K=JSON, like start=5"),
        (["ps", "--endpoint", "h:port"], "'h:port' is no address"),
        (["master", "no-such.zs"], "can't read the script 'no-such.zs'"),
        (["demo", "one"], "'one' is no number of a demo"),
        (["keys", "join", "nonsense"], "the token is damaged"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    code, out, err = said(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("zactor: ")
    assert expected in err
    assert err.count("\n") == 1


def test_no_node_is_exit_code_4_and_says_how_to_start_one(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    for arguments in (["ps"], ["status", "--json"], ["tell", "c1", "inc", "-1"], ["kb", "facts"]):
        code, out, err = said(capsys, *arguments)
        assert (code, out) == (4, "")
        assert str(home) in err
        assert "zactor node" in err
        assert err.count("\n") == 1


def test_the_home_may_stand_before_or_after_the_command(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for arguments in (["--home", tmp_path / "x", "ps"], ["ps", "--home", tmp_path / "x"]):
        assert str(tmp_path / "x") in said(capsys, *arguments)[2]
    both = said(capsys, "--home", tmp_path / "x", "ps", "--home", tmp_path / "y")
    assert str(tmp_path / "y") in both[2]


def test_what_is_not_there_is_exit_code_5(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "demo", "77")[0] == 5
    assert said(capsys, "bundle", "show", "nowhere")[0] == 5
    assert said(capsys, "keys", "show")[0] == 5


def test_a_reader_that_goes_early_is_no_error() -> None:
    done = run_to_end(["sh", "-c", f"{sys.executable} -m zactor -h | head -1"])
    assert done.stdout.startswith("Usage")
    assert done.stderr == ""


# -- errors ----------------------------------------------------------------------------------
def test_an_error_is_one_line_whatever_its_message_is() -> None:
    remote = RemoteActionError("a\n  b", remote_type="ValueError", actor="c1", action="inc")
    assert error_line(remote) == "zactor: c1.inc on  raised ValueError: a b"
    assert error_line(ScriptError("net.zs:3: no")) == "net.zs:3: no"
    assert "ZACTOR_DEBUG" in error_line(KeyError("x"))


def test_out_of_time_goes_through_lines_that_may_fail() -> None:
    def impatient() -> None:
        with deadline(0.05):
            while True:
                try:
                    time.sleep(30)
                except Exception:
                    pytest.fail("swallowed")

    with pytest.raises(TimedOut, match=r"0\.05 s"):
        impatient()


# -- files -----------------------------------------------------------------------------------
def test_a_bundle_is_built_shown_and_verified(
    capsys: pytest.CaptureFixture[str], source: Path, tmp_path: Path
) -> None:
    file = tmp_path / "counter.zb"
    code, out, _ = said(capsys, "bundle", "build", source, "-o", file, "--json")
    built = json.loads(out)
    assert code == 0
    assert built["bundle"].startswith("sha256:")
    assert built["bytes"] == file.stat().st_size
    shown = json.loads(said(capsys, "bundle", "show", file, "--json")[1])
    assert shown["bundle"] == built["bundle"]
    assert shown["types"]["Counter"] == "counter:Counter"
    assert list(shown["files"]) == ["src/counter.py"]
    assert "types:        Counter" in said(capsys, "bundle", "show", file)[1]
    assert said(capsys, "bundle", "verify", file)[0] == 0


def test_a_damaged_bundle_is_refused_with_exit_code_6(
    capsys: pytest.CaptureFixture[str], source: Path, tmp_path: Path
) -> None:
    file = tmp_path / "counter.zb"
    said(capsys, "bundle", "build", source, "-o", file)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    code, out, err = said(capsys, "bundle", "verify", file)
    assert (code, out) == (6, "")
    assert "damaged" in err


def test_keys_travel_as_a_token(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert said(capsys, "keys", "init")[0] == 0
    token = said(capsys, "keys", "token")[1].strip()
    there = ("--home", tmp_path / "there")
    code, out, err = said(capsys, "keys", "join", token, "--json", *there)
    assert (code, err) == (0, "")
    mine = json.loads(said(capsys, "keys", "show", "--json")[1])
    assert json.loads(out)["cluster"] == mine["cluster"]
    assert token not in out
    mode = stat.S_IMODE(os.stat(json.loads(out)["file"]).st_mode)
    assert mode == 0o600


def test_a_home_of_another_cluster_refuses_a_token_with_exit_code_6(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    token = said(capsys, "keys", "token")[1].strip()
    there = ("--home", tmp_path / "there")
    assert said(capsys, "keys", "init", *there)[0] == 0
    assert said(capsys, "keys", "join", token, *there)[0] == 6


# -- processes -------------------------------------------------------------------------------
def test_the_next_master_takes_the_next_name(home: Path) -> None:
    with free_master_name(home) as first, free_master_name(home) as second:
        assert (first, second) == ("m1", "m2"), "neither runs yet"
    with free_master_name(home) as again:
        assert again == "m1"
    pid = os.getpid()
    for name, port in (("m1", 1), ("m3", 2), ("n1", 3)):
        entry = RunEntry(
            name=name,
            role="master",
            endpoint=f"tcp://127.0.0.1:{port}",
            pid=pid,
            started=process_start(pid),
        )
        write_entry(home, entry)
    with free_master_name(home) as name:
        assert name == "m2"


def test_down_with_nothing_to_stop_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "down") == (0, "nothing runs here\n", "")
    assert json.loads(said(capsys, "down", "--json")[1]) == {"stopped": []}


def entry_of(pid: int) -> RunEntry:
    """What a node n1 with this process would have written."""
    door = "tcp://127.0.0.1:1"
    return RunEntry(name="n1", role="node", endpoint=door, pid=pid, started=process_start(pid))


def test_down_stops_what_run_names_and_waits_until_it_is_gone(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    with running(["sleep", "60"]) as child:
        write_entry(home, entry_of(child.pid))
        assert said(capsys, "down")[:2] == (0, "stopped n1\n")
        assert child.wait(0) == -15


def test_down_says_what_does_not_stop_and_can_kill_it(
    capsys: pytest.CaptureFixture[str], home: Path
) -> None:
    program = (
        "import signal, time; signal.signal(15, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    with running([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        write_entry(home, entry_of(child.pid))
        code, _, err = said(capsys, "down", "--timeout", "0.1")
        assert code == 124
        assert f"n1 (pid {child.pid})" in err
        assert said(capsys, "down", "--timeout", "0.1", "--kill")[0] == 0
        assert child.wait(DEADLINE_S) == -9
