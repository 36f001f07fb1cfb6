"""Unification: terms made equal by values for their variables, with the work of it counted.

A few lines of a goal can name a term with more parts than there is memory (X1 = f(X0,X0), X2 =
f(X1,X1), …). So whatever walks through terms here counts their parts, and gives up in the middle.
"""

from __future__ import annotations

from zactor.kernel import limits
from zactor.kernel.errors import Refused
from zactor.kernel.knowledge.values import Compound, Term, Var

Bindings = dict[str, Term]
"""Values of variables by name; a value may hold other variables of the same bindings."""


def substitute(term: Term, bindings: Bindings) -> Term:
    """Return `term` with its variables replaced by their values, as far as they have any.

    Raises:
        Refused: that has more than QUERY_TERM_PARTS_MAX parts.
    """
    return Unification().substitute(term, bindings)


class Unification:
    """The walks through terms of one search.

    Each of its methods that takes terms raises Refused beyond QUERY_TERM_PARTS_MAX parts.
    """

    def __init__(self) -> None:
        """Nothing has been walked through yet."""
        self.parts = 0  # of terms, looked at since the beginning
        self._parts_max = 0

    def substitute(self, term: Term, bindings: Bindings) -> Term:
        """Return `term` with its variables replaced by their values, as far as they have any."""
        if not bindings:  # nothing is walked through
            return term
        self._begin()
        return self._substituted(term, bindings)

    def unify(self, left: Term, right: Term, bindings: Bindings) -> Bindings | None:
        """Return `bindings` and what else makes both terms equal; None if nothing does."""
        self._begin()
        found = bindings.copy()  # once, and not for each variable of a long term
        self.parts += len(found) // 16
        open_pairs = [(left, right)]
        while open_pairs:
            one, other = open_pairs.pop()
            one, other = self._deref(one, found), self._deref(other, found)
            self._count()
            if isinstance(other, Var) and not isinstance(one, Var):
                one, other = other, one
            if isinstance(one, Var):
                if one.name == "_" or one == other:
                    continue
                if isinstance(other, Var) and other.name == "_":
                    continue
                if self._occurs(one.name, other, found):
                    return None  # X = f(X): no finite term solves it
                found[one.name] = other
                continue
            pairs = _inner_pairs(one, other)
            if pairs is None:
                return None
            open_pairs += pairs
        return found

    def same(self, left: Term, right: Term) -> bool:
        """Whether both are the same term, variables by their name."""
        self._begin()
        open_pairs = [(left, right)]
        while open_pairs:
            self._count()
            one, other = open_pairs.pop()
            pairs = _inner_pairs(one, other)
            if pairs is None:
                return False
            open_pairs += pairs
        return True

    # -- inside ------------------------------------------------------------------------------
    def _begin(self) -> None:
        self._parts_max = self.parts + limits.QUERY_TERM_PARTS_MAX

    def _count(self) -> None:
        self.parts += 1
        if self.parts > self._parts_max:
            raise Refused(
                f"a term of the query has more than {limits.QUERY_TERM_PARTS_MAX} parts: make it"
                " simpler"
            )

    def _substituted(self, term: Term, bindings: Bindings) -> Term:
        self._count()
        if isinstance(term, Var):
            value = bindings.get(term.name)
            return term if value is None else self._substituted(value, bindings)
        if isinstance(term, Compound):
            inner = [self._substituted(one, bindings) for one in term.args]
            return Compound(term.functor, tuple(inner))
        if isinstance(term, tuple):
            return tuple([self._substituted(one, bindings) for one in term])
        return term

    def _deref(self, term: Term, bindings: Bindings) -> Term:
        while isinstance(term, Var):
            value = bindings.get(term.name)
            if value is None:
                return term
            self._count()
            term = value
        return term

    def _occurs(self, name: str, term: Term, bindings: Bindings) -> bool:
        if not isinstance(term, Compound | tuple):
            return False  # a variable has no value here, and is another one
        open_terms: list[Term] = [term]
        while open_terms:
            self._count()
            one = self._deref(open_terms.pop(), bindings)
            if isinstance(one, Var):
                if one.name == name:
                    return True
            elif isinstance(one, Compound):
                open_terms += one.args
            elif isinstance(one, tuple):
                open_terms += one
        return False


def _inner_pairs(one: Term, other: Term) -> list[tuple[Term, Term]] | None:
    """What must be equal for both to be, the first pair last; None where they can't be."""
    if isinstance(one, Compound) and isinstance(other, Compound):
        if one.functor != other.functor:
            return None
        left, right = one.args, other.args
    elif isinstance(one, tuple) and isinstance(other, tuple):
        left, right = one, other
    else:
        # 1 and 1.0, and 0.0 and -0.0, are equal in Python and different terms.
        equal = type(one) is type(other) and one == other
        if equal and isinstance(one, float):
            equal = repr(one) == repr(other)
        return [] if equal else None
    if len(left) != len(right):
        return None
    return list(zip(reversed(left), reversed(right), strict=True))
