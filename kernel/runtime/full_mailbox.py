"""Full mailbox: what becomes of a message that finds no room. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from zactor.kernel import limits
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.errors import MailboxFull, NotDelivered


@dataclass(frozen=True, slots=True)
class FullMailbox:
    """What is to be done; as it is by default: it is taken in, and who sent it waits."""

    refused: MailboxFull | NotDelivered | None = None  # why it isn't taken in
    drops: str = ""  # why the oldest gives way to it


def when_full(actor: str, options: ActorOptions, waiting: int) -> FullMailbox:
    """Return that for a mailbox in which so many wait, as many as there is room for."""
    full = f"the mailbox of {actor} is full: {options.mailbox_max} messages"
    if options.mailbox_policy == "reject":
        return FullMailbox(refused=MailboxFull(full))
    if options.mailbox_policy == "drop_newest":
        return FullMailbox(refused=NotDelivered(f"{full}, the newest was dropped"))
    if options.mailbox_policy == "drop_oldest":
        return FullMailbox(drops=f"{full}, the oldest was dropped")
    if waiting >= max(options.mailbox_max, limits.MAILBOX_MESSAGES_HARD):
        return FullMailbox(refused=MailboxFull(full))
    return _SLOWS


_SLOWS = FullMailbox()
