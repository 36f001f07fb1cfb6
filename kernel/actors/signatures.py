"""Signatures: the actions and signals of an actor's class as people write them."""

from __future__ import annotations

import enum
import inspect
import reprlib
from collections.abc import Callable
from typing import Any

from zactor.kernel import limits
from zactor.kernel.actors.actor import Actor, actions_of
from zactor.kernel.actors.emitter import Declared
from zactor.kernel.actors.panel import signals_of

_WRITTEN_OUT = (type(None), bool, int, float, str, bytes)
UNTOLD = "..."
"""As in stubs: there is something, and it isn't said what."""


def action_signatures(cls: type[Actor]) -> list[str]:
    """Return `inc(by: int = 1) -> int` for each action, by name. User code may run, and raise."""
    found = actions_of(cls)
    return [_bounded(f"{name}{_parameters(found[name])}") for name in sorted(found)]


def constructor_signature(cls: type[Actor]) -> str:
    """Return `Counter(start: int = 0)`: what its actors are made with."""
    is_hidden = cls.__new__ is not Actor.__new__ or type(cls) is not type
    if is_hidden or hasattr(cls.__init__, "__wrapped__"):  # what it takes is somebody else's word
        return f"{cls.__name__}({UNTOLD})"
    told = "()" if cls.__init__ is object.__init__ else _parameters(cls.__init__)
    return _bounded(f"{cls.__name__}{told.removesuffix(' -> None')}")


def signal_signatures(cls: type[Any]) -> list[str]:
    """Return `updateVal(int)` for each signal, by name."""
    return [_bounded(f"{name}({_payload(cls, name)})") for name in signals_of(cls)]


def _parameters(function: Callable[..., Any]) -> str:
    try:
        signature = inspect.signature(function)
        _, *parameters = signature.parameters.values()  # without self
    except (ValueError, TypeError, NameError):  # it is compiled, or an annotation can't be had
        return f"({UNTOLD})"
    told = signature.replace(
        parameters=[
            each.replace(annotation=_annotation(each.annotation), default=_default(each.default))
            for each in parameters
        ],
        return_annotation=_annotation(signature.return_annotation),
    )
    return str(told)


def _payload(cls: type[Any], name: str) -> str:
    declared = next(vars(base)[name] for base in cls.__mro__ if name in vars(base))
    if not isinstance(declared, Declared):
        return UNTOLD
    return ", ".join(_type_text(each) for each in getattr(declared, "payload", ()))


class _Text:
    """What `inspect` prints without quotes."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _annotation(value: object) -> object:
    return value if value is inspect.Signature.empty else _Text(_type_text(value))


def _type_text(value: object) -> str:
    if isinstance(value, str):
        return value  # it was postponed: as its author wrote it
    if value is None:
        return "None"
    if isinstance(value, type) and not hasattr(value, "__args__"):
        return value.__qualname__  # its module has a name of its own in the bundle
    return repr(value).replace("typing.", "")


def _default(value: object) -> object:
    if value is inspect.Parameter.empty:
        return value
    if isinstance(value, enum.Enum):
        return _Text(f"{type(value).__qualname__}.{value.name}")
    return _Text(reprlib.repr(value) if type(value) in _WRITTEN_OUT else UNTOLD)


def _bounded(text: str) -> str:
    most = limits.SIGNATURE_CHARS_MAX
    return text if len(text) <= most else f"{text[: most - 1]}…"
