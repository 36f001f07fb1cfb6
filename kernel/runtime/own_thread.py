"""Own thread: what an actor with dispatcher="auto" gets once it has blocked the shared loop.

Between two messages its cell is given another dispatcher; its mailbox stays, and so do its timers.
Nothing is done where tasks of it run in the loop: they can't go over, and it can't be in two.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from zactor.kernel.runtime.actor_thread import ActorThread
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.directory import Directory
from zactor.kernel.runtime.exchange import Exchange, ExchangeCell, request
from zactor.kernel.runtime.watchdog import Blockage, BlockageSink

log = structlog.get_logger()


class ThreadHost(Protocol):
    """Who has actors, and the threads that are theirs."""

    directory: Directory[Cell]

    def give_thread(self, cell: Cell) -> ActorThread:
        """Make a thread its dispatcher; it isn't started yet."""
        ...


def blocked(host: ThreadHost, tell: BlockageSink, blockage: Blockage) -> None:
    """An action blocks its loop: have its actor leave that, if it may. Threads: a watchdog's."""
    cell = host.directory.cells.get(blockage.uid)
    if cell is not None and blockage.moves:
        leave = partial(_go, host)
        request(cell, Exchange(build=_nothing, options=cell.options, later=_never, instead=leave))
    tell(blockage)


def _never(delay_s: float, call: Callable[[], object]) -> None:
    """However long it blocks, it leaves then."""


def _nothing() -> None:
    """Its object stays."""


def _go(host: ThreadHost, cell: ExchangeCell) -> bool:
    """Leave; whether it did. The cell's own thread, between two messages."""
    assert isinstance(cell, Cell), cell
    with cell.host.lock:
        cell.exchange = None
    time = cell.own_time
    if (time is not None and time.has_tasks()) or (cell.beside is not None and cell.beside.tasks):
        why = "tasks of it run in the loop that it shares"
        log.warning("thread_not_given", actor=cell.name, why=why)
        return False
    if time is not None:
        time.leave_loop()
    thread = host.give_thread(cell)
    cell.attention = True  # what muted it may do so still: that is looked at there
    thread.start_cell(partial(_arrive, cell))
    thread.ready(cell)
    return True


def _arrive(cell: Cell) -> None:
    if cell.own_time is not None:
        cell.own_time.enter_loop()
