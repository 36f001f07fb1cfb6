"""A frame of `zactor top`: numbers in, lines of a terminal out. Nothing here reads or writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import click

from zactor.client.rates import ActorRate, NodeRate
from zactor.kernel.printable import printable

Row = Mapping[str, object]

ORDERS: Mapping[str, Callable[[ActorRate], tuple[float, float]]] = {
    "messages": lambda each: (each.received_rate + each.sent_rate, each.handled),
    "waiting": lambda each: (each.waiting, each.received_rate),
    "busy": lambda each: (each.busy, each.received_rate),
    "failed": lambda each: (each.failed, each.received_rate),
}
"""What actors can be sorted by, most first; beside these by name."""

KEYS = "q quit  ↑↓ choose  s sort  l logs  e events  w why  p pause  ? keys"
_NODES_SHARE = 3  # of the lines that there are one part is nodes' at most


@dataclass(slots=True)
class Picture:
    """What is shown: facts as the knowledge base has them, and what was counted."""

    status: Row
    nodes: Sequence[Row]
    actors: Sequence[Row]
    counted_nodes: Mapping[str, NodeRate]
    counted_actors: Mapping[str, ActorRate]
    now_s: float  # since 1970


@dataclass(slots=True)
class Choice:
    """What the person at the keys has chosen."""

    order: str = "messages"
    actor: str = ""  # the one that the keys l, e and w are about
    is_paused: bool = False
    note: str = ""  # in the place of the keys


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    width: int
    is_right: bool = False


@dataclass(slots=True)
class _Table:
    columns: Sequence[_Column]
    rows: list[tuple[list[str], str]] = field(default_factory=list)  # cells, colour


def top_rows(picture: Picture, order: str) -> list[dict[str, object]]:
    """Return each actor with its facts and numbers, as `--json` prints them, in that order."""
    facts = {str(row["name"]): row for row in picture.actors}
    rows = []
    for name in ordered(picture, order):
        fact = facts.get(name, {})
        counted = picture.counted_actors.get(name) or ActorRate(name, str(fact.get("node", "")))
        since = fact.get("since")
        rows.append(
            {
                "name": name,
                "type": fact.get("type", counted.type),
                "node": fact.get("node", counted.node),
                "state": fact.get("state", "running"),
                "received_per_s": round(counted.received_rate, 2),
                "sent_per_s": round(counted.sent_rate, 2),
                "waiting": counted.waiting,
                "busy": round(counted.busy, 4),
                "handled": counted.handled,
                "failed": counted.failed,
                "age_s": round(picture.now_s - since, 1) if isinstance(since, float) else None,
            }
        )
    return rows


def node_rows(picture: Picture) -> list[dict[str, object]]:
    """Return each node with its numbers, as `--json` prints them."""
    rows = []
    for row in picture.nodes:
        name = str(row["name"])
        counted = picture.counted_nodes.get(name) or NodeRate(name)
        of_it = [each for each in picture.counted_actors.values() if each.node == name]
        rows.append(
            {
                "name": name,
                "role": row.get("role", ""),
                "state": row["state"],
                "pid": counted.pid,
                "cpu": round(counted.cpu, 4),
                "memory_bytes": counted.memory_bytes,
                "late_ms": counted.late_ms,
                "up_s": round(counted.up_s, 1),
                "actors": row.get("actors", 0),
                "received_per_s": round(sum(each.received_rate for each in of_it), 2),
                "sent_per_s": round(sum(each.sent_rate for each in of_it), 2),
                "waiting": sum(each.waiting for each in of_it),
            }
        )
    return rows


def ordered(picture: Picture, order: str) -> list[str]:
    """Return the names of all actors, in that order."""
    names = {str(row["name"]) for row in picture.actors} | set(picture.counted_actors)
    key = ORDERS.get(order)
    if key is None:
        return sorted(names)
    nobody = ActorRate("", "")

    def place(name: str) -> tuple[float, float, str]:
        first, second = key(picture.counted_actors.get(name, nobody))
        return -first, -second, name

    return sorted(names, key=place)


def frame(picture: Picture, choice: Choice, width: int, height: int, *, colour: bool) -> list[str]:
    """Return the lines of one frame, none longer than `width`, at most `height` of them."""
    heads = _heads(picture, width, colour)
    nodes = _node_table(picture)
    actors = _actor_table(picture, choice, width)
    nodes_max = max(1, (height - len(heads) - 4) // _NODES_SHARE)
    hidden = len(nodes.rows) - nodes_max
    del nodes.rows[nodes_max:]
    lines = [*heads, *_lines(nodes, width, colour)]
    if hidden > 0:
        lines.append(_cut(f"  and {hidden} more nodes", width))
    lines.append("")
    room = height - len(lines) - 2
    first = _first_shown(actors, choice, room)
    shown = _Table(actors.columns, actors.rows[first : first + room])
    lines += _lines(shown, width, colour, chosen=choice.actor)
    lines += [""] * (height - 1 - len(lines))
    below = len(actors.rows) - first - room
    foot = choice.note or (f"{KEYS}  (sorted by {choice.order})" if width > 100 else KEYS)
    foot = f"PAUSED  {foot}" if choice.is_paused else foot
    foot = f"{foot}  · {below} more" if below > 0 else foot
    return [*lines[: height - 1], _paint(_cut(foot, width), "foot", colour)]


def _first_shown(table: _Table, choice: Choice, room: int) -> int:
    """Keep the chosen row in sight."""
    names = [cells[0] for cells, _ in table.rows]
    place = names.index(choice.actor) if choice.actor in names else 0
    return max(0, min(place - room + 1, len(names) - room)) if place >= room else 0


def _heads(picture: Picture, width: int, colour: bool) -> list[str]:
    status = picture.status
    troubles = status.get("troubles")
    wrong = [str(each) for each in troubles] if isinstance(troubles, list) else []
    rate = sum(each.sent_rate for each in picture.counted_actors.values())
    clock = status.get("clock")
    at = ".".join(map(str, clock)) if isinstance(clock, list | tuple) else "-"
    how = "healthy" if not wrong else f"{len(wrong)} trouble{'' if len(wrong) == 1 else 's'}"
    words = (
        f"{str(status.get('cluster', ''))[:12]} · {how} · {_count(status, 'node')} ·"
        f" {status.get('running')} of {status.get('actors')} actors run · {_count(status, 'wire')}"
        f" · {number(rate)} signals/s · {at}"
    )
    lines = [_paint(_cut(words, width), "bad" if wrong else "good", colour)]
    lines += [_paint(_cut(f"  {each}", width), "bad", colour) for each in wrong[:2]]
    return [*lines, ""]


def _count(status: Mapping[str, object], what: str) -> str:
    count = status.get(f"{what}s")
    return f"{count} {what}{'' if count == 1 else 's'}"


def _node_table(picture: Picture) -> _Table:
    table = _Table(
        [
            _Column("NODE", 10),
            _Column("STATE", 11),
            _Column("PID", 8, True),
            _Column("CPU%", 5, True),
            _Column("MEMORY", 7, True),
            _Column("LATE", 6, True),
            _Column("ACTORS", 6, True),
            _Column("MSG/S", 7, True),
            _Column("UP", 7, True),
        ]
    )
    for row in node_rows(picture):
        known = bool(row["pid"])
        cells = [
            str(row["name"] or "-"),
            str(row["state"]),
            str(row["pid"] or "-"),
            f"{_float(row['cpu']) * 100:.0f}" if known else "-",
            size(_float(row["memory_bytes"])) if known else "-",
            f"{row['late_ms']}ms" if known else "-",
            str(row["actors"]),
            number(_float(row["received_per_s"])),
            age(_float(row["up_s"])) if known else "-",
        ]
        table.rows.append((cells, "" if row["state"] == "up" else "bad"))
    return table


def _actor_table(picture: Picture, choice: Choice, width: int) -> _Table:
    names = max([12, *(len(str(row["name"])) for row in picture.actors)])
    kinds = max([10, *(len(str(row.get("type"))) for row in picture.actors)])
    table = _Table(
        [
            _Column("ACTOR", min(names, 12 if width < 100 else 32)),
            _Column("TYPE", min(kinds, 11 if width < 100 else 24)),
            _Column("NODE", 6 if width < 100 else 12),
            _Column("STATE", 8 if width < 100 else 11),
            _Column("IN/S", 6, True),
            _Column("OUT/S", 6, True),
            _Column("WAIT", 6, True),
            _Column("BUSY%", 5, True),
            _Column("FAIL", 4, True),
            _Column("AGE", 5, True),
            *([_Column("HANDLED", 10, True)] if width >= 100 else []),
        ]
    )
    for row in top_rows(picture, choice.order):
        cells = [
            str(row["name"]),
            str(row["type"]),
            str(row["node"]),
            str(row["state"]),
            number(_float(row["received_per_s"])),
            number(_float(row["sent_per_s"])),
            number(_float(row["waiting"])),
            f"{_float(row['busy']) * 100:.0f}",
            number(_float(row["failed"])),
            age(_float(row["age_s"])) if row["age_s"] is not None else "-",
            str(row["handled"]),
        ]
        bad = row["state"] not in ("running", "starting", "stopping")
        table.rows.append((cells, "bad" if bad else "look" if row["failed"] else ""))
    return table


def _lines(table: _Table, width: int, colour: bool, chosen: str = "") -> Iterable[str]:
    yield _paint(_line([each.title for each in table.columns], table, width), "title", colour)
    for cells, how in table.rows:
        is_chosen = bool(chosen) and cells[0] == chosen
        line = _line(cells, table, width, ">" if is_chosen else " ")
        yield _paint(line, "chosen" if is_chosen else how, colour)


def _line(cells: Sequence[str], table: _Table, width: int, mark: str = " ") -> str:
    parts = []
    for text, column in zip(cells, table.columns, strict=False):
        shown = _cut(printable(text), column.width)
        parts.append(shown.rjust(column.width) if column.is_right else shown.ljust(column.width))
    return _cut(mark + " ".join(parts).rstrip(), width)


def _cut(text: str, width: int) -> str:
    text = printable(text)
    return text if len(text) <= width else f"{text[: max(0, width - 1)]}…"


_STYLES: Mapping[str, Mapping[str, object]] = {
    "title": {"bold": True},
    "good": {"fg": "green"},
    "bad": {"fg": "red"},
    "look": {"fg": "yellow"},
    "chosen": {"reverse": True},
    "foot": {"dim": True},
}


def _paint(text: str, style: str, colour: bool) -> str:
    return click.style(text, **_STYLES[style]) if colour and style else text  # type: ignore[arg-type]  # a table of keywords


def _float(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


# -- numbers as short as they may be -----------------------------------------------------------
def number(value: float) -> str:
    """Return 0, 4.3, 135, 12k, 3.4M."""
    if value < 10:
        return f"{value:.1f}".removesuffix(".0")
    for limit, unit in ((1e4, ""), (1e7, "k"), (1e10, "M")):
        if value < limit:
            return f"{value / {'': 1, 'k': 1e3, 'M': 1e6}[unit]:.0f}{unit}"
    return f"{value:.1e}"


def size(value: float) -> str:
    """Return bytes as 812k, 34M, 1.2G."""
    if value < 1 << 20:
        return f"{value / 1024:.0f}k"
    return f"{value / (1 << 20):.0f}M" if value < 1 << 30 else f"{value / (1 << 30):.1f}G"


def age(seconds: float) -> str:
    """Return seconds as 12s, 4m, 3h, 5d."""
    for limit, unit in ((120, 1), (7200, 60), (172_800, 3600)):
        if seconds < limit:
            return f"{max(0.0, seconds) / unit:.0f}{ {1: 's', 60: 'm', 3600: 'h'}[unit] }"
    return f"{seconds / 86400:.0f}d"
