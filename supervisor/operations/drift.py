"""Drift: how far the network is from what files want that are kept, as sentences. No I/O."""

from __future__ import annotations

from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.desired.comparison import PlanOptions
from zactor.supervisor.desired.plan import make_plan
from zactor.supervisor.kb import facts, wishes
from zactor.supervisor.kb.expansion import expanded


class Drift:
    """The same, made anew only where something has changed: it looks at all that files want."""

    def __init__(self) -> None:
        self._of: tuple[Theory, Clock] | None = None
        self._found: tuple[list[str], list[str]] = ([], [])

    def sentences(self, theory: Theory, clock: Clock) -> tuple[list[str], list[str]]:
        """See `sentences`. Args: clock: of the last change of the theory."""
        if self._of is None or self._of[0] is not theory or self._of[1] != clock:
            self._found = sentences(theory)
            self._of = (theory, clock)
        return self._found


def sentences(theory: Theory) -> tuple[list[str], list[str]]:
    """Return a sentence for each file of which there is a wish, and those that tell of a drift."""
    found, drifted = [], []
    for name in wishes.names(theory):
        words, differs = _sentence(theory, name)
        found.append(words)
        if differs:
            drifted.append(f"{words}: `zactor plan` shows what")
    return found, drifted


def _sentence(theory: Theory, name: str) -> tuple[str, bool]:
    wish = wishes.wish(theory, name)
    if wish is None:
        return f"{name}: what it wants isn't kept", False
    rows = {row.name: row for row in facts.actors(theory)}
    whole = expanded(wish, theory, facts.nodes(theory))
    running = sum(each.name in rows and rows[each.name].state == "running" for each in whole.actors)
    words = f"{name}: {running} of {len(whole.actors)} actors"
    try:
        plan = make_plan(wish, theory, facts.nodes(theory), PlanOptions(), "look")
    except ZactorError as error:
        return f"{words}, {error}", True
    different = [row for row in plan.rows if row.sign in "+~-x" or row.differs]
    if not different:
        return words, False
    return f"{words}, {len(different)} differ{'s' * (len(different) == 1)}", True
