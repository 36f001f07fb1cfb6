"""What a program passes is checked before it is sent: a node couldn't tell whom to answer."""

from __future__ import annotations

import functools
from typing import TypeVar, get_origin, get_type_hints

import msgspec

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
