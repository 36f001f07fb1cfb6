"""The draft of a plan: its rows, and the one transaction that they come to."""

from __future__ import annotations

import msgspec

from zactor.supervisor.kb.fact_patterns import Requirement

CHANGED = "changed since this was planned: "
"""Begins the words of every requirement of a plan."""


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plan."""

    sign: str  # + - ~ = as in a diff; ! not ours; x it can't be done
    kind: str  # wish | type | actor | group | wire
    name: str
    detail: str
    old: str = ""
    new: str = ""
    differs: bool = False  # of a "!": it isn't as the file wants it


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan comes to in the knowledge base: all of it or nothing."""

    why: str
    require: tuple[Requirement, ...]
    retract: tuple[str, ...]
    assert_: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether it would change nothing."""
        return not (self.retract or self.assert_)


class Draft:
    """Gathers rows, requirements and facts; each of the last two once."""

    def __init__(self) -> None:
        """Nothing is to be done yet."""
        self.rows: list[PlanRow] = []
        self._require: dict[str, Requirement] = {}
        self._retract: dict[str, None] = {}
        self._assert: dict[str, None] = {}

    def row(
        self,
        sign: str,
        kind: str,
        name: str,
        detail: str,
        *,
        old: str = "",
        new: str = "",
        differs: bool = False,
    ) -> None:
        """Say something to people."""
        self.rows.append(
            PlanRow(
                sign=sign, kind=kind, name=name, detail=detail, old=old, new=new, differs=differs
            )
        )

    def require(self, goal: str, words: str) -> None:
        """What follows holds only where `goal` does; `words` say what it means that it doesn't."""
        self._require[goal] = (goal, "Refused", f"{CHANGED}{words}")

    def retract(self, *patterns: str) -> None:
        """Take facts away."""
        self._retract |= dict.fromkeys(patterns)

    def bring(self, *facts: str) -> None:
        """Bring facts."""
        self._assert |= dict.fromkeys(facts)

    def transaction(self, why: str) -> Transaction:
        """Return all of it."""
        return Transaction(
            why=why,
            require=tuple(self._require.values()),
            retract=tuple(self._retract),
            assert_=tuple(self._assert),
        )
