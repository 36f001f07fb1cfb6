"""Happenings: an event of the cluster as the page shows it: when, where, which kind, in words."""

from __future__ import annotations

from collections.abc import Mapping

from zactor.commands.text import cell
from zactor.supervisor.observe.sentences import SENTENCES

Row = dict[str, object]

_BAD = ("failed", "gone", "lost", "refused", "blocked", "dead", "stuck", "unreached", "slow")
_GOOD = ("up", "running", "joined", "returned", "restored", "unstuck", "free", "taken")
_HEAD = ("number", "at", "node", "event", "joining")


def happening(event: Mapping[str, object]) -> Row:
    """Return an event in words."""
    kind = str(event.get("event", ""))
    fields = {name: cell(name, value) for name, value in event.items()}
    try:
        text = SENTENCES[kind].format_map(fields) if kind != "changed" else _change(event)
    except KeyError:  # of a newer node
        text = " ".join(f"{name} {value}" for name, value in fields.items() if name not in _HEAD)
    clock = event.get("clock")
    return {
        "id": f"{event.get('node')}/{event.get('number')}",
        "at": event.get("at"),
        "node": event.get("node"),
        "event": kind.replace("_", " "),
        "text": text,
        "clock": ".".join(map(str, clock)) if isinstance(clock, list | tuple) else "",
        "tone": _tone(kind, text),
        "about": str(event.get("actor") or event.get("name") or event.get("peer") or ""),
    }


def _change(event: Mapping[str, object]) -> str:
    parts = []
    for field, sign in (("asserted", "+"), ("retracted", "-")):
        facts = event.get(field)
        parts += [f"{sign}{fact}" for fact in facts] if isinstance(facts, list | tuple) else []
    why = event.get("why")
    return " ".join([*([f"{why}:"] if why else []), *parts]) or "no fact"


def _tone(kind: str, text: str) -> str:
    if kind == "changed":
        return "bad" if ",failed," in text or "lost(" in text else ""
    words = kind.split("_")
    if any(word in words for word in _BAD):
        return "bad"
    return "good" if any(word in words for word in _GOOD) else ""
