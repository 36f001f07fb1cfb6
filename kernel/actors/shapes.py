"""Shapes: what a signature, as a text, takes; and why a payload doesn't fit it.

What a text doesn't tell is never held against anybody: an annotation that isn't one of a few plain
types, a text that was cut off, a value of a class of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

Types = frozenset[str]
"""Names of plain types, one of which it is; empty: anything."""

_ANYTHING: Types = frozenset()
_CLASSES: Mapping[str, type] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "bytes": bytes,
    "list": list,
    "dict": dict,
    "None": type(None),
}
_NAMES = {cls: name for name, cls in _CLASSES.items()}
_ALIASES = {"List": "list", "Dict": "dict"}
_ALSO = {"bool": ("int", "float"), "int": ("float",)}  # what is one may stand for the other
_SHOWN_CHARS = 40  # of a value in a message
_NAMES_SHOWN = 20  # in a message


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument that can be given."""

    name: str
    types: Types = _ANYTHING
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """What can be given; `told` is that as its author wrote it, in parentheses."""

    told: str
    places: tuple[Parameter, ...] = ()
    named: Mapping[str, Parameter] = field(default_factory=dict)
    only_named: frozenset[str] = frozenset()  # of `named`: what has no place
    is_open: bool = False  # it takes more than `places`
    is_open_named: bool = False  # it takes more than `named`


@lru_cache(maxsize=4096)
def shape_of_action(text: str) -> Shape | None:
    """Return what `inc(by: int = 1) -> int` takes; None: the text doesn't tell."""
    try:
        found = ast.parse(f"def {text}: ...").body[0]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(found, ast.FunctionDef):
        return None
    given = found.args
    places = [*given.posonlyargs, *given.args]
    lacking = len(places) - len(given.defaults)
    defaults = [*[None] * lacking, *given.defaults]
    read = [_parameter(*pair) for pair in zip(places, defaults, strict=True)]
    extra = [_parameter(*pair) for pair in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    by_name = [*read[len(given.posonlyargs) :], *extra]
    return Shape(
        told=text.removeprefix(found.name).partition(" -> ")[0],
        places=tuple(read),
        named={each.name: each for each in by_name},
        only_named=frozenset(each.name for each in extra),
        is_open=given.vararg is not None,
        is_open_named=given.kwarg is not None,
    )


@lru_cache(maxsize=4096)
def shape_of_signal(text: str) -> Shape | None:
    """Return what `updateVal(int)` carries; None: the text doesn't tell."""
    try:
        found = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    if not isinstance(found, ast.Call) or not isinstance(found.func, ast.Name):
        return None
    if any(isinstance(each, ast.Constant) and each.value is ... for each in found.args):
        return None
    places = tuple(Parameter("", _types(each)) for each in found.args)
    return Shape(told=text.removeprefix(found.func.id), places=places)


def _parameter(argument: ast.arg, default: ast.expr | None) -> Parameter:
    types = _types(argument.annotation)
    if types and isinstance(default, ast.Constant) and default.value is None:
        types |= {"None"}  # as annotations were read once
    return Parameter(argument.arg, types, needed=default is None)


def _types(node: ast.expr | None) -> Types:
    match node:
        case ast.Name(id=name):
            return frozenset({name}) if name in _CLASSES else _ANYTHING
        case ast.Constant(value=None):
            return frozenset({"None"})
        case ast.Constant(value=str(text)):
            try:
                return _types(ast.parse(text, mode="eval").body)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return _ANYTHING
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either([_types(left), _types(right)])
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _either([_types(inner), frozenset({"None"})])
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=inner)):
            return _either([_types(each) for each in inner])
        case ast.Subscript(value=ast.Name(id=name)):
            name = _ALIASES.get(name, name)
            return frozenset({name}) if name in ("list", "dict") else _ANYTHING
        case _:
            return _ANYTHING


def _either(found: Collection[Types]) -> Types:
    return frozenset().union(*found) if all(found) else _ANYTHING


# -- what doesn't fit ------------------------------------------------------------------------
def misfit_of_call(shape: Shape, args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    """Return why these arguments can't be taken, in words; "": they can, or nobody can tell."""
    if len(args) > len(shape.places) and not shape.is_open:
        return _not_so_many(len(args))
    taken = [each.name for each in shape.places[: len(args)]]
    for name in kwargs:
        if name in taken and name in shape.named:
            return f"and {name} is given twice"
        if name not in shape.named and not shape.is_open_named:
            return f"not {name!r}{meant(name, shape.named)}"
    for each in (*shape.places[len(args) :], *(shape.named[n] for n in sorted(shape.only_named))):
        if each.needed and each.name not in kwargs:
            return f"and {each.name} is missing" if each.name else _not_so_many(len(args))
    given = [*zip(shape.places, args, strict=False)]
    given += [(shape.named[name], value) for name, value in kwargs.items() if name in shape.named]
    for each, value in given:
        if not _is_one_of(value, each.types):
            shown = _shown(value)
            return f"and {each.name} can't be {shown}" if each.name else f"not {shown}"
    return ""


def misfit_of_wire(signal: Shape, action: Shape) -> str:
    """Return why what a signal carries can't be taken by an action, in words; "" as above."""
    count = len(signal.places)
    if count > len(action.places) and not action.is_open:
        return f"it can't take {_arguments(count)}"
    by_name = (action.named[name] for name in sorted(action.only_named))
    for each in (*action.places[count:], *by_name):
        if each.needed:
            return f"{each.name} would be missing"
    for carried, taken in zip(signal.places, action.places, strict=False):
        fits = {name for kind in carried.types for name in (kind, *_ALSO.get(kind, ()))}
        if carried.types and taken.types and not fits & taken.types:
            return f"{taken.name} can't be {_told(carried.types)}"
    return ""


def misspelt(words: str, name: str, known: Collection[str]) -> str:
    """Return `words`, what there is instead, and which of it may have been meant."""
    there = sorted(known)
    shown = ", ".join(there[:_NAMES_SHOWN]) or "none"
    more = f" and {len(there) - _NAMES_SHOWN} more" if len(there) > _NAMES_SHOWN else ""
    return f"{words}: it has {shown}{more}{meant(name, there)}"


def meant(name: str, known: Iterable[str]) -> str:
    """Return which of those that are known may have been meant, as a sentence, or nothing."""
    from difflib import get_close_matches  # only who errs waits for it

    close = get_close_matches(name, sorted(known), n=1)
    return f". Did you mean {close[0]}?" if close else ""


def _not_so_many(count: int) -> str:
    return f"not {_arguments(count)}"


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def _told(types: Types) -> str:
    return " | ".join(sorted(types))


def _is_one_of(value: object, types: Types) -> bool:
    kind = _NAMES.get(type(value))
    if not types or kind is None:  # a class of its own may do as well
        return True
    return kind in types or any(other in types for other in _ALSO.get(kind, ()))
