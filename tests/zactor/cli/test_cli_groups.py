"""zactor/cli/group.py: `zactor group` at two real nodes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import run_to_end

from zactor.cli.group import as_data
from zactor.cli.group_lines import GroupLines
from zactor.cli.main import run
from zactor.kernel.messages.client_sessions import (
    MembershipCause,
    MembershipMessage,
    RegularMessage,
)
from zactor.kernel.messages.service import Service
from zactor.lab.lab import Lab, until

ZACTOR = (sys.executable, "-P", "-m", "zactor")
DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    made = Lab(tmp_path_factory.mktemp("groups"))
    try:
        for name in ("n1", "n2"):
            made.start(name)
        until("they meet", lambda: made.names_up("n1") == made.names_up("n2") == {"n1", "n2"})
        yield made
    finally:
        made.close()


class Listener:
    """`zactor group listen room` in a process of its own, that has joined."""

    def __init__(self, lab: Lab, *words: str) -> None:
        command = [*ZACTOR, "group", "listen", "room", *words, "--home", str(lab.home)]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.first = self.line()

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self, number: signal.Signals | None = None) -> tuple[int, str, str]:
        """Its exit code, the rest of its output, and its errors."""
        if number is not None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, out, err


def zactor(lab: Lab, *words: str) -> int:
    return run([*words, "--home", str(lab.home)])


# -- what is there ---------------------------------------------------------------------------
def test_groups_and_their_members_are_listed_for_people_and_programs(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = Listener(lab, "--name", "bob", "--endpoint", lab.endpoint("n2"))
    assert zactor(lab, "group") == 0
    assert capsys.readouterr().out == "GROUP  MEMBERS\nroom   1\n"
    for words in (("group", "--json"), ("group", "list", "--json")):
        assert zactor(lab, *words) == 0
        assert json.loads(capsys.readouterr().out) == [{"group": "room", "members": 1}]
    assert zactor(lab, "group", "members", "room") == 0
    assert capsys.readouterr().out == "MEMBER   SESSION  NODE\n#bob#n2  bob      n2\n"
    assert zactor(lab, "group", "members", "room", "--json") == 0
    row = {"member": "#bob#n2", "session": "bob", "node": "n2"}
    assert json.loads(capsys.readouterr().out) == [row]
    listener.end(signal.SIGTERM)
    assert zactor(lab, "group", "members", "room") == 5
    assert capsys.readouterr() == (
        "",
        "zactor: there is no group 'room': `zactor group` shows which there are\n",
    )


# -- messages --------------------------------------------------------------------------------
def test_what_is_sent_is_heard_with_who_comes_and_goes(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    listener = Listener(lab, "--name", "bob", "--endpoint", lab.endpoint("n2"))
    assert listener.first == "room: #bob#n2 joined; members #bob#n2\n"
    at = ("--endpoint", lab.endpoint("n1"), "--name", "ann")
    assert zactor(lab, "group", "send", "room", "hello there", *at) == 0
    assert capsys.readouterr() == ("", "")
    assert listener.line() == "room: #ann#n1: hello there\n"
    other = Listener(lab, "--name", "carl", "--endpoint", lab.endpoint("n1"), "--json")
    assert listener.line() == "room: #carl#n1 joined; members #carl#n1 #bob#n2\n"
    words = ("group", "send", "room", "a\x1b[2Jb", "--service", "SAFE", "--json")
    assert zactor(lab, *words, *at) == 0
    assert json.loads(capsys.readouterr().out) == {"sent": 1}
    assert listener.line() == "room: #ann#n1: a\\x1b[2Jb\n"
    heard = json.loads(other.line())
    assert heard.pop("id").startswith("n1@1#")
    assert heard == {
        "kind": "message",
        "sender": "#ann#n1",
        "groups": ["room"],
        "service": "safe",
        "text": "a\x1b[2Jb",
        "mess_type": 0,
        "discard": False,
        "transitional": False,
    }
    assert other.end(signal.SIGINT)[0] == 130
    assert listener.line() == "room: #carl#n1 disconnected; members #bob#n2\n"
    code, out, err = listener.end(signal.SIGINT)
    assert (code, out, err.strip()) == (130, "", "")


def test_each_line_of_stdin_is_a_message_and_listening_ends_with_its_count(lab: Lab) -> None:
    listener = Listener(lab, "-n", "3")
    command = [*ZACTOR, "group", "send", "room", "-", "--json", "--home", str(lab.home)]
    done = run_to_end(command, input=b"one\n\ntwo\xff", timeout=DEADLINE_S, text=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"sent": 3}
    code, out, err = listener.end()
    assert (code, err) == (0, "")
    bodies = [line.partition(": ")[2].partition(": ")[2] for line in out.splitlines()]
    assert bodies == ["one", "", "two\\xff"]


def test_listening_stops_when_nobody_reads_what_it_prints(lab: Lab) -> None:
    listener = Listener(lab)
    assert listener.process.stdout is not None
    listener.process.stdout.close()
    assert listener.process.wait(DEADLINE_S) == 1
    assert listener.process.stderr is not None
    assert listener.process.stderr.read() == ""
    listener.process.stderr.close()


# -- what goes wrong -------------------------------------------------------------------------
def test_every_error_is_one_line_with_its_exit_code(
    lab: Lab, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with_bob = Listener(lab, "--name", "bob", "--endpoint", lab.endpoint("n1"))
    at_n1 = ("--endpoint", lab.endpoint("n1"))
    cases = [
        (124, ("group", "listen", "quiet", "--timeout", "0.3"), "not done in 0.3 s"),
        (6, ("group", "listen", "room", "--name", "bob", *at_n1), "session bob is open already"),
        (2, ("group", "listen", "a#b"), "no name for a group"),
        (2, ("group", "listen", "room", "--name", "zactor.x"), "zactor's own"),
        (2, ("group", "listen", "room", "-n", "0"), "0 is not in the range"),
        (2, ("group", "send", "room"), "Missing argument 'TEXT'"),
        (2, ("group", "send", "room", "x", "--service", "best"), "no service level"),
        (2, ("group", "send", "zactor.kb", "x"), "zactor's own"),
        (2, ("group", "send", "room", "x", "--endpoint", "h:x"), "no address"),
        (2, ("group", "nonsense"), "No such command"),
    ]
    for code, words, said in cases:
        if "listen" in words:  # it watches who reads its stdout
            command = [*ZACTOR, *words, "--home", str(lab.home)]
            done = run_to_end(command)
            assert done.returncode == code, words
            err = done.stderr
        else:
            assert zactor(lab, *words) == code, words
            err = capsys.readouterr().err
        assert said in err, words
        assert err.count("\n") == 1, words
    with_bob.end(signal.SIGINT)
    for words in (("group",), ("group", "members", "room"), ("group", "send", "room", "x")):
        assert run([*words, "--home", str(tmp_path)]) == 4, words
        assert "no node runs in" in capsys.readouterr().err


# -- words -----------------------------------------------------------------------------------
def membership(**more: object) -> MembershipMessage:
    fields: dict[str, object] = {
        "group": "room",
        "transitional": False,
        "cause": MembershipCause.NETWORK,
        "members": ("#a#n1", "#b#n2"),
        "changed": None,
        "vs_sets": (("#a#n1",), ("#b#n2",)),
        "own_set": 0,
        "id": "7.n1@1/0",
    }
    return MembershipMessage(**(fields | more))  # type: ignore[arg-type]  # by name


def test_memberships_are_told_in_words() -> None:
    lines, verbose = GroupLines(), GroupLines(verbose=True)
    merged = "room: the network changed (#a#n1 | #b#n2); members #a#n1 #b#n2"
    assert lines.line(membership()) == verbose.line(membership()) == merged
    left = membership(cause=MembershipCause.LEAVE, changed="#c#n1")
    assert lines.line(left) == "room: #c#n1 left; members #a#n1 #b#n2"
    losing = membership(transitional=True)
    assert (lines.line(losing), verbose.line(losing)) == ("", "room: members are being lost")
    alone = membership(members=("#a#n1",))
    lost = "room: lost #b#n2 (n2 is gone or out of reach)"
    assert lines.line(alone) == f"{lost}; members #a#n1"
    assert verbose.line(alone).startswith(f"{lost}; the network changed (")
    healed = lines.line(membership())
    assert healed.startswith("room: #b#n2 is back: it has not heard what was sent since 20")
    assert healed.endswith("; members #a#n1 #b#n2")
    own = membership(cause=MembershipCause.SELF_LEAVE, changed="#a#n1", members=())
    assert lines.line(own) == "room: #a#n1 left"


def test_a_membership_is_data_for_programs() -> None:
    assert as_data(membership()) == {
        "kind": "membership",
        "group": "room",
        "cause": "network",
        "transitional": False,
        "members": ["#a#n1", "#b#n2"],
        "changed": None,
        "vs_sets": [["#a#n1"], ["#b#n2"]],
        "own_set": 0,
        "id": "7.n1@1/0",
    }


def test_a_payload_that_is_no_text_is_printed_as_digits() -> None:
    message = RegularMessage(
        "#a#n1", ("x", "y"), b"\xff\n", Service.FIFO, False, 7, True, "n1@1", 3, "7.n1@1"
    )
    assert GroupLines().line(message) == "x y: #a#n1: \\xff\\n"
    data = as_data(message)
    assert (data["hex"], data["mess_type"], data["transitional"]) == ("ff0a", 7, True)
    assert "text" not in data
