"""The commands about actors' code and where it runs: declare-factory, upgrade, move, describe …"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import cast

from zactor.commands.actions import DIGEST_SHOWN, sentence, spoken
from zactor.commands.command import Command, ConsoleSession, Kind, Parameter, Values
from zactor.commands.text import cell
from zactor.kernel.errors import EXIT_FAILED, ZactorError
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


def _upgrade(session: ConsoleSession, values: Values) -> object:
    names = list(dict.fromkeys(map(str, cast("list[object]", values["actor"]))))
    rows = []
    for name in names:
        session.progress(f"{name} gets its type's newest code")
        try:
            rows.append({**session.master.upgrade_actor(name), "error": ""})
        except ZactorError as error:
            if len(names) == 1:
                raise
            rows.append({"name": name, "changed": False, "error": str(error)})
    return rows


def _move(session: ConsoleSession, values: Values) -> object:
    name, node = str(values["actor"]), str(values["node"])
    session.progress(f"{name} goes to {node}")
    return session.master.move_actor(name, node)


def _describe(session: ConsoleSession, values: Values) -> object:
    return session.master.describe(str(values["actor"]))


# -- what they say ---------------------------------------------------------------------------
def _say_factory(result: object) -> str:
    row = cast(Row, result)
    return f"{row['type']}: {_digest(row['bundle'])}"


def _say_upgraded(result: object) -> str:
    return "\n".join(map(_upgraded_line, cast("list[Row]", result)))


def _upgraded_line(row: Row) -> str:
    if row["error"]:
        return printable(f"{row['name']}: {row['error']}")
    if not row["changed"]:
        return f"{row['name']} has the newest code already, {_digest(row['bundle'])}"
    codes = f"{_digest(row['former'])} -> {_digest(row['bundle'])}"
    remark = f"; {row['remark']}" if row["remark"] else ""
    paused = f"it handled nothing for {row['pause_ms']} ms"
    return printable(f"{row['name']} on {row['node']}: {codes}, {paused}{remark}")


def _say_moved(result: object) -> str:
    row = cast(Row, result)
    if not row["changed"]:
        return f"{row['name']} is on {row['node']} already"
    waited = f"what was sent to it waited for {row['pause_ms']} ms"
    return f"{row['name']}: {row['former']} -> {row['node']}, {waited}"


def _one_failed(result: object) -> int:
    return EXIT_FAILED if any(row["error"] for row in cast("list[Row]", result)) else 0


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
        others = ["perhaps others: not all names are written out"] if row["emits_all"] else []
        lines += _part("signals", [*cast("list[str]", row["signals"]), *others])
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
        words="upgrade",
        help="Give ACTOR... the newest code of their types, between two messages.",
        more="Name, wires, arguments and groups stay, what waits is handled by the new code, and "
        "what an actor knows goes over by its state() and restore(state), if it has both. Where "
        "the new code fails the actor goes on with its former one. Example: zactor upgrade c1 c2",
        act=_upgrade,
        parameters=(Parameter(name="actor", kind=Kind.ACTOR, many=True),),
        terms=(("upgradeActor", ("actor",), 1),),
        say=_say_upgraded,
        exit_code=_one_failed,
    ),
    Command(
        words="move",
        help="Have ACTOR go on at NODE, with what it knows.",
        more="Name, wires and arguments stay; what is sent meanwhile waits, in its order. What it "
        "knows goes over by its state() and restore(state), if it has both. Where something fails "
        "it stays where it is. Example: zactor move c1 n2",
        act=_move,
        parameters=(
            Parameter(name="actor", kind=Kind.ACTOR),
            Parameter(name="node", kind=Kind.NODE),
        ),
        terms=(("moveActor", ("actor", "node"), 2),),
        say=_say_moved,
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
