"""Lines about events above the console's prompt: what went wrong and who came or went.

Events come from all nodes. Who came or went is told as this node sees it, or it would come once
from each; and not while it joins, since who is there then has been for long. The traffic of the
knowledge base is left out (`zactor events` has it), but for actors that failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zactor.cli.output import short_digests
from zactor.commands.text import cell
from zactor.kernel.moment import moment
from zactor.kernel.printable import printable
from zactor.supervisor.observe.sentences import SENTENCES

Event = Mapping[str, object]

_QUIET = ("changed", "primary", "knowledge_base_taken_over")
_AS_SEEN_HERE = frozenset(
    [
        "node_up",
        "node_gone",
        "node_stuck",
        "node_unstuck",
        "peer_unreached",
        "look_failed",
        "changes_refused",
        "changes_taken",
    ]
)
_OLD_TO_OTHERS = ("node_up", "changed")  # while a node joins
_OWN = ("number", "at", "node", "event")  # what every event has


class News:
    """Turns the events of all nodes into the lines of one console."""

    def __init__(self, me: str) -> None:
        """`me` is the node that has the console."""
        self._me = me
        self._failed: dict[str, tuple[str, str]] = {}  # actor -> how it was told, and the reason

    def lines(self, event: Event, width: int) -> list[str]:
        """Return what to show of `event`, each at most `width` characters long."""
        at = event.get("at")
        when = moment(at if isinstance(at, float) else 0)
        lines = [printable(short_digests(f"{when} {text}")) for text in self._texts(event)]
        return [line if len(line) <= width else f"{line[: width - 1]}…" for line in lines]

    def _texts(self, event: Event) -> Iterator[str]:
        kind = event.get("event")
        if event.get("joining") and kind in _OLD_TO_OTHERS:
            return
        if kind in _AS_SEEN_HERE and event.get("node") != self._me:
            return
        if kind == "actor_failed":
            yield from self._failure(kind, str(event.get("actor")), str(event.get("reason")))
        elif kind == "changed":
            asserted = event.get("asserted")
            for fact in asserted if isinstance(asserted, list) else ():
                yield from self._failure(kind, *_failure(str(fact)))
        elif kind not in _QUIET:
            yield _say(event)

    def _failure(self, kind: str, actor: str, reason: str) -> Iterator[str]:
        """An actor's failure comes twice: as an event, and as a change of the facts."""
        told, before = self._failed.pop(actor, ("", ""))
        if not actor or (told != kind and before == reason):
            return
        self._failed[actor] = (kind, reason)
        yield f"{actor} failed: {reason}"


def _say(event: Event) -> str:
    fields = {name: cell(name, value) for name, value in event.items()}
    try:
        return SENTENCES[fields["event"]].format_map(fields)
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
