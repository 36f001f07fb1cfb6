"""What a program passes is checked before it is sent: a node couldn't tell whom to answer."""

from __future__ import annotations

import functools
from typing import TypeVar, get_origin, get_type_hints

import msgspec

from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.contract import check_arguments, contract_of
from zactor.kernel.actors.shapes import shape_of_action
from zactor.kernel.errors import UnfitArguments
from zactor.kernel.messages.operations import Operation

Op = TypeVar("Op", bound=Operation)


def checked(operation: Op) -> Op:
    """Return `operation` if each of its fields is what the node will take it for.

    Raises:
        TypeError: which field isn't, and what it should be.
    """
    whole: type[msgspec.Struct] = type(operation)
    for name, kind in _fields(whole):
        value = getattr(operation, name)
        if type(value) is kind or (kind is float and type(value) is int):
            continue
        if get_origin(kind) is not None:
            _check_parts(operation, name, value, kind)
        elif not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise TypeError(f"{_what(operation, name)} is no {kind.__name__}: {value!r:.100}")
    return operation


def by_name(
    what: str, cls: type[Actor] | None, args: tuple[object, ...], kwargs: dict[str, object]
) -> dict[str, object]:
    """Return the arguments of a constructor by name, if its class takes them, where it is known.

    Raises:
        UnfitArguments: it doesn't; says what it takes.
    """
    if cls is None:
        if args:
            raise UnfitArguments(f"arguments of {what} go by name, like start=5")
        return kwargs
    shape = shape_of_action(contract_of(cls).constructor)
    check_arguments(what, shape, [...] * len(args), dict.fromkeys(kwargs, ...))
    if not args:
        return kwargs
    places = shape.places[: len(args)] if shape is not None else ()
    if shape is None or len(places) < len(args) or any(p.name not in shape.named for p in places):
        raise UnfitArguments(f"{what} has no names for all of these, and by name they travel")
    return {**{p.name: value for p, value in zip(places, args, strict=True)}, **kwargs}


def _check_parts(operation: Operation, name: str, value: object, kind: object) -> None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise TypeError(f"{_what(operation, name)} is wrong: {error}") from None


def _what(operation: Operation, name: str) -> str:
    return f"{name} of {type(operation).__name__}"


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, type], ...]:
    hints = get_type_hints(kind)
    return tuple((name, hints[name]) for name in kind.__struct_fields__)
