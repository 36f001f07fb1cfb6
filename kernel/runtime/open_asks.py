"""Open asks of an actor: what it waits for, which it owes an answer, which may be let in meanwhile.

Threads: all by any. Where the actor changes its mailbox just now, nothing is found in it.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from zactor.kernel.actors.reply import Reply
from zactor.kernel.loops import awaited_by
from zactor.kernel.runtime.askers import AwaitedAsk, RemoteAsker
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.envelope import AnyEnvelope, Asker, PeerPort
from zactor.kernel.runtime.reentrant_asks import reentrant_actions


def owes(cell: Cell, asker: Asker | None) -> bool:
    """Whether that ask is being handled, or waits in the mailbox."""
    if asker is None:  # whoever was asked is elsewhere
        return False
    return cell.serving is asker or any(each is asker for each in _askers(cell))


def remote_ask(cell: Cell, port: PeerPort, request: int) -> RemoteAsker | None:
    """Return who waits for that ask of another node, if it isn't answered."""
    for asker in _askers(cell):
        if isinstance(asker, RemoteAsker) and asker.is_of(port, request):
            return asker
    return None


def awaited_ask(cell: Cell) -> Reply[Any] | AwaitedAsk | None:
    """Return the ask that its action waits for, if it does, here or in a process of its own."""
    if cell.waits_apart is not None or cell.reentrant_apart:  # its action is in a process
        return cell.waits_apart
    task = cell.task
    if cell.waits_for is not None or task is None:
        return cell.waits_for
    awaited = awaited_by(task)
    return awaited if isinstance(awaited, Reply) and not awaited.done() else None


def may_let_in(cell: Cell, action: str) -> bool:
    """Whether an ask of that action is handled at once, though another goes on."""
    is_waiting = cell.waits_for is not None and cell.task is not None
    return is_waiting and action in reentrant_actions(cell)


def _askers(cell: Cell) -> list[Asker]:
    waiting = [each.asker for each in _snapshot(cell.mailbox) if not isinstance(each, tuple)]
    return [asker for asker in (cell.serving, *waiting) if asker is not None]


def _snapshot(mailbox: deque[AnyEnvelope]) -> list[AnyEnvelope]:
    try:
        return list(mailbox)
    except RuntimeError:  # it was changed meanwhile
        return []
