"""Common parts of all commands: --home, --json, --timeout, --endpoint, and how errors are told."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import click

from zactor.cli.examples import write_examples
from zactor.kernel.errors import EXIT_USAGE, RemoteActionError, ScriptError, TimedOut, ZactorError
from zactor.kernel.printable import printable


@dataclass(slots=True)
class Settings:
    """What the options of the group and of the command say together; the command's win."""

    home: Path | None = None  # None: $ZACTOR_HOME, else ~/.zactor
    json: bool = False
    timeout: float | None = None  # s; None: the default of the command
    endpoint: str | None = None  # None: any node of the home
    verbose: bool = False
    form: str = "table"  # of a list, see forms.py
    watch: bool = False  # it is shown again and again

    @property
    def home_folder(self) -> Path:
        """The home, whether it was given or not."""
        from zactor.supervisor.membership.run_directory import home_folder

        return home_folder(self.home)


CONTEXT: dict[str, object] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def settings(context: click.Context) -> Settings:
    """Return the settings that `context` and the contexts around it share."""
    return context.ensure_object(Settings)


def _keep(context: click.Context, parameter: click.Parameter, value: object) -> None:
    # An option that wasn't given must not undo what the group's option of that name said.
    assert parameter.name is not None
    if value is not None and value is not False:
        setattr(settings(context), parameter.name, value)


def shared_options(*names: str) -> list[click.Parameter]:
    """Return the shared options called `names`, new ones each time."""
    everything = {
        "home": click.Option(
            ["--home"],
            type=click.Path(path_type=Path, readable=False),
            metavar="DIR",
            help="Where keys and state are ($ZACTOR_HOME, ~/.zactor).",
        ),
        "json": click.Option(
            ["--json"], is_flag=True, help="Print one JSON document (errors: text on stderr)."
        ),
        "timeout": click.Option(
            ["--timeout"],
            type=click.FloatRange(min=0, min_open=True),
            metavar="S",
            help="Give up after S seconds with exit code 124.",
        ),
        "endpoint": click.Option(
            ["--endpoint"], metavar="HOST[:PORT]", help="Ask this node, not any of this home."
        ),
        "verbose": click.Option(
            ["-v", "--verbose"], is_flag=True, help="With an error of an action: its traceback."
        ),
    }
    chosen: list[click.Parameter] = []
    for name in names:
        option = everything[name]
        option.expose_value = False
        option.callback = _keep
        chosen.append(option)
    return chosen


class ShellCommand(click.Command):
    """A command that takes the shared options as well; `shared` names them."""

    shared: tuple[str, ...] = ("home",)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters, then the shared ones, then -h."""
        own = super().get_params(ctx)
        return [*own[:-1], *shared_options(*self.shared), *own[-1:]]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples below the options."""
        write_examples(ctx, formatter)


class ShellGroup(click.Group):
    """A group of commands whose help has examples of them."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See ShellCommand."""
        write_examples(ctx, formatter)


