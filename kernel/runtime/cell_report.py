"""What is told of a cell: how it is, what it counted, what its actor's panel shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from zactor.kernel.actors.actor import Actor, actions_of
from zactor.kernel.actors.panel import panel_of, plain, signals_of
from zactor.kernel.runtime.actor_process import ActorProcess
from zactor.kernel.runtime.actor_thread import ActorThread
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.place_in_code import place_of_thread
from zactor.kernel.runtime.relay_cell import StandIn
from zactor.kernel.runtime.watchdog import Blockage

Shown = tuple[list[dict[str, object]], dict[str, object]]
"""The controls of a panel, and the values of its attributes; ([], {}): there is none."""

_SHARED_AS = {"shared": "shared", "auto": "shared", "process": "process"}

PanelSink = Callable[[dict[str, Shown | None]], object]
"""Takes what actors show, by name; None: it isn't known yet."""


class CellCounts(NamedTuple):
    """What was counted of one actor since it began."""

    uid: int
    name: str
    type: str
    counts: tuple[int, int, int, float]  # handled, raised, waiting; s in its turns
    routes: tuple[tuple[str, int], ...]  # signal, emissions


def report_of(cell: Cell, blockage: Blockage | None, own: ActorThread | None) -> dict[str, Any]:
    """How it is: for people.

    Args:
        blockage: with what it holds the loop that it shares.
        own: the thread that it has for itself.
    """
    row = {
        "name": cell.name,
        "uid": cell.uid,
        "type": cell.type,
        "phase": cell.phase.value,
        "mailbox": len(cell.mailbox),
        "handled": cell.handled,
        "failed": cell.raised,
        "worked_s": cell.worked_s,
        "busy_s": time.monotonic() - cell.busy_since if cell.busy_since else 0.0,
        "action": cell.action,
        "dispatcher": "thread" if own is not None else _SHARED_AS.get(cell.options.dispatcher, ""),
    }
    if blockage is not None:
        row |= {"busy_s": blockage.lasts_s(), "blocking": True}
        row |= {"action": blockage.action, "where": blockage.where}
    elif row["busy_s"] and own is not None:
        action, where = place_of_thread(own.thread)
        row |= {"action": row["action"] or action, "where": where}
    return row


def has_begun(cell: Cell) -> bool:
    """Whether it is known by now what kind of actor it has."""
    actor = cell.actor
    return actor is not None and not (isinstance(actor, StandIn) and not actor.process.has_begun)


def counts_of(cell: Cell) -> CellCounts:
    """What it has counted until now. Threads: any."""
    routes = tuple((route.signal, route.sent) for route in cell.routes())
    counts = (cell.handled, cell.raised, len(cell.mailbox), cell.worked_s)
    return CellCounts(cell.uid, cell.name, cell.type, counts, routes)


def kind_of(cell: Cell | None) -> tuple[list[str], list[str], bool]:
    """The signals and actions of its actor, and whether that has a panel."""
    if cell is not None and isinstance(cell.actor, StandIn):
        begun = cell.actor.process.begun
        return begun.signals, begun.actions, bool(begun.controls)
    cls = type(cell.actor) if cell is not None else None
    if cls is None or not issubclass(cls, Actor):
        return [], [], False
    return signals_of(cls), sorted(actions_of(cls)), panel_of(cls) is not None


def shown_by(cell: Cell) -> Shown | None:
    """What the panel of its actor is, and what it shows; user code may run, and raise.

    What an actor in a process of its own shows comes from there, a look later.
    """
    if isinstance(cell.actor, StandIn):
        return _shown_elsewhere(cell.actor.process)
    panel = panel_of(type(cell.actor)) if isinstance(cell.actor, Actor) else None
    if panel is None:
        return [], {}
    spec = controls_of(type(cell.actor))
    try:
        return spec, dict(panel.shown(cell.actor))
    except Exception as error:
        return spec, {"error": f"{type(error).__name__} while its attributes were read"}


def _shown_elsewhere(process: ActorProcess) -> Shown | None:
    if process.has_begun and not process.begun.controls:
        return [], {}
    values = process.look()
    return None if values is None else (process.begun.controls, values)


def controls_of(cls: type[Any]) -> list[dict[str, Any]]:
    """The controls of the panel of an actor's class; []: it has none."""
    panel = panel_of(cls)
    if panel is None:
        return []
    signals = signals_of(cls)
    found = []
    for control in panel.spec():
        if "does" in control:
            control["by"] = "signal" if control["does"] in signals else "action"
        found.append({key: plain(value) for key, value in control.items()})
    return found
