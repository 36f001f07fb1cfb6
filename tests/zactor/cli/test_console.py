"""The console on a real terminal: events above the line, history, TAB, Ctrl-C, Ctrl-D."""

from __future__ import annotations

import codecs
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import end, running

DEADLINE_S = 20.0
MOMENT = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d.\d{3}[+-]\d\d:\d\d"

SCREEN = """
import threading
from zactor.cli.screen import Screen

screen = Screen()
with screen.opened():
    while True:
        try:
            line = screen.read("m1> ")
        except EOFError:
            break
        if line.startswith("later "):
            show = lambda: screen.above("EVENT one\\\\nEVENT two")
            threading.Timer(float(line.split()[1]), show).start()
        print(f"<{line}>")
"""

COUNTER = """
from zactor import Actor, action

class Counter(Actor):
    def __init__(self, start=0):
        self.value = start

    @action
    def inc(self, by=1):
        self.value += by
        return self.value
"""

EARLY = SCREEN.replace(
    "screen = Screen()",
    """
class Early(Screen):
    def _on_prompt(self):  # the prompt is drawn, and nobody has been told
        self.above("EVENT early")
        super()._on_prompt()

screen = Early()
""",
)


# Makes stdin the program's controlling terminal, so that Ctrl-C becomes a signal.
ON_TERMINAL = """
import os, sys
os.login_tty(os.dup(0))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, *arguments: str, home: Path | None = None) -> None:
        self.ours, theirs = pty.openpty()
        self.child = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, *arguments],
            stdin=theirs,
            env={
                **os.environ,
                "TERM": "xterm",
                "INPUTRC": "/dev/null",
                "COLUMNS": "200",
                "NO_COLOR": "1",
                "ZACTOR_HOME": str(home or os.devnull),
            },
        )
        os.close(theirs)
        self.seen = ""
        # A terminal gives bytes as they come: a read may end within a character.
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def expect(self, text: str) -> str:
        """Wait until `text` has come; return everything before it and forget that."""
        until = time.monotonic() + DEADLINE_S
        while text not in self.seen:
            left = until - time.monotonic()
            assert left > 0, f"{text!r} has not come, but {self.seen!r}"
            if select.select([self.ours], [], [], left)[0]:
                self.seen += self._read()
        before, _, self.seen = self.seen.partition(text)
        return before

    def shows(self, text: str, seconds: float) -> bool:
        """Return whether `text` comes within that time; nothing is forgotten."""
        until = time.monotonic() + seconds
        while text not in self.seen and (left := until - time.monotonic()) > 0:
            if select.select([self.ours], [], [], left)[0]:
                self.seen += self._read()
        return text in self.seen

    def _read(self) -> str:
        try:
            return self.decoder.decode(os.read(self.ours, 4096))
        except OSError:  # nobody has the terminal any more
            raise AssertionError(f"the program ended, having said {self.seen!r}") from None

    def close(self) -> None:
        end(self.child)
        os.close(self.ours)


Opener = Callable[..., Terminal]


@pytest.fixture
def opened() -> Iterator[Opener]:
    terminals: list[Terminal] = []

    def open_terminal(*arguments: str, home: Path | None = None) -> Terminal:
        terminals.append(Terminal(*arguments, home=home))
        return terminals[-1]

    yield open_terminal
    for terminal in terminals:
        terminal.close()


# -- the screen alone ------------------------------------------------------------------------
def test_an_event_comes_above_the_line_and_the_cursor_stays(opened: Opener) -> None:
    terminal = opened("-c", SCREEN)
    terminal.expect("m1> ")
    terminal.type("later 0.3\n")
    terminal.expect("<later 0.3>")
    terminal.expect("m1> ")
    terminal.type("deploy countr c1")
    terminal.type("\033[D" * 4)  # to the end of `count`
    before = terminal.expect("EVENT one")
    assert re.search(r"\r\x1b\[J$", before), "the line was cleared first"
    terminal.expect("EVENT two")
    terminal.expect("m1> deploy countr c1")
    terminal.type("e\n")
    terminal.expect("<deploy counter c1>")


def test_an_event_while_nothing_is_typed_draws_the_prompt_again(opened: Opener) -> None:
    terminal = opened("-c", SCREEN)
    terminal.expect("m1> ")
    terminal.type("later 0.1\n")
    terminal.expect("<later 0.1>")
    terminal.expect("EVENT two\r\n")
    terminal.expect("m1> ")
    terminal.type("ps\n")
    terminal.expect("<ps>")


def test_an_event_while_the_prompt_is_drawn_comes_above_it_too(opened: Opener) -> None:
    terminal = opened("-c", EARLY)
    terminal.expect("m1> ")
    assert re.search(r"\r\x1b\[J$", terminal.expect("EVENT early\r\n")), "not behind the prompt"
    terminal.expect("m1> ")
    terminal.type("ps\n")
    terminal.expect("<ps>")


# -- with a node -----------------------------------------------------------------------------
def test_a_master_on_a_terminal_has_a_console(opened: Opener, tmp_path: Path) -> None:
    source = tmp_path / "counter.py"
    source.write_text(COUNTER)
    home = tmp_path / "home"
    terminal = opened("-m", "zactor", "master", home=home)
    terminal.expect("zactor master m1 at 127.0.0.1:")
    terminal.expect("m1> ")

    terminal.type(f"declareFactory(counter, '{source}'). deploy counter c1 m1 --arg start=5\n")
    terminal.expect("counter: sha256:")
    terminal.expect("c1: counter on m1")
    terminal.type("ask(c1,\ninc, [2]).\n")  # a term goes on on the next line
    terminal.expect("\r\n7\r\n")

    terminal.type("ps\n")  # a table
    terminal.expect("NAME  TYPE")
    terminal.expect("c1    counter  m1")
    terminal.type("destroy nobody\n")  # an error is one line, and the console goes on
    terminal.expect("error: no actor nobody")
    terminal.type("fly(c1). ps\n")
    terminal.expect("error: fly/1 is no operation")
    terminal.type("help\n")
    terminal.expect("deadletters")

    terminal.expect("m1> ")
    terminal.type("destr\t")  # TAB: what `destroy` and `destroyActor(` have in common
    terminal.expect("oy")
    terminal.type("\x15ask c\t")  # the only actor's name
    terminal.expect("ask c1 ")
    terminal.type("inc\n")
    terminal.expect("\r\n8\r\n")

    terminal.expect("m1> ")
    terminal.type("nonsense")  # Ctrl-C drops the line
    terminal.expect("nonsense")
    for _ in range(10):  # one that comes while the line isn't being read is lost
        terminal.type("\x03")
        if terminal.shows("m1> ", 2.0):
            break
    terminal.expect("m1> ")
    terminal.type("query actor(X, counter, m1)\n")
    terminal.expect("X = c1")

    terminal.expect("m1> ")
    terminal.type("\x04")
    assert terminal.child.wait(DEADLINE_S) == 0
    history = home / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "ask c1 inc" in history.read_text()
    assert "nonsense" not in history.read_text()
    assert not list((home / "run").iterdir())


def test_what_others_do_is_shown_above_the_line(opened: Opener, tmp_path: Path) -> None:
    home = tmp_path / "home"
    terminal = opened("-m", "zactor", "master", home=home)
    terminal.expect("m1> ")
    terminal.type("half a li")
    terminal.expect("half a li")
    node = [sys.executable, "-m", "zactor", "node", "--name", "n7", "--home", str(home)]
    with running(node, stderr=subprocess.DEVNULL) as child:
        said = terminal.expect("n7 is up")
        assert re.search(rf"\r\x1b\[J{MOMENT} $", said), "not in the place of the line"
        assert terminal.expect("m1> half a li") == "\r\n"
        child.terminate()
        assert "changed" not in terminal.expect("n7 is gone")
        terminal.expect("m1> half a li")
        assert child.wait(DEADLINE_S) == 0
    terminal.child.send_signal(signal.SIGTERM)  # ends it in good order, whatever was typed
    assert terminal.child.wait(DEADLINE_S) == 0
    assert not list((home / "run").iterdir())


def test_exit_leaves_the_console_and_history_comes_back(opened: Opener, tmp_path: Path) -> None:
    for line in ("sleep 0.001\n", "\033[A\033[A\n"):  # the second time by arrows, above `exit`
        terminal = opened("-m", "zactor", "master", home=tmp_path / "home")
        terminal.expect("m1> ")
        terminal.type(line)
        terminal.expect("sleep 0.001")
        terminal.expect("m1> ")
        terminal.type("exit\n")
        assert terminal.child.wait(DEADLINE_S) == 0


def test_an_error_of_an_action_is_one_line_and_with_v_its_traceback(
    opened: Opener, tmp_path: Path
) -> None:
    source = tmp_path / "counter.py"
    source.write_text(COUNTER)
    terminal = opened("-m", "zactor", "master", home=tmp_path / "home")
    terminal.expect("m1> ")
    terminal.type(f"declare-factory counter {source}. deploy counter c1 m1\n")
    terminal.expect("c1: counter on m1")
    terminal.expect("m1> ")
    terminal.type("ask c1 inc x\n")
    assert "Traceback" not in terminal.expect("error: c1.inc on m1 raised TypeError")
    terminal.expect("m1> ")
    terminal.type("ask c1 inc x -v\n")
    assert "Traceback" in terminal.expect("error: c1.inc on m1 raised TypeError")


def test_a_console_that_is_killed_has_kept_its_history(opened: Opener, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "history").parent.mkdir(mode=0o700)
    (home / "history").write_text("earlier\n")
    terminal = opened("-m", "zactor", "master", home=home)
    for line in ("sleep 0.001", "sleep 0.001", "query(a(", "b))."):
        terminal.expect("m1> " if line != "b))." else "… ")
        terminal.type(f"{line}\n")
    terminal.expect("no\r\n")
    terminal.expect("m1> ")
    end(terminal.child)
    kept = (home / "history").read_text().splitlines()
    assert kept == ["earlier", "sleep 0.001", "query(a(", "b))."]
    assert stat.S_IMODE((home / "history").stat().st_mode) == 0o600


@pytest.mark.parametrize("words", ["destroy", "destroyActor"])
def test_help_shows_an_operation_as_it_is_written_and_its_terms(words: str) -> None:
    from zactor.cli.console import help_text  # it sets readline up

    _, how, term = help_text(words).splitlines()
    assert how == "  destroy NAME [--todo] [--drain S]"
    assert term == "  destroyActor(name, todo)"


def test_help_of_what_is_no_operation_says_so() -> None:
    from zactor.cli.console import help_text

    assert help_text("fly") == "there is no operation 'fly': `help` lists them"
