"""Speakers: whose words a line is that was printed or logged in this process, and who keeps it.

An actor's turn bears the actor (a context variable), so a `print` in it is known to be its. What a
thread or a process says that an actor started is nobody's.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from zactor.kernel.actors.refs import GATEWAY
from zactor.kernel.runtime.cell import Cell


class Keeper(Protocol):
    """Keeps what the actors of one node say."""

    node: str

    def take(self, actor: str, kind: str, text: str) -> None:
        """Keep it. Threads: any."""
        ...


_keepers: list[Keeper] = []


def attach(keeper: Keeper) -> None:
    """Give it what the actors of its node say from now on."""
    _keepers.append(keeper)


def detach(keeper: Keeper) -> None:
    """Give it nothing any more."""
    if keeper in _keepers:
        _keepers.remove(keeper)


def speaker() -> tuple[str, str]:
    """Return the node and the name of the actor whose turn it is here; two "" if none has one."""
    cell = GATEWAY.get()
    return (cell.node, cell.name) if isinstance(cell, Cell) else ("", "")


def printed(actor: str, text: str) -> None:
    """Keep what an actor printed; of which node it is says the turn, if there is one."""
    if _keepers:
        tell(speaker()[0], actor, "printed", text)


def tell(node: str, actor: str, kind: str, text: str) -> None:
    """Give what an actor said to who keeps it; to all, where the node isn't known."""
    for keeper in _keepers:
        if node in ("", keeper.node):
            keeper.take(actor, kind, text)


_OF_A_LINE = ("event", "level", "timestamp", "node", "actor", "exception", "stack", "left_out")


def heard(
    logger: structlog.typing.WrappedLogger, name: str, fields: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep what an actor logs, and what is logged of its failures; a processor of structlog.

    After `only_text`: the repr of an actor's own class may raise.
    """
    node, actor = speaker()
    if actor and _keepers:
        event = str(fields.get("event"))
        kind = "failed" if event == "action_failed" else "logged"
        more = " ".join(
            f"{key}={value if isinstance(value, str) else repr(value)}"
            for key, value in fields.items()
            if key not in _OF_A_LINE
        )
        head = f"{fields.get('action')} raised {fields.get('error')}" if kind == "failed" else ""
        trace = str(fields.get("exception") or "")
        tell(node, actor, kind, f"{head or f'{event} {more}'.rstrip()}\n{trace}".rstrip())
    return fields
