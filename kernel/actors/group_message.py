"""GroupMessage: a message to groups, as an actor's `on_message` gets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zactor.kernel.homes import at_home
from zactor.kernel.messages.service import Service


@at_home
@dataclass(frozen=True, slots=True, kw_only=True)
class GroupMessage:
    """A message to groups, as `on_message` gets it."""

    sender: str  # #session#node; an actor's session has the actor's name
    groups: tuple[str, ...]  # all that it was sent to
    value: Any  # as it was sent; bytes where the sender is no actor
    service: Service
    transitional: bool  # after the transitional signal: members that were lost may not have it
