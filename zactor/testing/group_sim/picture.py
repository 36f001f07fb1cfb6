"""A run's event log as a space-time picture: one column for each node, time goes down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zactor.testing.group_sim.history import Line, split_process

_SIGNS = {
    "up": "▲",
    "down": "✕",
    "view": "◆",
    "trans": "◇",
    "send": "→",
    "deliver": "•",
    "message": "»",
    "gview": "◈",
    "gtrans": "◇",
    "gleft": "◈",
    "submit": "+",
    "note": "!",
}


def _view(view: list[object]) -> str:
    return f"{view[0]}.{view[1]}"


def _gid(gid: list[list[object]]) -> str:
    return f"{_view(gid[0])}/{gid[1]}"


def _members(members: Iterable[str]) -> str:
    return "{" + " ".join(members) + "}"


def _message_words(line: Line) -> str:
    what = f"{line['mid']} {line['service']} to {' '.join(line['groups'])}"
    if line["op"] != "data":
        what = f"{line['mid']} {line['op']} of {line['session']}: {' '.join(line['groups'])}"
    if line["k"] == "send":
        return f"sends {what} in {_view(line['v'])}"
    after = " (transitional)" if line["trans"] else ""
    to = f" for {' '.join(line['to'])}" if line["to"] else ""
    return f"delivers {what}{after}{to}"


def words(line: Line) -> str:
    """What happened, in words, without time and process."""
    match line["k"]:
        case "view":
            return f"installs view {_view(line['v'])} {_members(line['members'])}"
        case "trans":
            return f"leaves view {_view(line['v'])} with {_members(line['members'])}"
        case "send" | "deliver":
            return _message_words(line)
        case "message":
            ballot = f" {line['ballot']}" if line["ballot"] else ""
            return f"{line['message']}{ballot} to {' '.join(line['to'])}"
        case "gview":
            members = _members(f"{session}@{node}" for node, session in line["members"])
            sets = " ".join(_members(f"{s}@{n}" for n, s in part) for part in line["sets"])
            tail = f" from {sets}" if sets else ""
            head = f"group {line['group']} {_gid(line['gid'])} by {line['cause']}"
            return f"{head}: {members}{tail} for {' '.join(line['to'])}"
        case "gtrans":
            head = f"group {line['group']} {_gid(line['gid'])}"
            return f"{head}: transitional for {' '.join(line['to'])}"
        case "gleft":
            return f"group {line['group']}: {line['session']} is out"
        case "submit":
            return f"submits {line['mid']}"
        case "note":
            fields = " ".join(f"{key}={value}" for key, value in line["fields"].items())
            return f"{line['event']} {fields}".strip()
        case other:
            return str(other)


def picture(lines: Iterable[Line], names: list[str]) -> Iterator[str]:
    """Yield the lines of the picture; `names` are the nodes, one column each."""
    yield " " * 12 + " ".join(names)
    for line in lines:
        name = split_process(line["p"])[0]
        cells = []
        for column in names:
            sign = _SIGNS.get(line["k"], "·") if column == name else "│"
            cells.append(sign + " " * (len(column) - 1))
        yield f"{line['t'] / 1e6:11.3f} {' '.join(cells)}  {line['p']} {words(line)}"
