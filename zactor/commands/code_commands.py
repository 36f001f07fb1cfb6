"""The commands about the code of actors: declare-factory, undeclare-factory, describe."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from zactor.commands.actions import DIGEST_SHOWN, sentence, spoken
from zactor.commands.command import Command, ConsoleSession, Kind, Parameter, Values
from zactor.commands.text import cell
from zactor.kernel.printable import printable

Row = dict[str, object]

_ARGUMENT_SHOWN = 60  # characters of one


# -- what they do ----------------------------------------------------------------------------
def _declare_factory(session: ConsoleSession, values: Values) -> object:
    type_name, source = str(values["type"]), session.find(str(values["source"]))
    session.progress(f"shipping {source} as {type_name}")
    return session.master.declare_factory(type_name, source)


def _undeclare_factory(session: ConsoleSession, values: Values) -> object:
    return session.master.undeclare_factory(str(values["type"]))


def _describe(session: ConsoleSession, values: Values) -> object:
    return session.master.describe(str(values["actor"]))


# -- what they say ---------------------------------------------------------------------------
def _say_factory(result: object) -> str:
    row = cast(Row, result)
    return f"{row['type']}: {_digest(row['bundle'])}"


def _digest(bundle: object) -> str:
    return str(bundle)[:DIGEST_SHOWN]


def say_description(result: object) -> str:
    """What an actor is, its code, how it was ordered, what it can do and who is wired to it."""
    row = cast(Row, result)
    reason = f": {row['reason']}" if row["reason"] else ""
    kind = f" ({row['class_name']})" if row["class_name"] else ""
    lines = [
        f"{row['name']}: {row['type']}{kind} on {row['node']}",
        f"state: {row['state']} since {cell('since', row['since'])}{reason}",
        f"code: {_digest(row['bundle'])}, {_age(row)}",
        f"arguments: {_arguments(row['arguments'])}",
        f"restart: {_restart(row)}",
    ]
    if row["unreadable"]:
        lines.append(f"its class can't be read: {row['unreadable']}")
    else:
        lines.append(f"constructor: {row['constructor']}")
        actions = cast("list[str]", row["actions"])
        whole = ["any other: it has a do_action of its own"] if row["takes_all"] else []
        lines += _part("actions", [*actions, *whole])
        computed = ["others: it computes their names"] if row["emits_all"] else []
        lines += _part("signals", [*cast("list[str]", row["signals"]), *computed])
    lines += _part("wires in", _wires(row["wires_in"]))
    lines += _part("wires out", _wires(row["wires_out"]))
    return "\n".join(map(printable, lines))


def _part(title: str, rows: list[str]) -> list[str]:
    return [f"{title}:", *(f"  {each}" for each in rows)] if rows else [f"{title}: none"]


def _wires(rows: object) -> list[str]:
    return [
        f"{spoken(wire)} ({wire['service']}){', down' if wire['state'] == 'down' else ''}"
        for wire in cast("list[Row]", rows)
    ]


def _age(row: Row) -> str:
    if row["code"] == "old":
        return f"old: {row['type']} is {_digest(row['factory'])} now"
    if row["code"] == "undeclared":
        return f"and there is no factory for {row['type']} any more"
    return str(row["code"])


def _arguments(arguments: object) -> str:
    if not isinstance(arguments, dict):
        return str(arguments)
    return ", ".join(_said(arguments)) or "none"


def _said(arguments: dict[str, object]) -> Iterator[str]:
    for name, value in arguments.items():
        text = json.dumps(value, ensure_ascii=False)
        shown = text if len(text) <= _ARGUMENT_SHOWN else f"{text[:_ARGUMENT_SHOWN]}…"
        yield f"{name}={shown}"


def _restart(row: Row) -> str:
    if not row["restart"]:
        return "never"
    on = f", on {', '.join(map(str, cast('list[object]', row['on'])))}" if row["on"] else ""
    return f"{row['restart']}, {row['intensity']}{on}"


# -- the table -------------------------------------------------------------------------------
CODE: tuple[Command, ...] = (
    Command(
        words="declare-factory",
        help="Say where the code of a type of actors is: a bundle, a .py file or a folder.",
        act=_declare_factory,
        parameters=(
            Parameter(name="type", kind=Kind.TYPE),
            Parameter(name="source", kind=Kind.FILE),
        ),
        terms=(("declareFactory", ("type", "source"), 2),),
        say=_say_factory,
    ),
    Command(
        words="undeclare-factory",
        help="Say that TYPE has no code any more.",
        more="Exit code 6: actors of it are there, or lost. Nodes remove its bundle later.",
        act=_undeclare_factory,
        parameters=(Parameter(name="type", kind=Kind.TYPE),),
        terms=(("undeclareFactory", ("type",), 1),),
        say=sentence("{type} isn't declared any more"),
    ),
    Command(
        words="describe",
        help="All about ACTOR: its code, current or old, its actions, signals and wires.",
        act=_describe,
        parameters=(Parameter(name="actor", kind=Kind.ACTOR),),
        terms=(("describe", ("actor",), 1),),
        say=say_description,
    ),
)
