"""Ensure: whether what a line of a script asks for is there already, so that it is passed over.

Only where it is there as the line would make it: an actor of that type, on that node, with those
arguments; else the line is done, and fails as it would.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from zactor.commands.actions import spoken
from zactor.commands.command import CommandCall, ConsoleSession, Values

Row = Mapping[str, object]


def already(session: ConsoleSession, call: CommandCall) -> str:
    """Return in words what is there of what a command asks for; "": it is to be done.

    What was lost and is as the command orders it is restored, with its wires, and there then.
    """
    look = _LOOKS.get(call.command.words)
    return look(session, call.values) if look is not None else ""


def _row(rows: Iterable[Row], **wanted: object) -> Row | None:
    return next(
        (row for row in rows if all(row[name] == value for name, value in wanted.items())), None
    )


def _node(session: ConsoleSession, values: Values) -> str:
    found = _row(session.master.nodes(), name=values["name"])
    return f"{values['name']}: a node" if found is not None and found["state"] == "up" else ""


def _factory(session: ConsoleSession, values: Values) -> str:
    source = session.find(str(values["source"]))
    session.progress(f"shipping {source} as {values['type']}")
    identity = session.master.ship(source)
    found = _row(session.master.factories(), type=values["type"], bundle=identity)
    return f"{values['type']}: {identity[:19]}" if found is not None else ""


def _actor(session: ConsoleSession, values: Values) -> str:
    name, node, type_name = values["name"], values["node"], values["type"]
    row = _row(session.master.actors(), name=name, type=type_name, node=node)
    if row is None or row["state"] in ("failed", "stopping"):
        return ""
    functor, rest = ("ordered", "_, _, _") if row["state"] == "lost" else ("spec", "_")
    goal = f"{functor}({_quoted(str(name))}, _, Arguments, {rest})"
    found = session.master.query(goal)
    given = cast("dict[str, object]", values.get("arg", {}))
    if not found or not _same(str(found[0]["Arguments"]), given):
        return ""
    if row["state"] == "lost":
        session.progress(f"restoring {name}")
        session.master.restore(str(name))
    return f"{name}: {type_name} on {node}"


def _same(text: str, given: Mapping[str, object]) -> bool:
    try:
        return bool(json.loads(text) == json.loads(json.dumps(given)))
    except (ValueError, TypeError):  # a pickle: nobody can tell
        return False


def _quoted(name: str) -> str:
    from zactor.kernel.knowledge.writer import quote_atom

    return quote_atom(name)


def _wire(session: ConsoleSession, values: Values) -> str:
    ends = {name: values[name] for name in ("emitter", "action", "reactor")}
    row = _row(session.master.wires(), **ends, service=values.get("service", "fifo"))
    if row is None:
        return ""
    return f"{spoken(row)} ({row['service']})"


def _destroyed(session: ConsoleSession, values: Values) -> str:
    there = _row(session.master.actors(), name=values["name"])
    return "" if there is not None else f"{values['name']} isn't there"


def _unwired(session: ConsoleSession, values: Values) -> str:
    ends = {name: values[name] for name in ("emitter", "action", "reactor")}
    if _row(session.master.wires(), **ends) is not None:
        return ""
    return f"{spoken(ends)} isn't there"


def _undeclared(session: ConsoleSession, values: Values) -> str:
    found = _row(session.master.factories(), type=values["type"])
    return "" if found is not None else f"{values['type']} isn't declared"


_LOOKS: Mapping[str, Callable[[ConsoleSession, Values], str]] = {
    "declare-node": _node,
    "declare-factory": _factory,
    "undeclare-factory": _undeclared,
    "deploy": _actor,
    "destroy": _destroyed,
    "wire": _wire,
    "unwire": _unwired,
}
