"""Picture: the whole of what the page shows, and what differs from one moment to the next.

What is held is what has been told: each change of it is returned, and nobody waits in between.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from zactor.kernel.ids import signal_and_action

Row = dict[str, object]
Rows = dict[str, Row]

LOST_S = 1.0  # the others have noticed by then, or it isn't so

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


class Picture:
    """The rows that were told last. One loop's."""

    def __init__(self) -> None:
        """Nothing is known."""
        self.rows: dict[str, Rows] = {part: {} for part in PARTS}
        self._lost: dict[str, tuple[object, float]] = {}  # node -> its life that ended, until when

    def take(self, now: Mapping[str, Rows], at_s: float) -> dict[str, Row]:
        """Hold what a node answered; return by part what differs."""
        self._lost = {name: lost for name, lost in self._lost.items() if at_s < lost[1]}
        nodes = {name: self._seen(name, row) for name, row in now["nodes"].items()}
        now = {**now, "nodes": nodes}
        changed = difference(self.rows, now)
        self.rows = dict(now)
        return changed

    def lose(self, node: str, life: object, at_s: float) -> dict[str, Row]:
        """Hold that this life of a node has ended, as one of the others says; return what differs.

        An answer that is older, or of a node that hasn't noticed yet, takes it back no sooner than
        in LOST_S.
        """
        row = self.rows["nodes"].get(node)
        if row is None or row["incarnation"] != life:
            return {}
        self._lost[node] = (life, at_s + LOST_S)
        seen = self._seen(node, row)
        if seen == row:
            return {}
        self.rows = {**self.rows, "nodes": {**self.rows["nodes"], node: seen}}
        return {"nodes": {node: seen}}

    def _seen(self, node: str, row: Row) -> Row:
        life, _ = self._lost.get(node, (None, 0.0))
        if life != row["incarnation"] or row["state"] in ("unreachable", "gone"):
            return row
        return {**row, "state": "unreachable"}
