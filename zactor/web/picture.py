"""Picture: the whole of what the page shows, and what differs from one moment to the next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zactor.kernel.ids import signal_and_action

Row = dict[str, object]
Rows = dict[str, Row]

PARTS = ("nodes", "actors", "wires", "groups")
"""What rows are of; each is keyed by name."""


def keyed(part: str, rows: Iterable[Mapping[str, object]]) -> Rows:
    """Return rows by what names them."""
    return {_key(part, row): dict(row) for row in rows}


def _key(part: str, row: Mapping[str, object]) -> str:
    match part:
        case "wires":
            return f"{row['emitter']}.{row['action']}>{row['reactor']}"
        case "groups":
            return str(row["group"])
        case "nodes":
            return str(row["name"] or row["address"])
    return str(row["name"])


def ends_of(wire: Row) -> tuple[object, str, object]:
    """Return the emitter, the action and the reactor of a wire, as its dead letters name them."""
    return wire["emitter"], signal_and_action(str(wire["action"]))[1], wire["reactor"]


def difference(old: Mapping[str, Rows], new: Mapping[str, Rows]) -> dict[str, Row]:
    """Return by part what to set, and what is gone (None); {}: nothing differs."""
    found: dict[str, Row] = {}
    for part in PARTS:
        before, now = old.get(part, {}), new.get(part, {})
        changed: Row = {key: row for key, row in now.items() if before.get(key) != row}
        changed |= dict.fromkeys(before.keys() - now.keys())
        if changed:
            found[part] = changed
    return found