def _take_form(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value:
        settings(context).form = "name" if value is True else str(value)
        settings(context).json = settings(context).json or value == "json"


def form_options() -> list[click.Parameter]:
    """Return -o and -q of a list whose rows have names."""
    from zactor.cli.forms import FORMS

    return [
        click.Option(
            ["-o", "--output"],
            type=click.Choice(FORMS),
            expose_value=False,
            callback=_take_form,
            help="wide: with what is counted; name: only names.",
        ),
        click.Option(
            ["-q", "--quiet"],
            is_flag=True,
            expose_value=False,
            callback=_take_form,
            help="Only names, one on a line.",
        ),
    ]


def watch_option() -> click.Parameter:
    """Return -w of what is looked at."""
    return click.Option(
        ["-w", "--watch"],
        is_flag=True,
        expose_value=False,
        callback=_keep,
        help="Go on showing it, once a second.",
    )


class Asking(ShellCommand):
    """A command that asks a node."""

    shared: tuple[str, ...] = ("home", "endpoint", "json", "timeout", "verbose")


class Stopped(BaseException):
    """SIGTERM or SIGHUP came. No KeyboardInterrupt, which only drops a line of the console."""


LOST_RING_S = 2.0  # after which a deadline whose exception was lost rings again


class _Rang(BaseException):
    """Out of time. A BaseException, so that no line of a script that may fail swallows it."""


@contextlib.contextmanager
def deadline(seconds: float | None) -> Iterator[None]:
    """Let the block run for at most `seconds` (None: no limit), then raise TimedOut.

    Threads: the main thread only, since it works by SIGALRM.
    """
    if seconds is None:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _Rang

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: what is raised in a finalizer, Python prints and forgets.
    signal.setitimer(signal.ITIMER_REAL, seconds, LOST_RING_S)
    try:
        yield
    except _Rang:
        raise TimedOut(
            f"not done in {seconds:g} s, it may still be: look, or give it longer with --timeout"
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Printing(ShellCommand):
    """A command that prints something without asking a node."""

    shared: tuple[str, ...] = ("home", "json", "timeout")

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, for as long as --timeout says."""
        with deadline(settings(ctx).timeout):
            return super().invoke(ctx)


def slow_client_option() -> click.Option:
    """How long a program at a port of Spread may take nothing."""
    return click.Option(
        ["--slow-client", "slow_s"],
        type=click.FloatRange(min=0),
        metavar="S",
        default=0.0,
        help="Cut off a program of Spread that takes nothing for S seconds, and tell it (0: none).",
    )


def spread_daemon_option() -> click.Option:
    """Return -s, which says at which daemon a program of Spread connects."""
    return click.Option(
        ["-s", "daemon"],
        metavar="PORT[@HOST]",
        default="4803",
        help="The daemon (4803); without a host by the Unix socket of this machine.",
    )


def family(
    name: str,
    help_text: str,
    options: tuple[str, ...],
    commands: Sequence[click.Command],
    *,
    params: Sequence[click.Parameter] = (),
    alone: Callable[..., bool] = lambda: False,
) -> click.Group:
    """Return a group of commands; without one of them it prints its help, with exit code 2.

    Args:
        params: options of the group itself.
        alone: called with their values where no command follows; whether that was a command.
    """

    def callback(**given: object) -> None:
        context = click.get_current_context()
        if context.invoked_subcommand is not None:
            for name, value in given.items():
                if value is not None:
                    raise click.UsageError(
                        f"--{name} goes behind the command, where that takes it, or needs none"
                    )
        elif not alone(**given):
            say(context.get_help())
            context.exit(EXIT_USAGE)

    return ShellGroup(
        name,
        help=help_text,
        callback=callback,
        invoke_without_command=True,
        context_settings=CONTEXT,
        params=[*params, *shared_options(*options)],
        commands=commands,
    )


def say(text: str, *, err: bool = False) -> None:
    """Print lines, nothing in them but text: what others called themselves obeys no terminal."""
    click.echo(printable(text, keep="\n\t"), err=err)


def tell_progress(text: str) -> None:
    """Tell a person at a terminal what takes its time; a program's stderr stays clean."""
    if sys.stderr.isatty():
        say(f"{text} …", err=True)


LATE_S = 0.5


@contextlib.contextmanager
def told_when_late(words: str) -> Iterator[None]:
    """Tell a person at a terminal, where the block takes longer than LATE_S, that it goes on."""
    timer = threading.Timer(LATE_S, tell_progress, (f"{words} takes a while",))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def error_line(error: BaseException) -> str:
    """Return what to print for `error` as one line: `zactor: …`, or `FILE:LINE: …` of a script."""
    return one_line(error) if isinstance(error, ScriptError) else f"zactor: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """Return the message of `error` as one line."""
    if isinstance(error, click.ClickException):
        message = error.format_message()
        if isinstance(error, click.UsageError) and error.ctx is not None:
            message = f"{message.rstrip('.')}: see `{error.ctx.command_path} -h`"
    elif getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE):
        from zactor.kernel.transport.open_files import few_files_error

        message = str(few_files_error(error))
    elif isinstance(error, OSError) and error.strerror:
        message = f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror
    elif isinstance(error, ZactorError):
        message = str(error)
    else:
        message = f"a bug: {type(error).__name__}: {error} (ZACTOR_DEBUG=1 shows where)"
    return printable(" ".join(part.strip() for part in message.splitlines() if part.strip()))


def remote_traceback(error: BaseException | None) -> str:
    """Return the traceback that `error` brought from another node, or ""."""
    while error is not None and not isinstance(error, RemoteActionError):
        error = error.__cause__
    return printable(error.traceback.rstrip(), keep="\n\t") if error is not None else ""


def print_fields(fields: Mapping[str, object]) -> None:
    from zactor.cli.output import record, to_json

    as_json = settings(click.get_current_context()).json
    say(to_json(fields) if as_json else record(fields))


def printing_command(
    name: str,
    callback: Callable[..., None],
    help_text: str,
    parameters: Sequence[click.Parameter] = (),
) -> click.Command:
    return Printing(
        name,
        callback=callback,
        help=help_text,
        params=list(parameters),
        context_settings=CONTEXT,
    )
