"""Script files, run one command after the other at a node."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zactor.cli.common import Settings, deadline, say
from zactor.commands.ensure import already
from zactor.commands.script_reader import Line
from zactor.kernel.errors import ConfigError, ScriptError, ZactorError

if TYPE_CHECKING:
    from zactor.commands.command import CommandCall, ConsoleSession


Source = tuple[str, str | Iterable[str], Path | None]

"""A script: its name in messages, its text or its lines as they come, the folder of its file."""


def script_sources(script: str | None, lines: tuple[str, ...]) -> Iterator[Source]:
    """Yield the scripts that a command line names."""
    if lines:
        yield "-c", "\n".join(lines), None
    if script == "-":
        yield "<stdin>", sys.stdin, None
    elif script is not None:
        file = Path(script)
        try:
            yield script, file.read_text(), file.parent
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8 text"
            raise ConfigError(f"can't read the script {script!r}: {reason}") from None


def run_sources(
    given: Settings,
    endpoint: str,
    sources: Iterable[Source],
    finished: threading.Event,
    *,
    ensure: bool = False,
) -> None:
    """Run scripts, one after the other, at one node; then set `finished`.

    Args:
        ensure: pass over what is there already.
    """
    from zactor.cli.from_catalogue import open_session
    from zactor.cli.output import show, to_json
    from zactor.commands.script_reader import read_script

    def tell(call: CommandCall, result: object) -> None:
        as_json = given.json or call.as_json
        show(call.command, result, as_json=as_json, values=call.values)
        sys.stdout.flush()

    def tell_passed(call: CommandCall, words: str) -> None:
        as_json = given.json or call.as_json
        say(to_json({"is_there": words}) if as_json else f"= {words}")
        sys.stdout.flush()

    with deadline(given.timeout), open_session(given, endpoint) as session:
        for file, text, folder in sources:
            session.folders = (Path(),) if folder is None else (Path(), folder)
            run_script(
                session,
                read_script(text),
                file,
                show=tell,
                warn=lambda message: say(f"{message} (goes on)", err=True),
                passed=tell_passed if ensure else None,
            )
        finished.set()


def run_script(
    session: ConsoleSession,
    lines: Iterable[Line],
    file: str,
    *,
    show: Callable[[CommandCall, object], None],
    warn: Callable[[str], None],
    passed: Callable[[CommandCall, str], None] | None = None,
) -> None:
    """Do what `lines` say, one after the other.

    Args:
        session: where the commands go.
        file: the name that messages begin with.
        show: called with each command and its result.
        warn: called with the message of a line that failed and may.
        passed: called with each command that is passed over since what it asks for is there, and
            what that is; None: none is passed over.

    Raises:
        ScriptError: a line failed; the message is `FILE:LINE: what happened`.
    """
    for line in lines:
        try:
            call = read_call(line)
            if passed is not None and (words := already(session, call)):
                passed(call, words)
                continue
            result = call.command.act(session, call.values)
            show(call, result)
        except ZactorError as error:
            message = f"{file}:{line.number}: {error}"
            if not line.optional:
                raise ScriptError(message) from error
            warn(message)


def read_call(line: Line) -> CommandCall:
    """Return the command that `line` stands for, with its arguments checked.

    Raises:
        ScriptError: it can't be read, or names no command.
        ConfigError: an argument is missing, too many, or of the wrong kind.
    """
    if line.problem:
        raise ScriptError(line.problem)
    if line.words:
        from zactor.cli.from_catalogue import call_from_words

        return call_from_words(line.words, line.text)
    from zactor.commands.term_spelling import call_from_term

    return call_from_term(line.text)
