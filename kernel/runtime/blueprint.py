"""Blueprint: what an actor is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from zactor.kernel.actors.actor import Actor, ActorOptions, options_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What an actor is made from."""

    name: str
    uid: int
    type: str
    build: Callable[[], Actor]  # called in the actor's own thread
    options: ActorOptions = field(default_factory=ActorOptions)  # see actor.options_of


def blueprint_of(
    cls: type[Actor],
    *,
    name: str,
    uid: int,
    type: str = "",
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> Blueprint:
    """The blueprint of `cls(*args, **kwargs)`, run as the class says."""
    return Blueprint(
        name=name,
        uid=uid,
        type=type or cls.__name__,
        build=lambda: cls(*args, **kwargs or {}),
        options=options_of(cls),
    )
