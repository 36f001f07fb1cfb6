"""A wish as lab.toml: what `zactor export` prints, and `zactor plan -` finds nothing to do for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from zactor.kernel.ids import spoken_wire
from zactor.supervisor.kb.policies import DRAIN_S, INTENSITY, TRANSIENT
from zactor.supervisor.kb.restart_groups import ONE_FOR_ONE
from zactor.supervisor.kb.wishes import Wish, WishedActor

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(wish: Wish, others: Sequence[str] = ()) -> str:
    """Return the text of a file that wants just that.

    Args:
        others: names of files whose things aren't in it, for a comment.
    """
    lines = ["[cluster]", f"name = {_string(wish.name)}", f"keep = {_value(wish.keep)}"]
    if others:
        lines.insert(0, f"# without what belongs to {', '.join(others)}")
    lines += ["", "[factories]"]
    lines += [f"{_key(each.type)} = {_string(each.bundle)}" for each in wish.factories]
    for actor in wish.actors:
        lines += ["", f"[actors.{_key(actor.name)}]", *_actor(actor)]
    for group in wish.groups:
        lines += ["", f"[groups.{_key(group.name)}]", f"actors = {_value(list(group.actors))}"]
        if group.strategy != ONE_FOR_ONE:
            lines.append(f"strategy = {_string(group.strategy)}")
        if group.intensity != INTENSITY:
            lines.append(f"intensity = {_string(group.intensity)}")
    wires: dict[str, list[str]] = {}
    for wire in wish.wires:
        service = "" if wire.service == "fifo" else f" {wire.service}"
        port, _, reactor = spoken_wire(wire.emitter, wire.action, wire.reactor).partition(" -> ")
        meanwhile = f" {wire.meanwhile}" if wire.meanwhile else ""
        wires.setdefault(port, []).append(f"{reactor}{service}{meanwhile}")
    if wires:
        lines += ["", "[wires]"]
        lines += [f"{_string(port)} = {_value(reactors)}" for port, reactors in wires.items()]
    return "\n".join(lines)


def _actor(actor: WishedActor) -> Iterable[str]:
    yield f"type = {_string(actor.type)}"
    if actor.each:
        yield f"each = {_string(actor.each)}"
    else:
        yield f"on = {_value(list(actor.on) if len(actor.on) > 1 else actor.on[0])}"
    arguments = _plain(actor.arguments)
    if arguments is None:
        yield f"arguments = {_string(actor.arguments)}"
    elif arguments:
        yield f"args = {_value(arguments)}"
    if actor.restart != TRANSIENT:
        yield f"restart = {_string(actor.restart)}"
    if actor.intensity != INTENSITY:
        yield f"intensity = {_string(actor.intensity)}"
    if actor.drain_s != DRAIN_S:
        yield f"drain = {_value(actor.drain_s)}"


def _plain(text: str) -> dict[str, object] | None:
    """Return arguments as TOML can say them, so that reading it gives the same text; else None."""
    try:
        found = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        return None
    return found if _is_sayable(found) and msgspec.json.encode(found).decode() == text else None


def _is_sayable(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_is_sayable, value.values()))
    if isinstance(value, list):
        return all(map(_is_sayable, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return -(1 << 63) <= value < 1 << 63
    return isinstance(value, str | bool) or (isinstance(value, float) and math.isfinite(value))


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, float):
        text = repr(value)
        return text if any(mark in text for mark in ".einf") else f"{text}.0"
    return str(value)
