"""Blueprint: what an actor is made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from typing import Any

from zactor.kernel.actors.actor import Actor, options_of
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.wire.by_value import dumps


@dataclass(frozen=True, slots=True, kw_only=True)
class Blueprint:
    """What an actor is made from."""

    name: str
    uid: int
    type: str
    build: Callable[[], Actor]  # called in the actor's own thread
    options: ActorOptions = field(default_factory=ActorOptions)  # see actor.options_of
    # A pickle of what builds it, for a process of its own; None: it can have none.
    recipe: Callable[[], bytes] | None = None
    environment: str = ""  # folder of a venv, whose Python that process has; "": this one's
    begin: Callable[[Actor], Any] = methodcaller("on_start")  # before its first message


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
    options = options_of(cls)
    build = partial(cls, *args, **kwargs or {})
    recipe = None
    if options.dispatcher == "process":
        recipe = lambda: dumps(build, lambda _: True)  # noqa: E731 - made for few
    return Blueprint(
        name=name, uid=uid, type=type or cls.__name__, build=build, options=options, recipe=recipe
    )
