"""Values: the terms of the knowledge base.

An atom is an `Atom`, a Prolog string ("…") a `str`, a number an `int` or a finite `float`, a list a
`tuple`. Values of unlike kinds may compare equal in Python (1 and 1.0): what must tell them apart
goes by the printed form, which differs.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class Atom(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A name, such as `c1` or '127.0.0.1'."""

    name: str


class Var(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A variable of a goal; the name `_` matches anything and is never bound."""

    name: str


class Compound(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A functor with one argument or more, such as `actor(c1, counter, n1)`."""

    functor: str
    args: tuple[Term, ...]


Term: TypeAlias = Atom | Compound | Var | str | int | float | tuple["Term", ...]


def variables(term: Term) -> list[str]:
    """Return the names of the variables of `term`, each once, as they appear, without `_`."""
    found: dict[str, None] = {}
    open_terms: list[Term] = [term]
    while open_terms:
        one = open_terms.pop()
        if isinstance(one, Var):
            if one.name != "_":
                found[one.name] = None
        elif isinstance(one, Compound):
            open_terms.extend(reversed(one.args))
        elif isinstance(one, tuple):
            open_terms.extend(reversed(one))
    return list(found)


def is_ground(term: Term) -> bool:
    """Whether `term` has no variable, not even `_`."""
    if isinstance(term, Compound):
        return all(is_ground(argument) for argument in term.args)
    if isinstance(term, tuple):
        return all(is_ground(element) for element in term)
    return not isinstance(term, Var)
