"""Spread's monitor, without its menu: asks each daemon of a configuration at its door.

Whoever holds the cluster's key may: Spread's own monitor sends packets that anybody could send.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from zactor.client.connection import Connection
from zactor.kernel.errors import ConfigError, ZactorError
from zactor.kernel.messages.daemon_monitor import (
    CutDaemons,
    DaemonStatus,
    LimitFlow,
    MonitorOperation,
    ReloadConfig,
    StopDaemon,
)
from zactor.supervisor.spread.config_file import SpreadConfig
from zactor.supervisor.spread.daemon_config import door_of
from zactor.supervisor.spread.spread_settings import node_name

ANSWER_S = 2.0  # for a daemon to answer; who doesn't is told as such
CUT_S = 60.0  # a partition lasts without being said again, as at Spread's daemon …
SAID_AGAIN_S = 25.0  # … and its monitor says it again so often

Outcome = Mapping[str, object] | ZactorError
"""What a daemon answered: plain data, or why it didn't do it."""


class SpreadMonitor:
    """The monitor of the daemons of one configuration. Blocking, one thread."""

    def __init__(self, config: SpreadConfig, home: Path) -> None:
        """`home` has the cluster's keys.

        Raises:
            ConfigError: the file has no daemons, or one without an address.
        """
        if not config.daemons:
            raise ConfigError(f"{config.file}: there is no daemon in it")
        self.daemons = tuple(daemon.name for daemon in config.daemons)
        self._doors = {each.name: door_of(each, config) for each in config.daemons}
        self._home = home
        self._connections: dict[str, Connection] = {}

    def status(self, names: Iterable[str] | None = None) -> dict[str, Outcome]:
        """Return how each of these daemons is (None: all), as `zactor spmonitor --json` says it."""
        return self._ask(names, DaemonStatus)

    def cut(self, parts: tuple[tuple[str, ...], ...], lasts_s: float = CUT_S) -> dict[str, Outcome]:
        """Cut the daemons of each part from those of the others, for `lasts_s`.

        Raises:
            ConfigError: not every daemon is in exactly one part.
        """
        named = [name for part in parts for name in part]
        self._check(named)
        if missing := [name for name in self.daemons if name not in named]:
            raise ConfigError(f"a partition has all daemons: {', '.join(missing)} is in no part")
        if len(set(named)) < len(named):
            raise ConfigError("a partition has each daemon once")
        nodes = tuple(tuple(map(node_name, part)) for part in parts)
        return self._ask(None, lambda node: CutDaemons(node, nodes, lasts_s))

    def heal(self) -> dict[str, Outcome]:
        """End the partition."""
        return self._ask(None, lambda node: CutDaemons(node, (), CUT_S))

    def limit_flow(self, windows: Mapping[str, tuple[int, int]]) -> dict[str, Outcome]:
        """Let each of these daemons have so many messages on their way: of all, and of its own."""
        made = {node_name(name): pair for name, pair in windows.items()}
        return self._ask(windows, lambda node: LimitFlow(node, *made[node]))

    def stop(self, names: Iterable[str] | None = None) -> dict[str, Outcome]:
        """End these daemons; None: all."""
        return self._ask(names, StopDaemon)

    def reload(self) -> dict[str, Outcome]:
        """Have all of them read their configuration files again."""
        return self._ask(None, ReloadConfig)

    def close(self) -> None:
        """Close all connections."""
        while self._connections:
            self._connections.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    # -- asking ------------------------------------------------------------------------------
    def _check(self, names: Iterable[str]) -> list[str]:
        found = list(names)
        for name in found:
            if name not in self._doors:
                raise ConfigError(f"there is no daemon {name!r}: want {', '.join(self.daemons)}")
        return found

    def _ask(
        self, names: Iterable[str] | None, make: Callable[[str], MonitorOperation]
    ) -> dict[str, Outcome]:
        """Ask all of these at once; who isn't there costs ANSWER_S, however many they are."""
        asked: dict[str, concurrent.futures.Future[object] | ZactorError] = {}
        until = time.monotonic() + ANSWER_S
        for name in self.daemons if names is None else self._check(names):
            try:
                connection = self._connection(name)
                asked[name] = connection.request(make(node_name(name)), ANSWER_S)
            except ZactorError as error:
                asked[name] = error
        return {name: self._outcome(name, future, until) for name, future in asked.items()}

    def _connection(self, name: str) -> Connection:
        if name not in self._connections:
            self._connections[name] = Connection(self._doors[name], home=self._home)
        return self._connections[name]

    def _outcome(
        self, name: str, asked: concurrent.futures.Future[object] | ZactorError, until: float
    ) -> Outcome:
        if isinstance(asked, ZactorError):
            return asked
        try:
            found = asked.result(max(0.0, until - time.monotonic()) + ANSWER_S)
        except ZactorError as error:
            # A client goes on at another node; what is asked here is for this daemon only.
            with contextlib.suppress(KeyError):
                self._connections.pop(name).close()
            return error
        assert isinstance(found, dict), "what a daemon answers is a table"
        return found
