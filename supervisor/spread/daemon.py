"""The daemon that a node is: its port, and what Spread's monitor may do with it.

A cut made by a monitor is one that all its daemons make for themselves: each has nothing to do any
more with those of other parts, and the engine finds what it would find had cables been pulled. It
ends by itself after a while, unless it is said again, so that no monitor that dies leaves one.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, assert_never

import structlog

from zactor.kernel.errors import ConfigError, Refused
from zactor.kernel.groups import events
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.daemon_monitor import (
    CutDaemons,
    DaemonStatus,
    LimitFlow,
    MonitorOperation,
    ReloadConfig,
    StopDaemon,
)
from zactor.kernel.messages.views import View
from zactor.kernel.sessions.host import GroupHost
from zactor.kernel.sessions.session import Listener
from zactor.supervisor.spread.daemon_log import DaemonLog
from zactor.supervisor.spread.handshake import ANNOUNCED
from zactor.supervisor.spread.port import SpreadPort
from zactor.supervisor.spread.spread_settings import SpreadSettings, node_name

log = structlog.get_logger()

_LISTENS = "zactor.daemon"  # a group without messages: a listener hears of views
_ANSWERED_S = 0.05  # then a monitor has its answer, and the daemon may end


class Cables(Protocol):
    """What this node is connected by."""

    def cut_off(self, names: frozenset[str]) -> None:
        """Have nothing to do with these nodes, and with all others again."""

    def counters(self) -> dict[str, int]:
        """Return how many frames went and came."""
        ...


class Daemon(Listener):
    """Of one life of one node. Kernel's loop only."""

    def __init__(
        self,
        settings: SpreadSettings | None,
        *,
        groups: GroupHost,
        cables: Cables,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
        join: Callable[[tuple[str, ...]], None],
        stop: Callable[[], None],
    ) -> None:
        """`settings` None: it has no port, and obeys no monitor.

        Args:
            join: hears where the other daemons' nodes are to be met.
            stop: ends this life in good order.
        """
        self._settings = settings
        self._groups = groups
        self._cables = cables
        self._spawn = spawn
        self._join = join
        self._stop = stop
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._port: SpreadPort | None = None
        self._cut: frozenset[str] = frozenset()  # by a monitor
        self._heals: asyncio.TimerHandle | None = None
        self._removed: frozenset[str] = frozenset()  # from the file, since the start
        self._windows = (0, 0)  # as a monitor has said it
        self._log: DaemonLog | None = None

    async def open(self) -> None:
        """Open its port, if it is to have one.

        Raises:
            ConfigError: an address is in use, or none of this machine.
        """
        settings = self._settings
        if settings is None:
            return
        if settings.log is not None:
            self._log = DaemonLog(settings.log, settings.log.name)
            self._groups.listen(_LISTENS, self)
        self._port = SpreadPort(self._groups, self._spawn, settings, self._log)
        await self._port.open()

    def on_view(self, view: View, together: tuple[NodeId, ...]) -> None:
        """Other daemons are there."""
        if self._log is not None and self._port is not None:
            names = self._port.deliveries.in_order(member.name for member in view.members)
            self._log.write("M", " ".join(names))

    def close(self) -> None:
        """End all connections."""
        if self._heals is not None:
            self._heals.cancel()
        if self._port is not None:
            self._port.close()
        if self._log is not None:
            self._loop.call_soon(self._log.close)  # behind the ends of connections

    # -- what a monitor asks -----------------------------------------------------------------
    async def run(self, operation: MonitorOperation) -> object:
        """Do what a monitor asks, and return plain data.

        Raises:
            Refused: it is for another node, this one has no port, or its file says that it obeys
                no monitor. ConfigError: what is wrong with its file.
        """
        me = self._groups.me.name
        if self._port is None or self._settings is None:
            raise Refused(f"node {me} has no port for programs of Spread")
        if operation.node != me:
            raise Refused(f"that is for daemon {operation.node}, and this is {me}")
        if isinstance(operation, DaemonStatus):
            return self._status(self._port)
        if isinstance(operation, ReloadConfig):
            return await self.reload()
        if not self._settings.obeys_monitors:
            raise Refused(f"the file of daemon {me} says DangerousMonitor = false")
        match operation:
            case CutDaemons():
                self._set_cut(operation)
            case LimitFlow():
                self._limit_flow(operation)
            case StopDaemon():
                log.warning("daemon_stopped", node=me, why="a monitor says so")
                self._loop.call_later(_ANSWERED_S, self._stop)
            case _:
                assert_never(operation)
        return {}

    def _status(self, port: SpreadPort) -> dict[str, object]:
        groups, view = self._groups, self._groups.view
        daemon = port.deliveries.daemon
        counters = self._cables.counters()
        window, own_window = self._windows
        return {
            "daemon": daemon(groups.me.name),
            "version": ".".join(map(str, ANNOUNCED)),
            "state": "changing" if groups.is_changing else "regular",
            "up_s": round(self._loop.time() - self._began, 3),
            "members": port.deliveries.in_order(member.name for member in view.members),
            "leader": daemon(view.id.coordinator.name),
            "view": str(view.id),
            "views": groups.views,
            "cut_off": port.deliveries.in_order(self._cut | self._removed),
            "frames_sent": counters["frames_out"],
            "frames_received": counters["frames_in"],
            "stable_line": groups.stable_line,
            "sessions": port.clients,
            "refused": port.ended["refused"],
            "silent": port.ended["silent"],
            "programs_cut_off": port.ended["cut_off"],
            "groups": len(groups.names()),
            "delivered": groups.consumed,
            "window": window,
            "own_window": own_window,
        }

    def _set_cut(self, operation: CutDaemons) -> None:
        me = self._groups.me.name
        mine = next((part for part in operation.parts if me in part), None)
        if operation.parts and mine is None:
            raise Refused(f"daemon {me} is in no part of that partition")
        others = {name for part in operation.parts if part is not mine for name in part}
        self._cut = frozenset(others) - frozenset(mine or ())
        if self._heals is not None:
            self._heals.cancel()
            self._heals = None
        if self._cut:
            log.warning("daemons_cut_off", node=me, names=sorted(self._cut))
            self._heals = self._loop.call_later(operation.lasts_s, self._heal)
        self._apply_cut()

    def _heal(self) -> None:
        self._heals = None
        self._cut = frozenset()
        log.warning("daemons_healed", node=self._groups.me.name, why="no monitor said it again")
        self._apply_cut()

    def _apply_cut(self) -> None:
        self._cables.cut_off(self._cut | self._removed)

    def _limit_flow(self, operation: LimitFlow) -> None:
        """One daemon may have its own window on its way, and never more than that of all.

        There is no token here that counts what all have sent, so the window of all bounds each.
        """
        self._windows = operation.window, operation.own_window
        limits = [each for each in self._windows if each]
        self._groups.step(events.LimitWindow(min(limits, default=0)))

    # -- its file ----------------------------------------------------------------------------
    async def reload(self) -> dict[str, object]:
        """Read the configuration file again and go by it: who is there, who may come in, and where.

        Programs stay connected. A daemon that is in the file no more, or elsewhere, ends. Returns
        the names of daemons that came (`added`) and went (`removed`).

        Raises:
            ConfigError: what is wrong with the file; nothing has changed. Refused: there is none.
        """
        before, port, me = self._settings, self._port, self._groups.me.name
        if before is None or port is None or before.reread is None:
            raise Refused(f"node {me} was started without a configuration file")
        found = await asyncio.to_thread(before.reread)
        if found is None or found.door != before.door:
            why = "is not in its file any more" if found is None else f"belongs at {found.door} now"
            log.warning("daemon_stopped", node=me, why=f"{me} {why}")
            self._loop.call_later(_ANSWERED_S, self._stop)
            return {"added": [], "removed": [port.deliveries.daemon(me)]}
        found = dataclasses.replace(found, slow_client_s=before.slow_client_s, log=before.log)
        self._settings = found
        added = [name for name in found.daemons if name not in before.daemons]
        removed = [name for name in before.daemons if name not in found.daemons]
        there = frozenset(map(node_name, found.daemons))
        self._removed = (self._removed | frozenset(map(node_name, removed))) - there
        self._join(found.told)
        self._apply_cut()
        await port.change(found)
        log.info("config_reloaded", node=me, added=added, removed=removed)
        return {"added": added, "removed": removed}

    def reload_soon(self) -> None:
        """The same, for who waits for no answer: what is wrong is in the log."""
        self._spawn(self._reload_told())

    async def _reload_told(self) -> None:
        try:
            await self.reload()
        except (ConfigError, Refused) as error:
            log.error("config_refused", node=self._groups.me.name, why=str(error))
