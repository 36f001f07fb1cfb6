"""Forms of a list besides its table: `-o wide` with what is counted, `-o name` for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zactor.commands.actions import spoken
from zactor.kernel.ids import signal_and_action
from zactor.kernel.printable import printable

if TYPE_CHECKING:
    from zactor.client.rates import Rates
    from zactor.commands.command import ConsoleSession

Row = Mapping[str, object]

FORMS = ("table", "wide", "name", "json")
LISTS = ("nodes", "ps", "wires", "factories")
"""Commands whose rows have names."""

_SAMPLE_WAIT_S = 1.0  # for the second sample, which makes rates


def names(words: str, rows: Sequence[Row]) -> str:
    """Return the name of each row on a line, as other commands take it."""
    if words == "wires":
        found = [spoken(row).replace(" -> ", " ") for row in rows]
    else:
        found = [str(row["type" if words == "factories" else "name"]) for row in rows]
    return "\n".join(printable(name) for name in found if name)


def wide(
    words: str, columns: Sequence[str], rows: Sequence[Row], session: ConsoleSession
) -> tuple[list[str], list[Row]]:
    """Return the columns and rows of the wide table: all that is known, with what is counted."""
    known = [*columns, *(key for key in (rows[0] if rows else {}) if key not in columns)]
    if words not in ("nodes", "ps", "wires"):
        return known, list(rows)
    from zactor.client.rates import Rates

    rates = Rates()
    for wait_s in (0.0, _SAMPLE_WAIT_S):
        rates.take(session.master.watch(rates.after, wait_s))
    counted = [{**row, **_counted(words, row, rates)} for row in rows]
    more = [key for key in (counted[0] if counted else {}) if key not in known]
    return [*known, *more], list(counted)


def _counted(words: str, row: Row, rates: Rates) -> Row:
    from zactor.cli.top_frame import age, number, size

    if words == "nodes":
        node = rates.nodes.get(str(row["name"]))
        if node is None:
            return dict.fromkeys(("pid", "cpu%", "memory", "late", "up"))
        return {
            "pid": node.pid,
            "cpu%": f"{node.cpu * 100:.0f}",
            "memory": size(node.memory_bytes),
            "late": f"{node.late_ms}ms",
            "up": age(node.up_s),
        }
    if words == "wires":
        emitter = rates.actors.get(str(row["emitter"]))
        signal, _ = signal_and_action(str(row["action"]))
        rate = emitter.sent_rates.get(signal, 0.0) if emitter else 0.0
        return {"signals/s": number(rate)}
    actor = rates.actors.get(str(row["name"]))
    if actor is None:
        return dict.fromkeys(("in/s", "out/s", "waiting", "busy%", "handled", "raised"))
    return {
        "in/s": number(actor.received_rate),
        "out/s": number(actor.sent_rate),
        "waiting": actor.waiting,
        "busy%": f"{actor.busy * 100:.1f}",
        "handled": actor.handled,
        "raised": actor.failed,
    }
