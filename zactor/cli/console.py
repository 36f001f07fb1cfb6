"""The console of `zactor master`: a prompt, and what happens in the network above it.

Events come from a thread with a connection of its own, which hands them to the screen.
"""

from __future__ import annotations

import contextlib
import os
import readline
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click

from zactor.cli import completion, output
from zactor.cli.common import Settings, one_line, remote_traceback, say
from zactor.cli.event_lines import News
from zactor.cli.from_catalogue import open_session, usage
from zactor.cli.screen import Screen
from zactor.cli.script_runner import read_call
from zactor.commands.actions import spoken
from zactor.commands.catalogue import COMMANDS
from zactor.commands.command import ConsoleSession, Kind
from zactor.commands.script_reader import Line, is_unfinished, read_script
from zactor.kernel.errors import ZactorError
from zactor.kernel.transport.private_files import open_private

HISTORY_LINES = 1_000
NAMES_S = 1.0  # TAB asks the node again after this long
RECONNECT_S = 1.0  # between two attempts of the thread that shows events


class Names:
    """The names that TAB offers, as the node says; asked again after NAMES_S."""

    def __init__(self, session: ConsoleSession) -> None:
        self._session = session
        self._asked = float("-inf")
        self._found: dict[Kind, list[str]] = {}

    def __call__(self, kind: Kind) -> Iterable[str]:
        """Return the names of `kind`; none when no node answers."""
        if time.monotonic() - self._asked > NAMES_S:
            self._asked = time.monotonic()
            with contextlib.suppress(ZactorError):
                self._found = self._ask()
        return self._found.get(kind, ())

    def _ask(self) -> dict[Kind, list[str]]:
        master = self._session.master
        actors = [str(row["name"]) for row in master.actors()]
        wired = [spoken(row).partition(" -> ")[0] for row in master.wires()]
        return {
            Kind.ACTOR: actors,
            Kind.NODE: [str(row["name"]) for row in master.nodes() if row["name"]],
            Kind.TYPE: [str(row["type"]) for row in master.factories()],
            Kind.PORT: [*wired, *(f"{name}." for name in actors)],
        }


class Console:
    """Reads lines and does what they say until exit or Ctrl-D."""

    def __init__(
        self,
        session: ConsoleSession,
        screen: Screen,
        prompt: str,
        given: Settings,
        remember: Callable[[], None],
    ) -> None:
        """`remember` is called after each line that was typed."""
        self.session = session
        self.screen = screen
        self.prompt = prompt
        self.given = given
        self.remember = remember
        self._say: Callable[[str], None] = click.echo

    def run(self) -> None:
        """Go on until exit or Ctrl-D."""
        while True:
            try:
                text = self._read()
            except EOFError:
                self._say("")
                return
            except KeyboardInterrupt:  # the line is dropped
                self._say("")
                continue
            try:
                if not self.do(text):
                    return
            except KeyboardInterrupt:
                self._say("interrupted: it may still be done")

    def _read(self) -> str:
        text = self.screen.read(self.prompt)
        self.remember()
        while is_unfinished(text):
            text += "\n" + self.screen.read("… ".rjust(len(self.prompt)))
            self.remember()
        return text

    def do(self, text: str) -> bool:
        """Do what the line says; return whether the console goes on."""
        words = text.strip().rstrip(".").split()
        if words in (["exit"], ["quit"]):
            return False
        if words and words[0] == "help":
            self._say(help_text(" ".join(words[1:])))
            return True
        for line in read_script(text):
            if not self._do_line(line):
                break  # the rest of the line may build on what failed
        return True

    def _do_line(self, line: Line) -> bool:
        """Return whether what follows on the line may be done."""
        verbose = self.given.verbose
        try:
            call = read_call(line)
            verbose = verbose or call.verbose
            result = call.command.act(self.session, call.values)
        except Exception as error:  # a console outlives whatever a line of it does
            if verbose and (traceback := remote_traceback(error)):
                self._say(traceback)
            self._say(f"error: {one_line(error)}")
            return line.optional
        as_json = self.given.json or call.as_json
        output.show(call.command, result, as_json=as_json, values=call.values, say=self._say)
        return True


