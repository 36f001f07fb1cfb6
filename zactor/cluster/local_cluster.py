"""A whole cluster of real processes on this machine, for as long as a block runs: `local`.

The module isn't called zactor.local, because importing it would then hide the name `local`.
"""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType

from zactor.client.blocking_master import BlockingMaster
from zactor.client.connection import Connection
from zactor.client.master import Master
from zactor.cluster.processes import Processes
from zactor.kernel import errors, limits
from zactor.kernel.homes import at_home
from zactor.kernel.ids import check_name
from zactor.kernel.messages.operations import Inspect, Subject

MASTER_NAME = "m1"

_NODES = Inspect(what=Subject.NODES, argument="")
_ANSWER_S = 2.0  # for one answer while the nodes meet


class _Done:
    """What has been done already; may be awaited."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield


class _Cluster:
    """What the awaiting and the blocking cluster share."""

    def __init__(self, processes: Processes, names: Sequence[str]) -> None:
        self.processes = processes
        self.nodes = list(names)
        """The names of the nodes, running or not; the master m1 is not among them."""
        self._going_on = True

    @property
    def home(self) -> Path:
        """The cluster's ZACTOR_HOME."""
        return self.processes.home

    @property
    def names(self) -> list[str]:
        """The nodes whose processes run, the master included."""
        return self.processes.names

    def output(self, name: str) -> str:
        """Return what node `name` has printed: its log, and the lines of its actors."""
        return self.processes.output(name)

    def pid(self, name: str) -> int:
        """Return the process id of node `name`."""
        return self.processes.pid(name)

    def freeze(self, name: str) -> None:
        """Stop the process of node `name` where it is (SIGSTOP)."""
        self.processes.freeze(name)

    def thaw(self, name: str) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self.processes.thaw(name)

    def _begin(self) -> None:
        for name in self.nodes:
            self.processes.spawn(name)
        self.processes.spawn(MASTER_NAME, "master")
        self._meet()

    def _again(self, name: str, env: Mapping[str, str] | None) -> None:
        if name not in self.nodes and name != MASTER_NAME:
            self.nodes.append(check_name("node", name))
        self.processes.spawn(name, env=env)
        self._meet()

    def _meet(self) -> None:
        """Wait until all that run see each other's present incarnation, and the KB names them.

        One is asked until it sees all, then the others: n nodes that tell of n nodes each, again
        and again, would cost more than their meeting.
        """
        names = self.processes.names
        limit_s = limits.START_S + limits.START_NODE_S * len(names)
        until = time.monotonic() + limit_s
        endpoints = self.processes.wait_for(names, limit_s, lambda: self._going_on)
        seen: dict[str, tuple[int, ...]] = {}
        with contextlib.ExitStack() as stack:
            doors: dict[str, Connection] = {}
            for name in names:
                doors[name] = Connection(endpoints[name], home=self.home)
                stack.callback(doors[name].close)
            while behind := _behind(names, seen):
                asked = {name: doors[name].request(_NODES, _ANSWER_S) for name in behind}
                news = {name: _incarnations(names, answer) for name, answer in asked.items()}
                now_seen = {name: sees for name, sees in news.items() if sees is not None}
                is_progress = any(seen.get(name) != sees for name, sees in now_seen.items())
                seen |= now_seen
                if is_progress:
                    continue
                self.processes.check(names)
                if time.monotonic() > until or not self._going_on:
                    raise errors.NotReachable(
                        f"{', '.join(names)} have not met in {limit_s:g} s: "
                        f"see their logs in {self.home / 'log'}"
                    )
                time.sleep(limits.MEET_POLL_MS / 1000)

    def _connect(self) -> Connection:
        return Connection(self.processes.endpoints()[MASTER_NAME], home=self.home)

    def _repr_html_(self) -> str:
        """Say for a notebook what runs."""
        return html.escape(f"a cluster of {', '.join(self.names) or 'no node'} in {self.home}")


