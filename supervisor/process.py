"""A node as a process, or as a thread of the process that has the console.

`NodeThread` is the kernel's loop with its keeper, the thread "zactor-kernel": it runs one life
after another (a node that was declared dead by mistake comes back as a new incarnation) until it is
told to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from zactor.kernel import forks, limits
from zactor.kernel.errors import AlreadyExists, ConfigError, NoRoom, ZactorError
from zactor.kernel.ids import check_name
from zactor.kernel.loops import GuestLoop
from zactor.kernel.printable import printable
from zactor.kernel.room import room_for
from zactor.kernel.runtime.baton import Baton
from zactor.kernel.transport.keys import cluster_keys
from zactor.kernel.transport.open_files import check_open_files, few_files_error
from zactor.kernel.transport.private_files import check_tree, open_private, write_no_core
from zactor.supervisor.kb.store_writer import AGAIN_MAX_S, AGAIN_S
from zactor.supervisor.membership.run_directory import RunEntry, process_start, write_entry
from zactor.supervisor.node import Node
from zactor.supervisor.observe import spans
from zactor.supervisor.observe.lasting_output import lasting_output
from zactor.supervisor.observe.log_format import configure_logs
from zactor.supervisor.observe.user_logs import take_user_logs
from zactor.supervisor.process_end import end_within
from zactor.supervisor.settings import Settings, make_settings
from zactor.supervisor.spread.spread_settings import SpreadSettings
from zactor.supervisor.unconfigured_node import UnconfiguredNode

log = structlog.get_logger()


COLLECT_AFTER = (20_000, 20, 20)  # objects, then generations: queues of messages are long


class NodeThread:
    """The kernel's loop of this process, and the thread that keeps it."""

    def __init__(self, name: str | None, settings: Settings) -> None:
        """`name` None: unconfigured until somebody names it.

        Raises:
            ConfigError: the name or a setting is wrong.
        """
        self.name = check_name("node", name) if name else ""
        self.settings = settings
        self.keys = cluster_keys(settings.home)
        self.error: BaseException | None = None
        self._started = threading.Event()
        self._begun = threading.Event()  # see Discovery.begun
        self._stopping = False
        self._current: Node | UnconfiguredNode | None = None
        self._endpoint = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="zactor-kernel", daemon=True)

    def start(self) -> str:
        """Return the door's endpoint as soon as it is open.

        Raises:
            ZactorError: it can't start; says why.
        """
        self._thread.start()
        self._started.wait()
        if self.error is not None:
            self._thread.join()
            raise self.error
        return self._endpoint

    def wait_begun(self) -> None:
        """Return when it has met one of those whom it was to join, if any.

        Raises:
            ZactorError: it can't, and has ended.
        """
        self._begun.wait()
        if self.error is not None:
            raise self.error

    def reload(self) -> None:
        """Have a daemon read its configuration file again; nothing where it has none."""
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop ended by itself meanwhile
                self._loop.call_soon_threadsafe(self._reload_current)

    def _reload_current(self) -> None:
        if isinstance(self._current, Node):
            self._current.daemon.reload_soon()

    def stop(self) -> None:
        """Stop in good order and return when everything is closed."""
        self._stopping = True
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop ended by itself meanwhile
                self._loop.call_soon_threadsafe(self._stop_current)
        self._thread.join()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether the node has ended by itself within `timeout_s`."""
        return self._on_end.wait(timeout_s)

    def _stop_current(self) -> None:
        if self._current is not None:
            self._current.stop()

    def _run(self) -> None:
        try:
            loop = GuestLoop()
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.get_loop()
                baton = Baton(loop)
                baton.run(self._lives(baton))
        except BaseException as error:  # the thread's last words: start() or the log has them
            self.error = error = few_files_error(error)
            if not self._started.is_set():
                return
            if isinstance(error, ZactorError):
                log.error("node_ended", node=self.name, why=str(error))
            else:
                log.exception("kernel_failed")
        finally:
            self._started.set()
            self._begun.set()
            self._on_end.set()

    async def _lives(self, baton: Baton) -> None:
        self._loop = asyncio.get_running_loop()
        settings = self.settings
        while not self._stopping:
            if not self.name:
                unconfigured = UnconfiguredNode(settings, self.keys)
                with self._opened(unconfigured, settings) as settings:
                    try:
                        named = await unconfigured.run()
                    finally:
                        await unconfigured.close()
                if named is None:
                    return
                self.name = named.name
                settings = dataclasses.replace(settings, told=named.join)
            with lock_state(settings.home, self.name) as state:
                node = await self._begin(settings, state, baton)
                if node is None:
                    return
                with self._opened(node, settings) as settings:
                    telling = asyncio.create_task(self._tell_begun(node))
                    try:
                        outcome = await node.run()
                    finally:
                        telling.cancel()
                        await node.close()
            if outcome == "stop":
                return
            if outcome.startswith("failed: "):
                raise ZactorError(f"node {self.name} ended: {outcome.removeprefix('failed: ')}")

    async def _tell_begun(self, node: Node) -> None:
        await node.discovery.begun.wait()
        self._begun.set()

    @contextlib.contextmanager
    def _opened(self, part: Node | UnconfiguredNode, settings: Settings) -> Iterator[Settings]:
        """Open the sockets and the entry in run/; yields the settings with the port that it has."""
        door = part.open()
        self._current = part
        if self._stopping:
            part.stop()
        pid = os.getpid()
        entry = RunEntry(
            name=self.name,
            role=settings.role,
            endpoint=door,
            door=part.hub.near if part.hub.near != door else "",
            pid=pid,
            started=process_start(pid),
        )
        file = self._write_entry(settings.home, entry)
        self._endpoint = door
        self._started.set()
        try:
            address = settings.address._replace(first=part.hub.port)
            yield dataclasses.replace(settings, address=address)
        finally:
            if file is not None:
                file.unlink(missing_ok=True)

    def _write_entry(self, home: Path, entry: RunEntry) -> Path | None:
        try:
            return write_entry(home, entry)
        except NoRoom as error:
            if not self._started.is_set():
                raise
            log.error("entry_missing", why=str(error))  # it runs, and others know where
            return None

    async def _begin(self, settings: Settings, state: Path, baton: Baton) -> Node | None:
        """Return the next life; where there is no room to note its number, wait until there is.

        None: it is to stop. The first life says so instead.
        """
        pause_s = 0.0
        while not self._stopping:
            try:
                return Node(self.name, settings, self.keys, state, baton)
            except NoRoom as error:
                if not self._started.is_set():
                    raise
                if not pause_s:
                    log.error("disk_full", name=self.name, why=str(error))
            pause_s = min(AGAIN_MAX_S, 2 * pause_s or AGAIN_S)
            await asyncio.sleep(pause_s)
        return None


@contextlib.contextmanager
def lock_state(home: Path, name: str, lock_name: str = "lock") -> Iterator[Path]:
    """Yield the state folder of node `name`, which no other process has while we do.

    Args:
        lock_name: of the file that says so; another one stands for another claim.

    Raises:
        ConfigError: another user may change it, or has. AlreadyExists: another process has it.
        NoRoom: the disk is full.
    """
    state = home / "state" / name
    with room_for(state):
        check_tree(state)
        descriptor = open_private(state / lock_name)
    with os.fdopen(descriptor, "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyExists(
                f"a node {name} is running already in {home}: give this one another --name"
            ) from None
        forks.keep_private(lock.fileno())  # a child that outlives us shall not hold it
        try:
            yield state
        finally:
            forks.shared_again(lock.fileno())


def run_node(
    *,
    name: str | None,
    role: str = "node",
    home: Path | None = None,
    bind: str | None = None,
    join: tuple[str, ...] = (),
    advertise: str | None = None,
    payload: str | None = None,
    spread: str | SpreadSettings | None = None,
    slow_client_s: float = 0.0,
    told: tuple[str, ...] = (),
    labels: tuple[str, ...] = (),
    lifeline: int | None = None,
    json_logs: bool | None = None,
    otel: bool | None = None,
    install: bool = True,
) -> int:
    """Run a node in the foreground until SIGTERM, SIGINT, SIGHUP or the end of its lifeline.

    Returns 0, and the process ends within PROCESS_END_S then, whatever user code does at its end.
    SIGHUP has a daemon of a configuration file read that again instead; who was started with
    SIGHUP ignored, as by nohup, goes on.

    Args:
        spread: HOST[:PORT] of a port for programs of Spread; "": at its usual place.
        slow_client_s: there a program that takes nothing for so long is cut off; 0: none is.
        told: addresses of nodes that it joins when they are there.
        labels: KEY or KEY=VALUE each.
        lifeline: the read end of a pipe; when its other end is closed the node stops, so that it
            never outlives who started it, however that one ended.
        otel: OpenTelemetry is told of spans; None: where the environment says so.
        install: what actors need is installed for them, where who deploys them asks for that.

    Raises:
        ZactorError: it can't start, can't join whom it was to join, or can't keep its word.
    """
    with lasting_output():
        _prepare_process(json_logs)
        settings = make_settings(
            role=role,
            home=home,
            bind=bind,
            join=join,
            advertise=advertise,
            payload=payload,
            spread=spread,
            slow_client_s=slow_client_s,
            told=told,
            labels=labels,
            otel=otel,
            install=install,
        )
        return _run_until_told(name, settings, lifeline)


def _run_until_told(name: str | None, settings: Settings, lifeline: int | None) -> int:
    thread = NodeThread(name, settings)
    to_stop = threading.Event()
    previous = _obey_signals(thread, to_stop)
    if lifeline is not None:
        threading.Thread(
            target=_hold_lifeline, args=(lifeline, to_stop), name="zactor-lifeline", daemon=True
        ).start()
    try:
        thread.start()
        while not to_stop.wait(0.2):  # a signal's handler runs only between two bytecodes of ours
            if thread.wait(0):
                break
        thread.stop()
    finally:
        spans.flush()
        for number, handler in previous.items():
            signal.signal(number, handler)
    error = thread.error
    code = 0 if error is None else getattr(error, "exit_code", 1)
    end_within(limits.PROCESS_END_S, code, node=thread.name)
    if isinstance(error, ZactorError):
        raise error
    return 0 if error is None else 1


def _obey_signals(thread: NodeThread, to_stop: threading.Event) -> dict[int, Any]:
    """Have signals do what they are to; return what they did before."""
    doings = {signal.SIGINT: to_stop.set, signal.SIGTERM: to_stop.set}
    spread = thread.settings.spread
    if spread is not None and spread.reread is not None:
        doings[signal.SIGHUP] = thread.reload
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        doings[signal.SIGHUP] = to_stop.set  # its terminal has gone
    for number in doings:
        forks.handled(number)
    return {number: signal.signal(number, lambda *_, do=do: do()) for number, do in doings.items()}


def _prepare_process(json_logs: bool | None) -> None:
    configure_logs(json_logs)
    take_user_logs()
    write_no_core()
    check_open_files()
    forks.is_node()
    gc.set_threshold(*COLLECT_AFTER)


def _hold_lifeline(lifeline: int, told: threading.Event) -> None:
    while os.read(lifeline, 1):
        pass
    told.set()


def main(arguments: list[str] | None = None) -> int:
    """Run a node from a command line without click: what `zactor.local` starts."""
    import argparse

    parser = argparse.ArgumentParser(prog="python -m zactor.supervisor")
    parser.add_argument("--name")
    parser.add_argument("--role", default="node", choices=["node", "master"])
    parser.add_argument("--home", type=Path)
    parser.add_argument("--bind")
    parser.add_argument("--advertise")
    parser.add_argument("--payload", choices=["pickle", "data"])
    parser.add_argument("--spread")
    parser.add_argument("--join", action="append", default=[])
    parser.add_argument("--label", action="append", default=[], dest="labels")
    parser.add_argument("--no-install", action="store_false", dest="install")
    parser.add_argument("--lifeline", type=int)
    options = vars(parser.parse_args(arguments))
    options |= {name: tuple(options[name]) for name in ("join", "labels")}
    try:
        return run_node(**options)
    except (ZactorError, ConfigError) as error:
        print(f"zactor: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
