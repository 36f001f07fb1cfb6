"""The catalogue as shell commands, and its words as lines of the console and of scripts."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, cast

import click
from click.shell_completion import CompletionItem

from zactor.cli.common import (
    CONTEXT,
    Asking,
    Settings,
    deadline,
    form_options,
    say,
    settings,
    tell_progress,
    told_when_late,
    watch_option,
)
from zactor.cli.forms import LISTS, names, wide
from zactor.commands.catalogue import COMMANDS, find_words
from zactor.commands.command import Command, CommandCall, ConsoleSession, Kind, Parameter, read_text
from zactor.kernel.errors import EXIT_INTERRUPTED, ConfigError
from zactor.kernel.ids import wire_between

if TYPE_CHECKING:
    from zactor.commands.script_reader import Word

TIMEOUT_S = 60.0
"""How long a command may take when it has no --timeout: a deployment ships code."""

WATCHED = (*LISTS, "status")
"""Commands that -w repeats."""

_LATE_S = 1.0
"""How much later than --timeout the alarm rings for a command that keeps its time itself."""

_OPTION = re.compile(r"-[A-Za-z]|--[A-Za-z]")
_OF_A_GOAL = re.compile(r"[()\[\],'\"]")
"""A last word with one of these ends a goal; without, it is a number of seconds."""


def shell_command(command: Command, name: str = "") -> click.Command:
    """Return `command` as click runs it in a shell."""
    takes_words = any(parameter.kind is Kind.JSON for parameter in command.parameters)

    def callback(**given: object) -> None:
        context = click.get_current_context()
        perform(context, CommandCall(command, read_given(command, given)))

    made = Asking(
        name or command.words,
        params=[
            *(_click_parameter(parameter) for parameter in command.parameters),
            *(form_options() if command.words in LISTS else ()),
            *((watch_option(),) if command.words in WATCHED else ()),
        ],
        callback=callback,
        help=_help(command),
        short_help=command.help,
        # -1 among the arguments of an action is a number, not an option
        context_settings={**CONTEXT, "ignore_unknown_options": takes_words},
    )
    return made


def _help(command: Command) -> str:
    lines = [command.help, *(["", command.more] if command.more else [])]
    notes = [
        f"  {_metavar(parameter)}: {parameter.help}"
        for parameter in command.parameters
        if parameter.help and not parameter.option
    ]
    if notes:
        lines += ["", "\b", *notes]
    if command.terms:
        terms = [f"  {functor}({', '.join(names)})" for functor, names, _ in command.terms]
        lines += ["", "\b", "In scripts and in the console also:", *terms]
    return "\n".join(lines)


def _metavar(parameter: Parameter) -> str:
    if parameter.kind is Kind.PORT:
        return "EMITTER.ACTION"
    if parameter.kind is Kind.REACTOR:
        return "REACTOR[.ACTION]"
    if parameter.kind is Kind.JSON:
        return "JSON"
    return parameter.name.upper()


def _place(parameter: Parameter) -> str:
    many = "..." if parameter.many else ""
    if parameter.needed:
        return f"{_metavar(parameter)}{many}"
    return f"[{_metavar(parameter)}]{many}"


def usage(command: Command) -> str:
    """Return how `command` is written in a shell or the console."""
    places = [
        _place(parameter) if not parameter.option else _option_place(parameter)
        for parameter in command.parameters
    ]
    return " ".join([command.words, *places])


def _option_place(parameter: Parameter) -> str:
    value = "" if parameter.kind is Kind.FLAG else f" {_option_metavar(parameter)}"
    return f"[{parameter.option}{value}]{'...' if parameter.many else ''}"


def _option_metavar(parameter: Parameter) -> str:
    short = {Kind.PAIR: "K=JSON", Kind.SECONDS: "S", Kind.COUNT: "N"}
    return short.get(parameter.kind, _metavar(parameter))


def _click_parameter(parameter: Parameter) -> click.Parameter:
    if not parameter.option:
        return click.Argument(
            [parameter.name],
            required=parameter.needed,
            nargs=-1 if parameter.many else 1,
            metavar=_place(parameter),
            shell_complete=_completes(parameter),
        )
    if parameter.kind is Kind.FLAG:
        return click.Option([parameter.option, parameter.name], is_flag=True, help=parameter.help)
    names = [parameter.short] * bool(parameter.short)
    return click.Option(
        [*names, parameter.option, parameter.name],
        multiple=parameter.many,
        metavar=_option_metavar(parameter),
        help=parameter.help,
        shell_complete=_completes(parameter),
    )


def _completes(
    parameter: Parameter,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]] | None:
    """What TAB offers in a shell; only loaded where it is asked for."""
    if parameter.kind is Kind.FILE:
        return lambda context, given, text: [CompletionItem(text, type="file")]

    def complete(context: click.Context, given: click.Parameter, text: str) -> list[CompletionItem]:
        from zactor.cli.offers import offer

        return offer(parameter.kind, parameter.name)(context, given, text)

    return complete


# -- arguments -------------------------------------------------------------------------------
def read_given(command: Command, given: dict[str, object]) -> dict[str, object]:
    """Return the values in what click found: texts, tuples of texts, flags.

    Raises:
        ConfigError: one isn't of its parameter's kind.
    """
    values: dict[str, object] = {}
    for parameter in command.parameters:
        value = given.get(parameter.name)
        if value is None or value is False or value == ():
            continue
        if value is True:
            values[parameter.name] = True
        elif isinstance(value, tuple):
            values[parameter.name] = _read_many(parameter, value)
        else:
            values |= read_text(parameter, str(value))
    if (does := values.pop("does", None)) is not None:
        values["action"] = wire_between(str(values["action"]), str(does))
    return values


def _read_many(parameter: Parameter, texts: Sequence[object]) -> object:
    found: list[object] = []
    for text in texts:
        assert isinstance(text, str)
        if parameter.kind is Kind.JSON and _OPTION.match(text):
            raise ConfigError(
                f"there is no option {text!r}: if you mean the text, write it as JSON, '\"{text}\"'"
            )
        found.append(read_text(parameter, text)[parameter.name])
    return dict(cast("list[tuple[str, object]]", found)) if parameter.kind is Kind.PAIR else found


def call_from_words(words: Sequence[Word], line: str) -> CommandCall:
    """Return the command that a line of a script or of the console stands for.

    Args:
        words: the line's words, at least one.
        line: the line itself: a goal is taken from it as it stands there, with its quotes.

    Raises:
        ConfigError: a word is missing, too many, or of the wrong kind.
        ScriptError: there is no such command.
    """
    count = 2 if len(words) > 1 and is_pair(words[0].text, words[1].text) else 1
    command = find_words(" ".join(word.text for word in words[:count]))
    texts = _join_goal(command, words[count:], line)
    made = shell_command(command)
    try:
        with made.make_context(command.words, texts, obj=Settings()) as context:
            values = read_given(command, context.params)
            given = settings(context)
            if given.watch:
                raise ConfigError(f"{command.words} -w goes on for ever: say it in a shell")
            return CommandCall(command, values, as_json=given.json, verbose=given.verbose)
    except click.UsageError as error:
        raise ConfigError(f"{command.words}: {error.format_message()}") from None
    except click.exceptions.Exit:
        raise ConfigError(f"{command.words}: {command.help}") from None


def is_pair(first: str, second: str) -> bool:
    """Whether two words together name a command, like `kb facts`."""
    return any(command.words == f"{first} {second}" for command in COMMANDS)


def _join_goal(command: Command, words: Sequence[Word], line: str) -> list[str]:
    """Return the texts of `words`; those of a goal as one, with spaces and quotes."""
    texts = [word.text for word in words]
    places = [parameter for parameter in command.parameters if not parameter.option]
    kinds = [parameter.kind for parameter in places]
    if Kind.GOAL not in kinds or not words:
        return texts
    if not places[-1].needed and _OF_A_GOAL.search(line[words[-1].start : words[-1].end]):
        kinds.pop()  # the optional one after the goal isn't there
    first = kinds.index(Kind.GOAL)
    last = len(words) - (len(kinds) - first - 1)
    if last <= first:
        return texts
    raw = line[words[first].start : words[last - 1].end]
    if last - first == 1 and raw[0] in "'\"" and raw[-1] == raw[0]:
        raw = words[first].text
    return [*texts[:first], raw, *texts[last:]]


# -- doing them ------------------------------------------------------------------------------
@contextlib.contextmanager
def open_session(given: Settings, endpoint: str | None = None) -> Iterator[ConsoleSession]:
    """Connect to a node and yield where commands go."""
    from zactor.client.connect import connect
    from zactor.client.endpoints import parse_endpoint

    at = endpoint or given.endpoint
    if at is not None:
        parse_endpoint(at)  # wrong usage is told before anything is opened
    with connect(at, home=given.home_folder, timeout=given.timeout or TIMEOUT_S) as master:
        yield ConsoleSession(
            master=master,
            home=given.home_folder,
            progress=tell_progress,
            timeout=given.timeout,
            tell=(lambda text: None) if given.json else say,
            confirm=(lambda text: click.confirm(text, err=True)) if sys.stdin.isatty() else None,
        )


def _in_form(
    command: Command, result: object, given: Settings, session: ConsoleSession
) -> str | None:
    """Return a list in the form that -o says; None: in the usual one."""
    if given.json or given.form == "table" or command.words not in LISTS:
        return None
    rows = cast("list[dict[str, object]]", result)
    if given.form == "name":
        return names(command.words, rows)
    from zactor.cli.output import table, use_colour

    columns, counted = wide(command.words, command.columns, rows, session)
    return table(columns, counted, colour=use_colour())


def _watch(call: CommandCall, given: Settings) -> None:
    """Do it again and again, until Ctrl-C."""
    from zactor.cli.output import show
    from zactor.cli.watching import keep_showing

    with open_session(given) as session:

        def read() -> str:
            result = call.command.act(session, call.values)
            text = _in_form(call.command, result, given, session)
            if text is not None:
                return text
            lines: list[str] = []
            show(call.command, result, as_json=given.json, values=call.values, say=lines.append)
            return "\n".join(lines)

        keep_showing(read, f"zactor {call.command.words}")


def perform(context: click.Context, call: CommandCall) -> None:
    """Connect, do what `call` says, print the result, and end with its exit code."""
    from zactor.cli.output import show

    given = settings(context)
    if given.watch:
        _watch(call, given)
    limit = given.timeout
    if call.command.limited:
        limit = limit or TIMEOUT_S
    elif limit is not None:
        limit += _LATE_S
    try:
        asks = any(parameter.name == "yes" for parameter in call.command.parameters)
        # Who asks a question tells of its progress itself.
        late = nullcontext() if asks else told_when_late(f"zactor {call.command.words}")
        with deadline(limit), late, open_session(given) as session:
            result = call.command.act(session, call.values)
            text = _in_form(call.command, result, given, session)
    except KeyboardInterrupt:
        done = ": it may still be done" if call.command.parameters else ""
        say(f"interrupted{done}", err=True)
        context.exit(EXIT_INTERRUPTED)
    if text is not None:
        click.echo(text)  # its cells are printable, its colours are ours
    else:
        show(call.command, result, as_json=given.json, values=call.values)
    context.exit(call.command.exit_code(result))