@at_home
class Cluster(_Cluster):
    """What `async with local() as cluster` gives."""

    master: Master
    """A client at the door of m1; if m1 goes, at another node's."""

    _end: Callable[[], Awaitable[None]] | None = None  # of who has no block

    def kill(self, name: str) -> Awaitable[None]:
        """End node `name` as a power cut would (SIGKILL). It is gone when this returns."""
        self.processes.kill(name)
        return _Done()

    def stop(self, name: str) -> Awaitable[None]:
        """End node `name` in good order (SIGTERM). It is gone when this returns."""
        self.processes.stop(name)
        return _Done()

    async def close(self) -> None:
        """End all of it: for who began with `await local.start()`. Again does no harm."""
        if self._end is not None:
            end, self._end = self._end, None
            await end()

    async def start(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start node `name`, again or for the first time; wait until all see each other.

        `env` is what its environment has beside ours.
        """
        await asyncio.wrap_future(_in_thread(lambda: self._again(name, env)))


@at_home
class BlockingCluster(_Cluster):
    """What `with local() as cluster` gives."""

    master: BlockingMaster
    """A client at the door of m1; if m1 goes, at another node's."""

    def kill(self, name: str) -> None:
        """End node `name` as a power cut would (SIGKILL). It is gone when this returns."""
        self.processes.kill(name)

    def stop(self, name: str) -> None:
        """End node `name` in good order (SIGTERM). It is gone when this returns."""
        self.processes.stop(name)

    def start(self, name: str, env: Mapping[str, str] | None = None) -> None:
        """Start node `name`, again or for the first time; wait until all see each other.

        `env` is what its environment has beside ours.
        """
        self._again(name, env)


@at_home
class local:
    """A cluster on this machine: `async with local() as c` awaits, `with local() as c` blocks.

    Nodes n1, n2, … and a master m1, each its own process, in a temporary home. When the block ends,
    however it ends, nothing is left behind: no process, port, thread or file. Even if this process
    is killed, the nodes stop by themselves, and the last of them takes the home along.

    Raises (on entering):
        NotReachable: a node didn't start; carries what it said.
    """

    def __init__(
        self,
        nodes: int = 2,
        names: Sequence[str] | None = None,
        home: str | os.PathLike[str] | None = None,
    ) -> None:
        """Nothing happens before the block is entered.

        Args:
            nodes: how many, from 0; `names` says otherwise.
            names: of the nodes; None: n1, n2, ….
            home: a folder that stays; None: a temporary one that goes.
        """
        self._names = [f"n{i + 1}" for i in range(nodes)] if names is None else list(names)
        for name in self._names:
            check_name("node", name)
        if len({*self._names, MASTER_NAME}) <= len(self._names):
            raise errors.ConfigError(f"names={self._names!r} must differ, also from {MASTER_NAME}")
        self._home = home
        self._close: Callable[[], None] = lambda: None

    @classmethod
    async def start(
        cls,
        nodes: int = 2,
        names: Sequence[str] | None = None,
        home: str | os.PathLike[str] | None = None,
    ) -> Cluster:
        """Begin without a block, as in a notebook: `cluster = await local.start()`.

        `await cluster.close()` ends it; where nobody says so it ends with this process.
        """
        block = cls(nodes, names, home)
        cluster = await block.__aenter__()
        cluster._end = lambda: block.__aexit__(None, None, None)
        return cluster

    # -- awaiting ----------------------------------------------------------------------------
    async def __aenter__(self) -> Cluster:
        cluster = Cluster(Processes(self._home), self._names)
        begun = _in_thread(cluster._begin)
        try:
            await asyncio.wrap_future(begun)
            connection = cluster._connect()
            self._close = _closing(cluster, connection)
            await asyncio.wrap_future(connection.ready())
        except BaseException:
            cluster._going_on = False
            begun.exception()  # its thread has ended
            self._close()
            cluster.processes.close()
            raise
        cluster.master = Master(connection)
        return cluster

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        closed = _in_thread(self._close)
        try:
            await asyncio.wrap_future(closed)
        finally:
            closed.exception()  # also when we were cancelled: nothing may be left

    # -- blocking ----------------------------------------------------------------------------
    def __enter__(self) -> BlockingCluster:
        cluster = BlockingCluster(Processes(self._home), self._names)
        self._close = cluster.processes.close
        try:
            cluster._begin()
            connection = cluster._connect()
            self._close = _closing(cluster, connection)
            connection.ready().result()
        except BaseException:
            self._close()
            raise
        cluster.master = BlockingMaster(connection)
        return cluster

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()


def _closing(cluster: _Cluster, connection: Connection) -> Callable[[], None]:
    def close() -> None:
        try:
            connection.close()
        finally:
            cluster.processes.close()

    return close


def _incarnations(names: Sequence[str], answer: Future[object]) -> tuple[int, ...] | None:
    """The incarnations of `names` that a node sees; None if it doesn't see all of them up."""
    try:
        rows = answer.result()
    except (errors.NotReachable, errors.ActorError, errors.Refused):
        return None
    assert isinstance(rows, list), f"nodes are {rows!r}"
    up = {row["name"]: row["incarnation"] for row in rows if row["state"] == "up"}
    return tuple(up[name] for name in names) if up.keys() >= set(names) else None


def _behind(names: Sequence[str], seen: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Whom of `names` to ask: who wasn't asked yet, or saw an earlier life of one than others."""
    if not seen:
        return list(names[:1])
    newest = tuple(map(max, zip(*seen.values(), strict=True)))
    return [name for name in names if seen.get(name) != newest]


def _in_thread(function: Callable[[], None]) -> Future[None]:
    """Run `function` in a thread of its own; its future can't be cancelled."""
    future: Future[None] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            function()
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    threading.Thread(target=run, name="zactor-local", daemon=True).start()
    return future
