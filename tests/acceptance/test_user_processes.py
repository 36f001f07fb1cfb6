"""The node's process is the node's, whatever actors do with processes, threads, logs and time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import OutcomeUnknown, RemoteActionError, ZactorError, connect
from zactor.kernel import limits
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).with_name("process_users.py")
POOLS = ("SharedPools", "ThreadPools")
KINDS = (*POOLS, "Left", "SharedBusy", "ThreadBusy", "ProcessBusy", "Apart")
KINDS += ("Names", "Strict", "Inside", "Full")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("users"))
    try:
        (made.home / "tmp").mkdir()
        made.start("n1", env={"TMPDIR": str(made.home / "tmp")})  # multiprocessing has files there
        with connect(made.endpoint("n1"), home=made.home) as m:
            for kind in KINDS:
                m.declare_factory(kind, ACTORS)
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def master(lab: Lab) -> Iterator[Any]:
    with connect(lab.endpoint("n1"), home=lab.home, timeout=DEADLINE_S) as m:
        yield m


def tried(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except ZactorError as error:
        return error


def events(master: Any, kind: str) -> list[dict[str, Any]]:
    return [row for row in master.events() if row["event"] == kind]


# -- children --------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", POOLS)
def test_pools_and_children_of_an_actor_are_its_own(master: Any, kind: str) -> None:
    x = master.deploy_actor(kind, f"p-{kind}", "n1")
    for _ in range(3):
        assert x.leave_pool() == [2, 4]
        assert x.pool() == [2, 4]
    assert x.executor() == 8
    assert [x.spawned(method) for method in ("spawn", "forkserver")] == [[2, 4], [2, 4]]
    # Default handlers, no socket of the node's, and no file that it keeps.
    assert x.child() == [True, [], [], 0]
    assert x.terminated() == -signal.SIGTERM
    assert "NotDelivered" in x.asks()
    assert x.pool() == [2, 4]


def test_what_is_printed_and_logged_is_seen_with_its_actor(lab: Lab, master: Any) -> None:
    x = master.deploy_actor("ThreadPools", "printer", "n1")
    x.prints()
    wanted = ["from the actor", "no end", "from a child", "on stderr"]
    for words in wanted:
        line = f"[printer] {words}"
        until(line, lambda line=line: line in lab.output("n1"), 10)
    assert "from a thread" in lab.output("n1")
    assert "from a program" in lab.output("n1")
    logged = [
        json.loads(line)
        for line in lab.output("n1").splitlines()
        if line.startswith("{") and '"mine"' in line
    ]
    assert [(row["level"], row["event"], row["actor"]) for row in logged] == [
        ("warning", "by logging", "printer"),
        ("info", "told", "printer"),
        ("error", "caught", "printer"),
    ]
    assert "ValueError: logged" in logged[2]["exception"]
    kept = lab.home / "state" / "n1" / "output.jsonl"
    said = [json.loads(line)["text"] for line in kept.read_text().splitlines()]
    assert "from the actor" in said
    assert "from a child" not in said, "the file is its parent's"


# -- tasks -----------------------------------------------------------------------------------
def test_who_cancels_what_is_its_own_is_not_stopped(master: Any) -> None:
    x = master.deploy_actor("Inside", "inside", "n1")
    for action in ("cancelled", "cancels_itself", "raised"):
        error = tried(getattr(x, action))
        assert isinstance(error, RemoteActionError), error
        assert error.remote_type == "CancelledError"
    assert tried(x.timed_out).remote_type == "TimeoutError"
    assert x.fine() == "fine"


# -- names -----------------------------------------------------------------------------------
def test_attributes_of_the_user_are_the_users(master: Any) -> None:
    x = master.deploy_actor("Names", "names", "n1")
    assert x.all() == ["mine", "too", 1, 5, "taken", "not that"]
    assert master.deploy_actor("Strict", "strict", "n1").what() == ["colour"]
    master.destroy_actor("names")


# -- destruction -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "action", "remains"),
    [
        ("ThreadBusy", "block", "its block (.*) goes on in its thread"),
        ("ThreadBusy", "spin", "its spin (.*) goes on in its thread"),
        ("ThreadBusy", "cling", ""),
        ("SharedBusy", "cling", "its cling takes no cancellation and goes on"),
        ("SharedBusy", "block", "its block (.*) goes on, and holds all actors of n1"),
        ("ProcessBusy", "block", ""),
        ("ProcessBusy", "cling", ""),
    ],
)
def test_a_destruction_with_a_limit_ends_and_tells_what_goes_on(
    master: Any, kind: str, action: str, remains: str
) -> None:
    x = master.deploy_actor(kind, "busy", "n1")
    getattr(x, action).tell()
    until("it is busy", lambda: any(row["busy_s"] for row in look(master, "busy")), 10)
    master.destroy_actor("busy", drain=0.1, timeout=15)
    told = [row["until_why"] for row in master.why("busy") if "destroyed" in row["until_why"]]
    assert re.fullmatch(f"busy was destroyed(; {remains}.*)?", told[-1]), told
    assert bool(remains) == (";" in told[-1])
    assert master.deploy_actor(kind, "busy", "n1").number() == 7  # the name is free
    master.destroy_actor("busy")


def look(master: Any, name: str) -> list[dict[str, Any]]:
    return [row for row in master.look("runtime") if row["name"] == name]


# -- a process of its own --------------------------------------------------------------------
def test_an_actor_in_a_process_of_its_own_is_like_any_other(lab: Lab, master: Any) -> None:
    x = master.deploy_actor("Apart", "apart", "n1", start=5)
    master.deploy_actor("ThreadBusy", "neighbour", "n1")
    assert x.add(2) == 7
    pid, mine, folder, name, node, _ = x.about()
    assert pid != lab.pid("n1")
    assert (mine, folder, name, node) == ("1", "/", "apart", "n1")
    assert x.through("neighbour") == 7
    error = tried(x.fail)
    assert isinstance(error, RemoteActionError)
    assert (error.remote_type, error.actor, error.action) == ("ValueError", "apart", "fail")
    assert "process_users.py" in error.traceback
    assert [row["action"] for row in master.failures() if row["actor"] == "apart"] == ["fail"]
    data = bytes(3_000_000)
    assert x.length(data) == [len(data), data]
    x.in_group({"a": 1})
    until("it hears", lambda: x.of_group() == [[["#apart#n1", {"a": 1}]], True], 10)
    until("its own time goes on", lambda: x.about()[-1] > 3, 10)
    x.halt()
    until("it is gone", lambda: "apart" not in {row["name"] for row in master.actors()}, 10)
    until("its process too", lambda: not Path(f"/proc/{pid}").exists(), 10)


def test_a_signal_that_finds_no_room_is_a_failed_action_and_no_death(lab: Lab, master: Any) -> None:
    room = lab.home / "room"
    x = master.deploy_actor("Apart", "eager", "n1")
    master.deploy_actor("Full", "full", "n1", until=str(room))
    master.react_interaction("full", "eager", "number")
    for _ in range(8):
        x.add()

    def failed() -> set[str]:
        return {row["error"] for row in master.failures() if row["actor"] == "eager"}

    full = "MailboxFull: the mailbox of full is full: 1 messages"
    until("it is told", lambda: failed() == {full}, 10)
    assert x.add() == 9
    room.touch()
    for name in ("eager", "full"):
        master.destroy_actor(name)


def test_signals_without_end_of_names_are_failed_actions_and_no_death(master: Any) -> None:
    x = master.deploy_actor("Apart", "inventor", "n1")
    x.emit_names(limits.OWN_SIGNALS_MAX + 3)
    many = f"ActorError: inventor has sent {limits.OWN_SIGNALS_MAX} signals by other names"

    def failed() -> list[str]:
        return [row["error"] for row in master.failures() if row["actor"] == "inventor"]

    until("it is told", lambda: failed() == [many] * 3, 10)
    x.emit_names(5)  # those that it had before
    assert x.add() == 1, "it goes on, and so do they; this is a new one"
    until("no more fails than that", lambda: failed() == [many] * 4, 10)
    master.destroy_actor("inventor")


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("leave", "ended with exit code 3; it said last: .*my last words"),
        ("crash", "killed by SIGSEGV; it said last: Fatal Python error: Segmentation fault"),
        ("eat", "out of memory: it may have 256 MiB"),
    ],
)
def test_the_end_of_its_process_is_the_end_of_that_actor_only(
    lab: Lab, master: Any, action: str, why: str
) -> None:
    x = master.deploy_actor("Apart", "dies", "n1")
    pid = lab.pid("n1")
    error = tried(getattr(x, action))
    if action != "eat":  # its MemoryError may still have been answered
        assert isinstance(error, OutcomeUnknown)
        assert re.search(why, str(error)), error
    until("told", lambda: any(re.search(why, row["reason"]) for row in died(master)), 10)
    until("it stands as failed", lambda: standing(master, "dies")["state"] == "failed", 10)
    assert re.search(why, standing(master, "dies")["reason"])
    assert lab.pid("n1") == pid
    master.destroy_actor("dies")
    assert master.deploy_actor("Apart", "dies", "n1").add() == 1
    master.destroy_actor("dies")


def standing(master: Any, name: str) -> dict[str, Any]:
    return next(row for row in master.actors() if row["name"] == name)


def died(master: Any) -> list[dict[str, Any]]:
    return events(master, "actor_died")


# -- the end of a node -----------------------------------------------------------------------
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_node_ends_in_time_and_leaves_nothing(lab: Lab, number: signal.Signals) -> None:
    name = f"e{number.value}"
    lab.start(name)
    with connect(lab.endpoint(name), home=lab.home) as m:
        until("it is in", lambda: name in {row["name"] for row in m.nodes()}, 20)
        m.deploy_actor("Left", f"left-{name}", name)
        pid = m.deploy_actor("Apart", f"apart-{name}", name).about()[0]
    os.kill(lab.pid(name), number)
    code = lab.wait(name, 10)
    until("its actor's process ends", lambda: not Path(f"/proc/{pid}").exists(), 10)
    if number is signal.SIGKILL:
        end_children(lab.home)
        return
    assert code == 0
    assert (lab.home / f"stopped-left-{name}").read_text() == "the node stops"
    assert children(lab.home) == []
    lab.start(name)  # nobody holds what it had
    lab.stop(name)


def children(folder: Path) -> list[int]:
    """What works in that folder, but for nodes that were started for it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            where = (process / "cwd").readlink()
        except (OSError, ValueError):
            continue
        if (
            where == folder
            and words != [b""]
            and parent in (1, os.getpid())
            and not is_node(words, parent)
        ):
            found.append(int(process.name))
    return found


def is_node(words: list[bytes], parent: int) -> bool:
    return parent == os.getpid() and b"zactor.supervisor" in words


def end_children(folder: Path) -> None:
    for pid in children(folder):
        os.kill(pid, signal.SIGKILL)


def test_who_may_open_too_few_files_is_told_so(tmp_path: Path) -> None:
    words = ["bash", "-c", 'ulimit -n 20; exec "$@"', "-", sys.executable, "-m", "zactor"]
    found = subprocess.run(
        [*words, "--home", str(tmp_path), "node", "--name", "n1"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert found.returncode == 2
    assert found.stderr.strip() == (
        "zactor: this process may have 20 files open (ulimit -n), and a node needs"
        f" {limits.OPEN_FILES_MIN}: raise the limit, as by `ulimit -n 4096`"
    )
