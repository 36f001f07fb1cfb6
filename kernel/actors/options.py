"""Options of an actor: how it is run, as its class says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Literal

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError
from zactor.kernel.homes import at_home

Dispatcher = Literal["shared", "thread", "process", "auto"]
MailboxPolicy = Literal["block", "reject", "drop_oldest", "drop_newest"]

_DISPATCHERS = ("shared", "thread", "process", "auto")
_POLICIES = ("block", "reject", "drop_oldest", "drop_newest")


@at_home
@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """What the process of an actor gets: `class X(Actor, dispatcher="process", process=…)`."""

    memory_max: int | None = None  # bytes of data; beyond it the process ends
    cpu_max_s: int | None = None  # of CPU time in all; then the process is killed
    files_max: int | None = None  # open at once
    env: Mapping[str, str] | None = None  # variables beside the node's
    folder: str = ""  # where it works; "": where the node does

    def __post_init__(self) -> None:
        for name in ("memory_max", "cpu_max_s", "files_max"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(f"{name}={value!r} must be an integer from 1")


@at_home
@dataclass(frozen=True, slots=True, kw_only=True)
class ActorOptions:
    """How an actor is run; given as class keywords: `class Slow(Actor, dispatcher="thread")`."""

    # "thread", "process": its own, it may block; or crash. "auto": a thread once it has blocked.
    dispatcher: Dispatcher = "shared"
    mailbox_max: int = limits.MAILBOX_MESSAGES_MAX  # messages waiting, from 1
    mailbox_policy: MailboxPolicy = "block"  # what happens to one more
    process: ProcessOptions = ProcessOptions()  # where it has one of its own

    def __post_init__(self) -> None:
        _one_of("dispatcher", self.dispatcher, _DISPATCHERS)
        _one_of("mailbox_policy", self.mailbox_policy, _POLICIES)
        if type(self.mailbox_max) is not int or self.mailbox_max < 1:
            raise ConfigError(f"mailbox_max={self.mailbox_max!r} must be an integer from 1")

    def __setstate__(self, state: Sequence[object]) -> None:
        """Take what was pickled: by a former version, options that came since are their default."""
        for index, each in enumerate(fields(self)):
            value = state[index] if index < len(state) else each.default
            object.__setattr__(self, each.name, value)


def _one_of(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ConfigError(f"{what}={value!r} must be one of {', '.join(allowed)}")
