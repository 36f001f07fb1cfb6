"""Differences between an actor as it is wanted and as it is, in words. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.policies import Policy
from zactor.supervisor.kb.wishes import WishedActor


def row_fact(row: ActorRow) -> str:
    """Return the fact that says where an actor is."""
    return f"actor({quote_atom(row.name)}, {quote_atom(row.type)}, {quote_atom(row.node)})"


def differences(actor: WishedActor, row: ActorRow, bundle: str) -> list[str]:
    """Return what is different of an actor, and makes it start anew, in words."""
    found = []
    if row.state == "failed":
        found.append(f"it failed ({row.reason.partition(chr(10))[0][:120]})")
    if row.state == "stopping":
        found.append("it is being stopped")
    if row.type != actor.type:
        found.append(f"type {row.type} -> {actor.type}")
    if row.node not in actor.on:
        found.append(f"node {row.node} -> {actor.on[0]}")
    if row.bundle != bundle:
        found.append(f"code {short(row.bundle)} -> {short(bundle)}")
    if row.arguments != actor.arguments:
        found += _changed_arguments(row.arguments, actor.arguments)
    return found


def _changed_arguments(old: str, new: str) -> list[str]:
    read: Callable[[str], object] = msgspec.json.decode
    try:
        before, after = read(old), read(new)
    except msgspec.MsgspecError:
        return ["other arguments"]
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return ["other arguments"]
    absent = object()
    return [
        f"{name} {_said(before.get(name, absent), absent)}"
        f" -> {_said(after.get(name, absent), absent)}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name, absent) != after.get(name, absent)
    ]


def _said(value: object, absent: object) -> str:
    text = "none" if value is absent else msgspec.json.encode(value).decode()
    return text if len(text) <= 60 else f"{text[:57]}…"


def policy_words(old: Policy, new: Policy) -> str:
    """Return what is different of a policy, which restarts nothing."""
    pairs = (
        ("restart", old.restart, new.restart),
        ("intensity", old.intensity, new.intensity),
        ("drain", f"{old.drain_s:g}", f"{new.drain_s:g}"),
        ("on", ",".join(old.on) or "-", ",".join(new.on) or "-"),
    )
    return "; ".join(f"{name} {a} -> {b}" for name, a, b in pairs if a != b)


def short(identity: str) -> str:
    """Return enough of the hash of some code to know it again."""
    return identity[:19]
