"""Goals solved against facts: conjunction, negation as failure, unification, comparison.

Solutions come in an order that depends on the facts alone. There are no rules and no recursion, so
every query ends; one that looks at too many facts is refused, since it would hold up the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from zactor.kernel import limits
from zactor.kernel.errors import Refused, TermError
from zactor.kernel.knowledge.operators import COMPARISONS
from zactor.kernel.knowledge.reader import parse_goal
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var, is_ground, variables
from zactor.kernel.knowledge.writer import format_term

Bindings = dict[str, Term]
"""Values of variables by name; a value may hold other variables of the same bindings."""

RESERVED = COMPARISONS | {",", "\\+", "true", "fail", "false", ":-", ";", "->", "|", "!", "not"}
"""Words of goals: no fact may have such a functor, or goals would mean two things."""


class HasTerm(Protocol):
    """A fact, as far as a goal looks at it."""

    @property
    def term(self) -> Atom | Compound:
        """The fact itself."""


class Facts(Protocol):
    """What goals are solved against; a `Theory` is one."""

    def __contains__(self, text: str, /) -> bool:
        """Tell whether the fact is there whose canonical text is `text`."""

    def candidates(
        self, functor: str, arity: int, keys: list[tuple[int, str | Atom]]
    ) -> Mapping[str, HasTerm]:
        """Return facts functor/arity by text, all that have the arguments `keys` among them."""


def solve(goal: Term | str, facts: Facts) -> Iterator[dict[str, Term]]:
    """Yield the values of the variables of `goal` (but `_`) for each way in which it holds.

    A variable that gets no value, such as one inside `\\+` only, is left out. The facts must not
    change until the last solution is taken.

    Raises:
        TermError: `goal` is no goal, or compares what has no value or isn't a number.
        Refused: it would look at more than QUERY_STEPS_MAX facts.
    """
    term = parse_goal(goal) if isinstance(goal, str) else goal
    names = variables(term)
    for bindings in Search(facts).all([term]):
        values = {name: substitute(Var(name), bindings) for name in names}
        yield {name: value for name, value in values.items() if not isinstance(value, Var)}


def substitute(term: Term, bindings: Bindings) -> Term:
    """Return `term` with its variables replaced by their values, as far as they have any."""
    if isinstance(term, Var):
        value = bindings.get(term.name)
        return term if value is None else substitute(value, bindings)
    if isinstance(term, Compound):
        return Compound(term.functor, tuple([substitute(one, bindings) for one in term.args]))
    if isinstance(term, tuple):
        return tuple([substitute(one, bindings) for one in term])
    return term


class Search:
    """Queries of one transaction or of one client: together they look at so many facts at most."""

    def __init__(self, facts: Facts) -> None:
        """Nothing has been looked at yet."""
        self._known = facts
        self._steps = 0
        self._reached = 0  # the furthest goal that was tried

    def all(self, goals: Sequence[Term]) -> Iterator[Bindings]:
        """Yield the solutions of all `goals` together.

        Raises:
            TermError, Refused: see `solve`.
        """
        try:
            yield from self._from(goals, 0, {})
        except RecursionError:
            raise Refused("the query is nested too deep: make it simpler") from None

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
        return [text for text, _ in self._facts(pattern, {})]

    def _from(self, goals: Sequence[Term], number: int, bindings: Bindings) -> Iterator[Bindings]:
        if number == len(goals):
            yield bindings
            return
        self._reached = max(self._reached, number)
        for extended in self._one(goals[number], bindings):
            yield from self._from(goals, number + 1, extended)

    def _one(self, goal: Term, bindings: Bindings) -> Iterator[Bindings]:
        goal = _deref(goal, bindings)
        if isinstance(goal, Atom) and goal.name in ("true", "fail", "false"):
            if goal.name == "true":
                yield bindings
            return
        if not isinstance(goal, Atom | Compound):
            raise TermError(f"{format_term(goal)} is no goal")
        name, arity = _name(goal), _arity(goal)
        if isinstance(goal, Compound) and name == "," and arity == 2:
            for extended in self._one(goal.args[0], bindings):
                yield from self._one(goal.args[1], extended)
        elif isinstance(goal, Compound) and name == "\\+" and arity == 1:
            if next(self._one(goal.args[0], bindings), None) is None:
                yield bindings
        elif isinstance(goal, Compound) and name in COMPARISONS and arity == 2:
            yield from _compare(name, goal.args[0], goal.args[1], bindings)
        elif name in RESERVED:
            raise TermError(f"{format_term(goal)}: {name!r} can't be used in a goal")
        else:
            for _, extended in self._facts(goal, bindings):
                yield extended

    def _facts(
        self, pattern: Atom | Compound, bindings: Bindings
    ) -> Iterator[tuple[str, Bindings]]:
        if isinstance(pattern, Atom):
            text = format_term(pattern)
            if text in self._known:
                yield text, bindings
            return
        resolved = substitute(pattern, bindings)
        assert isinstance(resolved, Compound), resolved
        keys = [
            (position, one if isinstance(one, Atom) else format_term(one))
            for position, one in enumerate(resolved.args)
            if is_ground(one)
        ]
        bucket = self._known.candidates(resolved.functor, len(resolved.args), keys)
        self._look_at(len(bucket))
        for text in sorted(bucket):
            term = bucket[text].term
            assert isinstance(term, Compound), term
            extended = _unify_all(resolved.args, term.args, bindings)
            if extended is not None:
                yield text, extended

    def _look_at(self, count: int) -> None:
        # All at once, before they are sorted: a goal of which one solution is taken costs no less.
        self._steps += count + 1
        if self._steps > limits.QUERY_STEPS_MAX:
            raise Refused(
                f"the query looks at more than {limits.QUERY_STEPS_MAX} facts: make it narrower"
            )


def _name(term: Atom | Compound) -> str:
    return term.name if isinstance(term, Atom) else term.functor


def _arity(term: Atom | Compound) -> int:
    return len(term.args) if isinstance(term, Compound) else 0


def _deref(term: Term, bindings: Bindings) -> Term:
    while isinstance(term, Var):
        value = bindings.get(term.name)
        if value is None:
            return term
        term = value
    return term


def _unify(left: Term, right: Term, bindings: Bindings) -> Bindings | None:
    left, right = _deref(left, bindings), _deref(right, bindings)
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Var):
            if one.name == "_" or one == other:
                return bindings
            if isinstance(other, Var) and other.name == "_":
                return bindings
            if one.name in variables(substitute(other, bindings)):
                return None  # X = f(X): no finite term solves it
            return {**bindings, one.name: other}
    if isinstance(left, Compound) and isinstance(right, Compound):
        same = left.functor == right.functor
        return _unify_all(left.args, right.args, bindings) if same else None
    if isinstance(left, tuple) and isinstance(right, tuple):
        return _unify_all(left, right, bindings)
    # 1 and 1.0, and 0.0 and -0.0, are equal in Python and different terms.
    equal = type(left) is type(right) and left == right
    if equal and isinstance(left, float):
        equal = repr(left) == repr(right)
    return bindings if equal else None


def _unify_all(
    left: tuple[Term, ...], right: tuple[Term, ...], bindings: Bindings
) -> Bindings | None:
    if len(left) != len(right):
        return None
    for one, other in zip(left, right, strict=True):
        extended = _unify(one, other, bindings)
        if extended is None:
            return None
        bindings = extended
    return bindings


def _compare(name: str, left: Term, right: Term, bindings: Bindings) -> Iterator[Bindings]:
    if name in ("=", "\\="):
        unified = _unify(left, right, bindings)
        if name == "=" and unified is not None:
            yield unified
        if name == "\\=" and unified is None:
            yield bindings
        return
    one, other = substitute(left, bindings), substitute(right, bindings)
    if name in ("==", "\\=="):
        if (format_term(one) == format_term(other)) == (name == "=="):
            yield bindings
        return
    for term in (one, other):
        if not isinstance(term, int | float):
            raise TermError(f"{format_term(term)} can't be compared with {name}: it is no number")
    assert isinstance(one, int | float)
    assert isinstance(other, int | float)
    holds = {
        "<": one < other,
        ">": one > other,
        "=<": one <= other,
        ">=": one >= other,
        "=:=": one == other,
        "=\\=": one != other,
    }
    if holds[name]:
        yield bindings
