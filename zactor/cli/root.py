"""`zactor`: the group of all commands. A command's module is imported when the command runs."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence

import click

from zactor.cli.common import (
    CONTEXT,
    ShellGroup,
    Stopped,
    error_line,
    remote_traceback,
    say,
    shared_options,
)
from zactor.kernel.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, ZactorError
from zactor.kernel.transport.private_files import write_no_core

_OTHERS: Mapping[str, tuple[str, str]] = {  # name -> (module:attribute, help)
    "node": ("node:node", "Run a node in the foreground."),
    "master": ("master:master", "Run a master with a script, or with the console."),
    "up": ("up:up", "Start a whole cluster on this machine."),
    "down": ("up:down", "Stop all nodes of this home on this machine."),
    "spread": ("spread:spread", "Run a daemon for programs written for Spread."),
    "spuser": ("spuser:spuser", "Try groups of Spread by hand."),
    "spflooder": ("spflooder:spflooder", "Measure a daemon of Spread by many messages."),
    "spmonitor": ("spmonitor:spmonitor", "Watch, cut and end daemons of Spread's kind."),
    "lab": ("lab:lab", "Hosts on one computer, with cables to pull and machines to crash."),
    "demo": ("demo:demo", "Run one of the demos, with real processes."),
    "kb": ("kb:kb", "Look into the knowledge base."),
    "top": ("top:top", "Nodes and actors by what they do, once a second."),
    "web": ("web:web", "The page: the network live, in a browser."),
    "panel": ("panel:panel", "What an actor shows, and its buttons."),
    "logs": ("logs:logs", "What actors print, log and raise; -f: go on."),
    "events": ("events:events", "What happened; -f: what happens."),
    "group": ("group:group", "Groups of programs and actors, and their messages."),
    "completion": ("shell_completion:completion", "What a shell sources for TAB."),
    "bundle": ("bundle:bundle", "Build, show and verify bundles."),
    "keys": ("keys:keys", "Make, pass on and show the cluster's keys."),
}
_ELSEWHERE: Mapping[str, str] = {  # what other programs call it -> what it is here
    "actors": "ps",
    "add": "deploy",
    "connect": "wire",
    "create": "deploy",
    "delete": "destroy",
    "disconnect": "unwire",
    "kill": "destroy",
    "list": "ps",
    "ls": "ps",
    "remove": "destroy",
    "rm": "destroy",
    "run": "up",
    "send": "signal",
    "start": "up",
    "stop": "down",
}
_SECTIONS: Sequence[tuple[str, Sequence[str]]] = (
    (
        "Nodes",
        (
            "node",
            "master",
            "up",
            "down",
            "spread",
            "lab",
            "demo",
            "drain",
            "resume",
            "forget",
            "recover",
            "restore",
        ),
    ),
    ("What is there", ("nodes", "ps", "describe", "wires", "factories", "status")),
    (
        "Actors",
        (
            "declare-node",
            "declare-factory",
            "undeclare-factory",
            "deploy",
            "upgrade",
            "move",
            "destroy",
            "wire",
            "unwire",
        ),
    ),
    ("What should be there", ("plan", "apply", "export", "undo", "diff")),
    ("Messages", ("signal", "tell", "ask", "group", "spuser", "spflooder", "spmonitor")),
    ("Knowledge", ("kb", "why", "query", "wait")),
    ("Watching", ("web", "top", "panel", "logs", "events", "failures", "deadletters", "doctor")),
    ("Files", ("bundle", "keys", "completion")),
)


class Lazy(ShellGroup):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return every command, in the order of the help."""
        return [name for _, names in _SECTIONS for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command `cmd_name`."""
        if cmd_name in _OTHERS:
            module, _, attribute = _OTHERS[cmd_name][0].partition(":")
            found = getattr(importlib.import_module(f"zactor.cli.{module}"), attribute)
            assert isinstance(found, click.Command)
            return found
        if cmd_name not in self.list_commands(ctx):
            return None
        from zactor.cli.from_catalogue import shell_command
        from zactor.commands.catalogue import find_words

        return shell_command(find_words(cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one may have been meant."""
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            import difflib

            meant = _ELSEWHERE.get(args[0])
            known = self.list_commands(ctx)
            close = [meant] if meant else difflib.get_close_matches(args[0], known, n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise click.UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections."""
        from zactor.commands.catalogue import find_words

        for title, names in _SECTIONS:
            with formatter.section(title):
                formatter.write_dl(
                    [
                        (name, _OTHERS[name][1] if name in _OTHERS else find_words(name).help)
                        for name in names
                    ]
                )


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    if value:
        from zactor import __version__

        say(f"zactor {__version__}")
        context.exit()


cli = Lazy(
    "zactor",
    help="""Networks of interacting actors over many machines, deployed from one console.

\b
Exit codes: 0 done, 1 failed, 2 usage, 3 degraded, 4 no node reachable,
5 no such thing, 6 refused, 7 may lose something, 124 timed out, 130 interrupted.
Errors are one line on stderr, with --json too; stdout has the result or nothing.""",
    params=[
        *shared_options("home", "endpoint", "json", "timeout", "verbose"),
        click.Option(
            ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version
        ),
    ],
    context_settings=CONTEXT,
)


def run_group(arguments: Sequence[str]) -> int:
    """Do what the command line says and return its exit code; errors are one line on stderr."""
    given = list(arguments) or ["-h"]
    if given[0] == "help":  # as git, docker and the console have it
        given = [*given[1:], "-h"]
    write_no_core()
    try:
        code = cli.main(args=given, prog_name="zactor", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (KeyboardInterrupt, Stopped, click.Abort):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as in `zactor ps | head`: nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except (click.ClickException, ZactorError, OSError, ValueError) as error:
        return _tell(error, "-v" in given or "--verbose" in given)
    except Exception as error:
        if os.environ.get("ZACTOR_DEBUG"):
            raise
        return _tell(error, False)


def _tell(error: Exception, verbose: bool) -> int:
    if os.environ.get("ZACTOR_DEBUG") and not isinstance(error, click.ClickException):
        raise error
    if verbose and (traceback := remote_traceback(error)):
        say(traceback, err=True)
    say(error_line(error), err=True)
    if isinstance(error, ZactorError):
        return error.exit_code
    return EXIT_USAGE if isinstance(error, click.UsageError) else EXIT_FAILED
