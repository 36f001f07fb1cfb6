"""A snapshot of a theory: what it said at one moment, while it goes on changing.

Nothing is copied: what changes after that moment is kept beside the theory, so taking a snapshot
costs nothing, and keeping it a little for each change. Whoever takes one closes it.
"""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType

from zactor.kernel.knowledge.theory import Fact, Theory
from zactor.kernel.knowledge.values import Atom


class TheorySnapshot:
    """Facts for goals that are solved bit by bit; a context, closed at its end.

    Threads: that of the theory.
    """

    def __init__(self, theory: Theory) -> None:
        """The facts that are in `theory` now."""
        self._theory = theory
        self._gone = Theory()  # of those that were there, what went
        self._new: set[str] = set()  # of those that are there, what came
        theory.watch(self)

    def __enter__(self) -> TheorySnapshot:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._theory.unwatch(self)

    def __contains__(self, text: str) -> bool:
        return text in self._gone or (text in self._theory and text not in self._new)

    def candidates(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> Collection[Fact]:
        """Return facts functor/arity, all that have the arguments `keys` among them."""
        there = self._theory.candidates(functor, arity, keys)
        if self._new:
            there = [fact for fact in there if fact.text not in self._new]
        gone = self._gone.candidates(functor, arity, keys)
        return [*there, *gone] if gone else there

    # -- from the theory ---------------------------------------------------------------------
    def came(self, fact: Fact) -> None:
        """A fact is there that may not have been."""
        self._new.add(fact.text)

    def went(self, fact: Fact) -> None:
        """A fact isn't there any more."""
        if fact.text in self._new:
            self._new.discard(fact.text)
        else:
            self._gone.add(fact)
