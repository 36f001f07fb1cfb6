"""Orphans: processes that actors' own processes have started, and that go on without them.

An actor's process leads a group of processes. When it has ended, however, the node kills what is
left of the group. When the node itself is killed nobody of its own can do that: so a small process
beside it, which sleeps at a pipe of the node's, is told which groups there are, and ends them when
the pipe does. Who leaves the group (setsid) is nobody's.

The processes begin in a thread that lives as long as the node does, since PDEATHSIG strikes when
the thread ends that began them, and since that waits for their exec.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import structlog

from zactor.kernel import forks, limits
from zactor.kernel.runtime.dispatcher import SharedLoop
from zactor.kernel.runtime.posix_spawn import ChildProcess, spawn

log = structlog.get_logger()

_WATCH = Path(__file__).with_name("orphan_watch.py")


def end_group(leader: int) -> None:
    """Kill what is left of a group; its leader isn't reaped yet, or the number may be another's."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


class Orphans:
    """The groups of one node's actors, and who ends them when the node can't. Threads: any."""

    def __init__(self) -> None:
        self._leaders: dict[int, ChildProcess] = {}
        self._watch: subprocess.Popen[bytes] | None = None
        self._none_left = threading.Event()  # no actor has a process
        self._none_left.set()
        self._births: ThreadPoolExecutor | None = None
        self._is_closed = False
        self._lock = threading.Lock()  # of all four

    async def spawn(
        self, words: Sequence[str], env: Mapping[str, str], folder: str | None, files: Sequence[int]
    ) -> ChildProcess:
        """Begin a process: see posix_spawn. Its group ends with it, and with the node.

        `files` are closed here, whatever becomes of it.

        Raises:
            OSError: it can't begin.
        """
        with self._lock:
            if self._is_closed:
                _close(files)
                raise OSError(errno.ESHUTDOWN, "this node ends", words[0])
            if self._births is None:
                self._births = ThreadPoolExecutor(1, "zactor-births")
            birth = self._births.submit(self._spawn, words, env, folder, files)
        try:
            return await asyncio.shield(asyncio.wrap_future(birth))
        except asyncio.CancelledError:
            birth.add_done_callback(self._unwanted)
            raise

    def _spawn(
        self, words: Sequence[str], env: Mapping[str, str], folder: str | None, files: Sequence[int]
    ) -> ChildProcess:
        try:
            leader = spawn(words, env, folder, files)
        finally:
            _close(files)
        with self._lock:
            self._leaders[leader.pid] = leader
            self._none_left.clear()
            if self._watch is not None and self._watch.poll() is None:
                self._say(f"+{leader.pid}")
            else:
                self._begin()
        return leader

    def _unwanted(self, birth: Future[ChildProcess]) -> None:
        if birth.exception() is None:
            self.end(birth.result())

    def end(self, leader: ChildProcess) -> int:
        """Kill what is left of that group, reap its leader, and return how that ended."""
        if leader.returncode is None:  # not reaped: its number is its own
            end_group(leader.pid)
        with self._lock:
            if self._leaders.pop(leader.pid, None) is not None:
                self._say(f"-{leader.pid}")
        code = leader.reap()
        if not self._leaders:
            self._none_left.set()
        return code

    def end_all(self, loop: SharedLoop, timeout_s: float) -> None:
        """Kill all, since their actors have ended, and wait until who has them has reaped them.

        Those of former code, or of code that failed, may be left then. Threads: any.
        """
        if self._none_left.is_set():
            return
        loop.post(self._kill)
        if loop.driven:
            loop.drive(self._none_left.is_set, timeout_s)
        else:
            self._none_left.wait(timeout_s)

    def _kill(self) -> None:
        for leader in list(self._leaders.values()):
            end_group(leader.pid)

    def close(self) -> None:
        """The node ends: with it what is left of its actors."""
        with self._lock:
            self._is_closed = True
            births, self._births = self._births, None
        if births is not None:
            births.shutdown()
        for leader in list(self._leaders.values()):
            self.end(leader)
        self._close_watch()

    def _close_watch(self) -> None:
        watch, self._watch = self._watch, None
        if watch is None or watch.stdin is None:
            return
        forks.shared_again(watch.stdin.fileno())
        with contextlib.suppress(OSError):
            watch.stdin.close()
        try:
            watch.wait(limits.PROCESS_END_S)
        except subprocess.TimeoutExpired:
            watch.kill()
            watch.wait()

    def _begin(self) -> None:
        self._close_watch()  # what is left of one that was killed
        words = [sys.executable, "-I", "-S", str(_WATCH)]
        try:
            self._watch = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at a terminal is for the node
            )
        except OSError as error:
            log.warning("orphans_unwatched", error=str(error))
            return
        assert self._watch.stdin is not None
        forks.keep_private(self._watch.stdin.fileno())
        for leader in sorted(self._leaders):
            self._say(f"+{leader}")

    def _say(self, line: str) -> None:
        watch = self._watch
        if watch is None or watch.stdin is None:
            return
        try:
            watch.stdin.write(f"{line}\n".encode())
            watch.stdin.flush()
        except OSError:  # somebody killed it: another begins with the next actor
            log.warning("orphans_unwatched", error="the process that watches them was killed")


def _close(files: Sequence[int]) -> None:
    for file in files:
        os.close(file)
