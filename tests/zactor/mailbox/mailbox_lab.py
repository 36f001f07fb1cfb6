"""Three real nodes for mailboxes, and what tests of mailboxes do all the time."""

from __future__ import annotations

from pathlib import Path

from zactor import Mailbox, MembershipMessage, RegularMessage
from zactor.lab.lab import Lab, until

NODES = ("n1", "n2", "n3")
WAIT_S = 30.0


def start(folder: Path) -> Lab:
    lab = Lab(folder)
    try:
        for name in NODES:
            lab.start(name)
        until("all meet", lambda: all(lab.names_up(name) == set(NODES) for name in NODES))
    except BaseException:
        lab.close()
        raise
    return lab


def box(lab: Lab, name: str, node: str) -> Mailbox:
    return Mailbox(name, lab.endpoint(node), home=lab.home, timeout=WAIT_S)


async def members(here: Mailbox, *names: str) -> MembershipMessage:
    """Wait for the membership with exactly these, dropping what comes before."""
    while True:
        message = await here.receive(WAIT_S)
        if isinstance(message, MembershipMessage) and message.members == names:
            return message


async def drain(here: Mailbox) -> None:
    async for _ in here:
        pass


async def regular(here: Mailbox) -> RegularMessage:
    message = await here.receive(WAIT_S)
    assert isinstance(message, RegularMessage), message
    return message
