"""Kept state: what an actor hands to its successor where its code or its place changes.

A class takes part that has both `state()` and `restore(state)`: one of them alone is a name like
any other.
"""

from __future__ import annotations

import inspect
from types import FunctionType

from zactor.kernel.actors.actor import Actor, action
from zactor.kernel.errors import ActorError


def keeps_state(cls: type[Actor]) -> bool:
    """Whether actors of this class hand over a state, and take one over."""
    hooks = (inspect.getattr_static(cls, name, None) for name in ("state", "restore"))
    return all(isinstance(hook, FunctionType | action) for hook in hooks)


def check_restores(actor: Actor, name: str) -> None:
    """Refuse an object that couldn't take over the state of the actor `name`.

    Raises:
        ActorError: it hasn't both methods.
    """
    if not keeps_state(type(actor)):
        raise ActorError(
            f"{name} has state() and restore(), and {type(actor).__name__} as it is now hasn't"
            " both: what the actor knows would be lost"
        )
