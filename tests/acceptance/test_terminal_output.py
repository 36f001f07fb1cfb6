"""The terminal that a node runs on shows names of others without what they would do to it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from deadlines import DEADLINE_S, end, running
from rude_clients import rude_client
from terminals import Terminal

from zactor import Mailbox, MembershipMessage, ZactorError, connect
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Hello, Problem
from zactor.kernel.transport.keys import cluster_keys
from zactor.lab.lab import until
from zactor.supervisor.membership.run_directory import read_entries

TITLE, CLEAR = "\x1b]0;title\x07", "\x1b[2J"
C1_CLEAR, BACKWARDS = "\x9b2J", "\u202e"  # what an 8-bit terminal obeys; what turns a line
EVIL = (TITLE, CLEAR, C1_CLEAR, BACKWARDS)
NAME = f"a{''.join(EVIL)}b"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[str, Terminal]]:
    """A node on a terminal; its door as HOST:PORT."""
    terminal = Terminal()
    command = [sys.executable, "-P", "-m", "zactor.supervisor", "--name", "n1"]
    process = subprocess.Popen(
        [*command, "--home", str(tmp_path)],
        stdin=subprocess.DEVNULL,
        stdout=terminal.theirs,
        stderr=terminal.theirs,
    )
    os.close(terminal.theirs)
    try:
        until("it has a name", lambda: any(entry.name for entry in read_entries(tmp_path)))
        (entry,) = read_entries(tmp_path)
        yield entry.endpoint.removeprefix("tcp://"), terminal
    finally:
        end(process)
        terminal.close()


def hello(cluster: str) -> Hello:
    """What a node of that name says at a door."""
    key = zmq.curve_keypair()[0].decode()
    there = "tcp://127.0.0.1:9"
    version = WIRE_VERSION
    return Hello(version, cluster, NAME, 1, "node", key, there, there, (3, 11), (0, 0))


def test_control_characters_in_a_name_of_another_do_not_reach_the_terminal(
    node: tuple[str, Terminal], tmp_path: Path
) -> None:
    endpoint, terminal = node
    with rude_client(tmp_path, endpoint) as client:
        refused = client.ask(hello("another cluster"))
    assert isinstance(refused, Problem)
    with Mailbox(NAME, endpoint, home=tmp_path):
        pass
    until("it says so", lambda: any(b"hello_refused" in line for line in terminal.lines()))
    assert any(b"\x1b[" in line for line in terminal.lines()), "it writes as to a terminal"
    for word in (TITLE, CLEAR):
        raw = [line for line in terminal.lines() if word.encode() in line]
        assert not raw, f"on the terminal: {raw}"


def test_a_node_with_a_name_that_no_node_can_have_is_not_welcome(
    node: tuple[str, Terminal], tmp_path: Path
) -> None:
    endpoint, _ = node
    with rude_client(tmp_path, endpoint) as client:
        answer = client.ask(hello(cluster_keys(tmp_path).cluster))
    assert isinstance(answer, Problem), f"{NAME!r} is welcome"


# -- every command ---------------------------------------------------------------------------
ACTOR = f"""
from zactor import Actor, action

EVIL = {NAME!r}


class Teller(Actor):
    def __init__(self, text: str = "") -> None:
        self.text = text
        if text == "fail":
            raise ValueError(EVIL)

    async def on_start(self) -> None:
        await self.join(EVIL)

    @action
    def tell(self) -> object:
        self.log.warning("told", text=EVIL, **{{EVIL: [EVIL]}})
        return {{EVIL: EVIL}}

    @action
    def fail(self) -> object:
        self.log.warning(EVIL)
        raise ValueError(EVIL)
"""
COMMANDS = [
    *(["nodes"], ["ps"], ["wires"], ["factories"], ["status"], ["doctor"], ["deadletters"]),
    *(["events"], ["why", "t1"], ["why", "t2"], ["query", "spec(X, Y, Z, _)"]),
    *(["kb", "facts"], ["kb", "log"], ["kb", "query", "spec(X, Y, Z, _)"], ["kb", "export"]),
    *(["kb", "export", "--prolog"], ["group", "list"], ["group", "members", NAME]),
    *(["ask", "t1", "tell"], ["ask", "t1", "fail"], ["-v", "ask", "t1", "fail"], ["ps", NAME]),
    *(["deploy", "teller", "t3", "n1", "--arg", 'text="fail"'], ["deploy", NAME, NAME, NAME]),
    ["master", "--name", "m9", "-c", "ask t1 fail"],
    ["master", "--name", "m9", "-c", "- ask t1 fail\nask t1 tell"],
]


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_no_command_passes_control_characters_of_others_on(
    node: tuple[str, Terminal], tmp_path: Path, as_json: bool
) -> None:
    endpoint, terminal = node
    source = tmp_path / "teller.py"
    source.write_text(ACTOR)
    with connect(endpoint, home=tmp_path, timeout=DEADLINE_S) as m:
        m.declare_factory("teller", source)
        m.deploy_actor("teller", "t1", "n1", text=NAME)
        with pytest.raises(ZactorError):
            m.deploy_actor("teller", "t2", "n1", text="fail")
        m.tell("t1", "fail")
        getattr(m.ref("t1"), NAME).tell()  # unlike `m.tell`, nobody looks whether there is one
    with Mailbox(NAME, endpoint, home=tmp_path) as box:
        box.join(NAME)
        listen = ["group", "listen", NAME, "-n", "1", "--name", "ear"]
        with on_terminal(tmp_path, [*listen, *(["--json"] if as_json else [])]) as (ear, child):
            for message in box:
                if isinstance(message, MembershipMessage) and len(message.members) == 3:
                    break
            box.multicast(NAME, NAME.encode())
            assert child.wait(DEADLINE_S) == 0
        heard = shown_by(ear)
        assert "title" in heard
        for words in COMMANDS:
            with on_terminal(tmp_path, [*words, *(["--json"] if as_json else [])]) as (out, child):
                child.wait(DEADLINE_S)
            heard += shown_by(out)
    assert heard.count("title") > 10, "it is shown, escaped"
    log = terminal.shown.decode()
    assert "told" in log
    for raw in EVIL:
        assert raw not in log, f"{raw!r} in the log"


def shown_by(terminal: Terminal) -> str:
    """Return what a command showed, which has nothing of EVIL as it is."""
    text = terminal.shown.decode()
    for raw in EVIL:
        assert raw not in text, f"{raw!r} in {text}"
    return text


@contextlib.contextmanager
def on_terminal(home: Path, words: list[str]) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    """Run a command on a terminal of its own for the time of the block."""
    terminal = Terminal()
    command = [sys.executable, "-m", "zactor", "--home", str(home), *words]
    try:
        with running(
            command, stdin=terminal.theirs, stdout=terminal.theirs, stderr=terminal.theirs
        ) as child:
            os.close(terminal.theirs)
            yield terminal, child
    finally:
        terminal.close()
