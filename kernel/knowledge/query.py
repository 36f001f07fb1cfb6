"""Goals solved against facts: conjunction, negation as failure, unification, comparison.

Solutions come in an order that depends on the facts alone. There are no rules and no recursion, so
every query ends; one that takes too many steps is refused. A search stops again and again on its
way, so that whoever runs it may do something else in between.
"""

from __future__ import annotations

import heapq
import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

from zactor.kernel import limits
from zactor.kernel.errors import Refused, TermError
from zactor.kernel.knowledge.operators import COMPARISONS
from zactor.kernel.knowledge.reader import parse_goal
from zactor.kernel.knowledge.unification import Bindings, Unification
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var, is_ground, variables
from zactor.kernel.knowledge.writer import format_term

T = TypeVar("T")

RESERVED = COMPARISONS | {",", "\\+", "true", "fail", "false", ":-", ";", "->", "|", "!", "not"}
"""Words of goals: no fact may have such a functor, or goals would mean two things."""


class HasTerm(Protocol):
    """A fact, as far as a goal looks at it."""

    @property
    def text(self) -> str:
        """Its canonical text."""

    @property
    def term(self) -> Atom | Compound:
        """The fact itself."""


class Facts(Protocol):
    """What goals are solved against; a `Theory` is one."""

    def __contains__(self, text: str, /) -> bool:
        """Tell whether the fact is there whose canonical text is `text`."""

    def candidates(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> Collection[HasTerm]:
        """Return facts functor/arity, all that have the arguments `keys` among them."""


def solve(goal: Term | str, facts: Facts) -> Iterator[dict[str, Term]]:
    """Yield the values of the variables of `goal` (but `_`) for each way in which it holds.

    A variable that gets no value, such as one inside `\\+` only, is left out. The facts must not
    change until the last solution is taken.

    Raises:
        TermError: `goal` is no goal, or compares what has no value or isn't a number.
        Refused: it takes more than QUERY_STEPS_MAX steps, or makes too large a term.
    """
    return (solution for solution in solve_in_steps(goal, facts) if solution is not None)


def solve_in_steps(goal: Term | str, facts: Facts) -> Iterator[dict[str, Term] | None]:
    """Do the same, and yield None again and again after little work, of a few ms at most.

    Raises:
        Refused: see `solve`; or the text of `goal` is longer than QUERY_CHARS_MAX.
        TermError: see `solve`.
    """
    term = read_query(goal) if isinstance(goal, str) else goal
    yield None  # reading is a piece of work of its own
    names = variables(term)
    search = Search(facts)
    for bindings in search.all_in_steps([term]):
        yield None if bindings is None else search.values(names, bindings)


def read_query(text: str) -> Term:
    """Return the goal of a client, who may say anything.

    Raises:
        Refused: it is longer than QUERY_CHARS_MAX: it would be read in one go.
        TermError: it is no term.
    """
    if len(text) > limits.QUERY_CHARS_MAX:
        raise Refused(
            f"a query of {len(text)} characters is too long: at most {limits.QUERY_CHARS_MAX}, ask"
            " several shorter ones"
        )
    return parse_goal(text)


def in_order(items: Iterable[T], key: Callable[[T], Any]) -> Iterator[T | None]:
    """Yield `items` sorted by `key`, and None now and then while they are being sorted."""
    unsorted = list(items)
    size = limits.QUERY_SORTED_AT_ONCE
    if len(unsorted) <= size:
        unsorted.sort(key=key)
        yield from unsorted
        return
    runs = []
    for at in range(0, len(unsorted), size):
        runs.append(sorted(unsorted[at : at + size], key=key))
        yield None
    yield from heapq.merge(*runs, key=key)


class Search:
    """Queries of one transaction or of one client: together they take so many steps at most."""

    def __init__(self, facts: Facts) -> None:
        """Nothing has been looked at yet."""
        self._known = facts
        self._looked_at = 0  # facts
        self._terms = Unification()
        self._pause_at = limits.QUERY_PAUSE_PARTS
        self._reached = 0  # the furthest goal that was tried

    def all(self, goals: Sequence[Term]) -> Iterator[Bindings]:
        """Yield the solutions of all `goals` together.

        Raises:
            TermError, Refused: see `solve`.
        """
        return (bindings for bindings in self.all_in_steps(goals) if bindings is not None)

    def all_in_steps(self, goals: Sequence[Term]) -> Iterator[Bindings | None]:
        """Yield the same, and None after each QUERY_PAUSE_PARTS parts of terms or so.

        Raises:
            TermError, Refused: see `solve`.
        """
        try:
            yield from self._together(goals)
        except RecursionError:
            raise _too_deep() from None

    def first(self, goals: Sequence[Term]) -> tuple[Bindings | None, int]:
        """Return the first solution of all `goals`; without one, None and which goal failed.

        The one that failed is the last that was reached: those before it can hold together.
        """
        self._reached = 0
        for bindings in self.all(goals):
            return bindings, len(goals)
        return None, self._reached

    def matching(self, pattern: Term) -> list[str]:
        """Return the text of every fact that `pattern` matches, sorted.

        Raises:
            TermError: `pattern` can't match facts.
            Refused: too many facts were looked at.
        """
        if not isinstance(pattern, Atom | Compound) or _name(pattern) in RESERVED:
            raise TermError(f"{format_term(pattern)} is no pattern of a fact")
        return [found[0] for found in self._facts(pattern, {}) if found is not None]

    def values(self, names: Sequence[str], bindings: Bindings) -> dict[str, Term]:
        """Return the values of variables, without those that have none.

        Raises:
            Refused: one is too large, or nested too deep.
        """
        try:
            values = {name: self._terms.substitute(Var(name), bindings) for name in names}
        except RecursionError:
            raise _too_deep() from None
        self._check_steps()
        return {name: value for name, value in values.items() if not isinstance(value, Var)}

    # -- goals: None means that a piece of work was done -------------------------------------
    def _together(self, goals: Sequence[Term]) -> Iterator[Bindings | None]:
        """No call for each goal within that before it: a transaction may require thousands."""
        if not goals:
            yield {}
            return
        under_way = [self._one(goals[0], {})]  # of each goal so far, what else may hold
        while under_way:
            for extended in under_way[-1]:
                if extended is None:
                    yield None
                elif len(under_way) == len(goals):
                    yield extended
                else:
                    self._reached = max(self._reached, len(under_way))
                    under_way.append(self._one(goals[len(under_way)], extended))
                    break
            else:
                under_way.pop()

    def _one(self, goal: Term, bindings: Bindings) -> Iterator[Bindings | None]:
        while isinstance(goal, Var) and goal.name in bindings:
            goal = bindings[goal.name]
        if isinstance(goal, Atom) and goal.name in ("true", "fail", "false"):
            if goal.name == "true":
                yield bindings
            return
        if not isinstance(goal, Atom | Compound):
            raise TermError(f"{format_term(goal)} is no goal")
        name, arity = _name(goal), _arity(goal)
        if isinstance(goal, Compound) and name == "," and arity == 2:
            for extended in self._one(goal.args[0], bindings):
                if extended is None:
                    yield None
                else:
                    yield from self._one(goal.args[1], extended)
        elif isinstance(goal, Compound) and name == "\\+" and arity == 1:
            for found in self._one(goal.args[0], bindings):
                if found is not None:
                    return
                yield None
            yield bindings
        elif isinstance(goal, Compound) and name in COMPARISONS and arity == 2:
            compared = self._compare(name, goal.args[0], goal.args[1], bindings)
            self._check_steps()
            if self._is_pause_due():
                yield None
            if compared is not None:
                yield compared
        elif name in RESERVED:
            raise TermError(f"{format_term(goal)}: {name!r} can't be used in a goal")
        else:
            for matched in self._facts(goal, bindings):
                yield None if matched is None else matched[1]

    def _facts(
        self, pattern: Atom | Compound, bindings: Bindings
    ) -> Iterator[tuple[str, Bindings] | None]:
        if isinstance(pattern, Atom):
            text = format_term(pattern)
            if text in self._known:
                yield text, bindings
            return
        resolved = self._terms.substitute(pattern, bindings)
        assert isinstance(resolved, Compound), resolved
        keys = [
            (position, one if isinstance(one, Atom) else format_term(one))
            for position, one in enumerate(resolved.args)
            if isinstance(one, Atom) or is_ground(one)
        ]
        found = self._known.candidates(resolved.functor, len(resolved.args), keys)
        # All at once, before they are sorted: a goal of which one solution is taken costs no less.
        self._looked_at += len(found) + 1
        self._check_steps()
        if not found:
            return
        for fact in in_order(found, _text_of):
            if fact is None or self._is_pause_due():
                self._check_steps()
                yield None
            if fact is not None:
                extended = self._terms.unify(resolved, fact.term, bindings)
                if extended is not None:
                    yield fact.text, extended

    def _compare(self, name: str, left: Term, right: Term, bindings: Bindings) -> Bindings | None:
        """Return the bindings with which it holds; None if it doesn't."""
        terms = self._terms
        if name in ("=", "\\="):
            unified = terms.unify(left, right, bindings)
            if name == "=":
                return unified
            return bindings if unified is None else None
        one, other = terms.substitute(left, bindings), terms.substitute(right, bindings)
        if name in ("==", "\\=="):
            return bindings if terms.same(one, other) == (name == "==") else None
        for term in (one, other):
            if not isinstance(term, int | float):
                raise TermError(
                    f"{format_term(term)} can't be compared with {name}: it is no number"
                )
        assert isinstance(one, int | float)
        assert isinstance(other, int | float)
        return bindings if _COMPARED[name](one, other) else None

    # -- steps -------------------------------------------------------------------------------
    @property
    def _steps(self) -> int:
        return self._looked_at + self._terms.parts // limits.QUERY_PARTS_A_STEP

    def _check_steps(self) -> None:
        if self._steps > limits.QUERY_STEPS_MAX:
            raise Refused(
                f"the query looks at more than {limits.QUERY_STEPS_MAX} facts and parts of large"
                " terms: make it narrower"
            )

    def _is_pause_due(self) -> bool:
        # The facts of a goal are counted before they are looked at, so this goes by the parts.
        if self._terms.parts < self._pause_at:
            return False
        self._pause_at = self._terms.parts + limits.QUERY_PAUSE_PARTS
        return True


_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "=<": operator.le,
    ">=": operator.ge,
    "=:=": operator.eq,
    "=\\=": operator.ne,
}

_text_of: Callable[[HasTerm], str] = operator.attrgetter("text")


def _too_deep() -> Refused:
    return Refused("the query is nested too deep: make it simpler")


def _name(term: Atom | Compound) -> str:
    return term.name if isinstance(term, Atom) else term.functor


def _arity(term: Atom | Compound) -> int:
    return len(term.args) if isinstance(term, Compound) else 0