def help_text(words: str) -> str:
    """Return what `help WORDS` says."""
    if words:
        for command in COMMANDS:
            terms = [f"{functor}({', '.join(names)})" for functor, names, _ in command.terms]
            if words in (command.words, *(functor for functor, _, _ in command.terms)):
                lines = [command.help, *(f"  {how}" for how in (usage(command), *terms))]
                return "\n".join(lines)
        return f"there is no operation {words!r}: `help` lists them"
    width = max(len(command.words) for command in COMMANDS) + 2
    lines = [f"  {each.words.ljust(width)}{each.help}" for each in COMMANDS]
    note = "Several on one line: end each with a dot. Terms work too: help deploy."
    return "\n".join([*lines, f"  {'exit'.ljust(width)}Leave, as Ctrl-D does.", note])


# -- events ----------------------------------------------------------------------------------
@contextlib.contextmanager
def _events_above(given: Settings, endpoint: str, me: str, screen: Screen) -> Iterator[None]:
    """Show what happens from now on above the prompt for the time of the block."""
    from zactor.client.connect import connect

    ended = threading.Event()
    news = News(me)
    seen: dict[str, int] = {}
    with connect(endpoint, home=given.home_folder) as master:
        for _ in master.events(last=0, seen=seen):
            pass  # from here on everything is news

        def watch() -> None:
            while not ended.is_set():
                try:
                    for event in master.events(follow=True, last=0, seen=seen):
                        for line in news.lines(event, shutil.get_terminal_size().columns):
                            screen.above(line)
                except ZactorError:
                    ended.wait(RECONNECT_S)

        thread = threading.Thread(target=watch, name="zactor-console", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            master.connection.close()  # ends what the thread waits for
            thread.join(RECONNECT_S)  # it's a daemon: a process that ends waits no longer


# -- readline --------------------------------------------------------------------------------
@contextlib.contextmanager
def _history(file: Path) -> Iterator[Callable[[], None]]:
    """Have the lines of earlier consoles at hand; yields what keeps ours for later ones.

    It is called after each line, so that a console that is killed loses none. Mode 0600.
    """
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.close(open_private(file))
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    readline.set_history_length(HISTORY_LINES)  # of the file, whenever it is written to
    kept = readline.get_current_history_length()

    def keep() -> None:
        nonlocal kept
        new = readline.get_current_history_length() - kept
        kept += new
        with contextlib.suppress(OSError):
            if new > 0:
                readline.append_history_file(new, file)
                file.chmod(0o600)

    yield keep


def _offer(names: completion.Names) -> None:
    """Have TAB complete commands and the names that exist."""
    found: list[str] = []

    def completer(text: str, state: int) -> str | None:
        nonlocal found
        if state == 0:
            line = readline.get_line_buffer()[: readline.get_endidx()]
            found = completion.complete(line, text, names)
            if len(found) == 1 and found[0][-1] not in "(./":
                found[0] += "" if "(" in line else " "
        return found[state] if state < len(found) else None

    readline.set_completer(completer)
    readline.set_completer_delims(completion.DELIMITERS)
    libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if libedit else "tab: complete")


def run_console(given: Settings, endpoint: str, name: str) -> None:
    """Run the console of the master `name`, whose door is at `endpoint`, until it is left."""
    screen = Screen()
    history = given.home_folder / "history"
    with open_session(given, endpoint) as session, _history(history) as remember:
        _offer(Names(session))
        say(f"zactor master {name} at {endpoint.removeprefix('tcp://')}: help, exit")
        with screen.opened(), _events_above(given, endpoint, name, screen):
            Console(session, screen, f"{name}> ", given, remember).run()
