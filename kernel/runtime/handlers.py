"""From the name of an action to the function that does it, one mapping per class."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zactor.kernel.runtime.actor import Actor, actions_of, find_action, takes_all


class Whole(dict[str, Callable[..., Any]]):
    """The handlers of a class that overrides do_action: every name leads there."""

    def __missing__(self, name: str) -> Callable[..., Any]:
        return lambda actor, *args: actor.do_action(name, args)


class _Handlers(dict[str, Callable[..., Any]]):
    """The handlers of a class by action; a name that isn't there says so when it is called."""

    def __init__(self, cls: type[Actor]) -> None:
        super().__init__(actions_of(cls))
        self._class = cls

    def __missing__(self, name: str) -> Callable[..., Any]:
        def unknown(*_: Any, **__: Any) -> None:
            find_action(self._class, name)

        return unknown


def handlers_of(cls: type[Actor]) -> dict[str, Callable[..., Any]]:
    """The class's actions; one mapping per class, made at its first actor."""
    found: dict[str, Callable[..., Any]] | None = cls.__dict__.get("__zactor_handlers__")
    if found is None:
        found = Whole() if takes_all(cls) else _Handlers(cls)
        cls.__zactor_handlers__ = found  # type: ignore[attr-defined]  # a cache, ours alone
    return found
