"""From the name of an action to what does it, for one actor object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zactor.kernel.runtime.actor import Actor, actions_of, find_action, positional, takes_all

Handler = Callable[..., Any]


def handler_of(actor: Actor, name: str) -> Handler:
    """What does the action `name`; where there is none it raises NoSuchThing when called."""
    cls = type(actor)
    if takes_all(cls):

        def whole(*args: Any, **kwargs: Any) -> Any:
            return actor.do_action(name, positional(cls, name, args, kwargs))

        return whole
    function = actions_of(cls).get(name)
    if function is not None:
        bound: Handler = function.__get__(actor, cls)
        return bound

    def unknown(*_: Any, **__: Any) -> None:
        find_action(cls, name)

    return unknown
