"""Lines about events above the console's prompt: what went wrong and who came or went.

The traffic of the knowledge base is left out (`zactor events` has it), but for actors of other
nodes that failed, which nothing else tells here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from zactor.cli.output import short_digests
from zactor.commands.text import cell
from zactor.kernel.printable import printable

Event = Mapping[str, object]

_QUIET = ("changed", "primary", "knowledge_base_taken_over")
_OWN = ("number", "at", "node", "event")  # what every event has

_SENTENCES: Mapping[str, str] = {
    "node_up": "{name} is up",
    "node_gone": "{name} is gone: {why}",
    "actor_failed": "{actor} failed: {reason}",
    "action_failed": "{actor}.{action} on {node} raised {error}",
    "loop_blocked": "{actor} blocks all actors of {node}, in {action} ({where})",
    "loop_free": "{actor} no longer blocks {node}: it did for {seconds} s",
    "dead_letter": "dead letter: {target}.{action} from {sender}: {reason}",
    "look_failed": "{peer} didn't say its {what}: {why}",
}


class News:
    """Turns the events of one node into lines."""

    def __init__(self) -> None:
        """An actor's failure may come twice: as an event, and as a change of the facts."""
        self._failed: dict[str, str] = {}

    def lines(self, event: Event, width: int) -> list[str]:
        """Return what to show of `event`, each at most `width` characters long."""
        at = event.get("at")
        when = time.strftime("%H:%M:%S", time.localtime(at if isinstance(at, float) else 0))
        lines = [printable(short_digests(f"{when} {text}")) for text in self._texts(event)]
        return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]

    def _texts(self, event: Event) -> Iterator[str]:
        if event.get("event") == "actor_failed":
            self._failed[str(event.get("actor"))] = str(event.get("reason"))
        if event.get("event") == "changed":
            yield from self._failures(event)
        elif event.get("event") not in _QUIET:
            yield _say(event)

    def _failures(self, event: Event) -> Iterator[str]:
        asserted = event.get("asserted")
        for fact in asserted if isinstance(asserted, list) else ():
            actor, reason = _failure(str(fact))
            if actor and self._failed.pop(actor, None) != reason:
                yield f"{actor} failed: {reason}"


def _say(event: Event) -> str:
    fields = {name: cell(name, value) for name, value in event.items()}
    try:
        return _SENTENCES[fields["event"]].format_map(fields)
    except KeyError:  # a kind, or the fields, of a newer node
        rest = [f"{name}={text}" for name, text in fields.items() if name not in _OWN]
        return " ".join([fields.get("event", "-").replace("_", " "), *rest])


def _failure(fact: str) -> tuple[str, str]:
    """Return which actor failed, and why, where `fact` says so, else two empty texts."""
    if not fact.startswith("state(") or ",failed," not in fact:
        return "", ""
    from zactor.kernel.errors import TermError
    from zactor.kernel.knowledge.reader import parse_term
    from zactor.kernel.knowledge.values import Atom, Compound

    try:
        term = parse_term(fact)
    except TermError:
        return "", ""
    match term:
        case Compound("state", (Atom(actor), Atom("failed"), reason)):
            return actor, reason.name if isinstance(reason, Atom) else str(reason)
    return "", ""
