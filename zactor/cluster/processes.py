"""Node processes on this machine, the only place that launches them.

They are tied to the process that began them, unless they are to outlive it: each node inherits the
reading end of a pipe, its lifeline, and stops when the writing end is gone, however that came
about. A temporary home is swept by a reaper, a shell that waits on another pipe, which every node
and this process hold open: it reads the end of it when the last of them is gone.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zactor.kernel import forks, limits
from zactor.kernel.errors import AlreadyExists, NoSuchThing, NotReachable, TimedOut
from zactor.kernel.transport.private_files import check_home, open_private, private_folder
from zactor.supervisor.membership import run_directory

_REAPER = 'cat >/dev/null; rm -rf -- "$1"'
_OUTPUT_SHOWN_CHARS = 4_000  # of a node that failed, in a note of the error


class Processes:
    """Node processes that share a home. Threads: one caller at a time."""

    def __init__(
        self, home: str | os.PathLike[str] | None = None, *, are_tied: bool = True
    ) -> None:
        """No process runs.

        Args:
            home: None makes a temporary one, which goes when the last of us is gone.
            are_tied: they stop when this process is gone; else they go on, in a home that stays.
        """
        assert are_tied or home is not None, "who lives on needs a home that stays"
        self._temporary = home is None
        # In a folder of 0700, so that no other user sees the nodes' output or keys.
        self.home = Path(tempfile.mkdtemp(prefix="zactor-")) if home is None else Path(home)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._roles: dict[str, str] = {}
        self._inherited: list[int] = []  # ends of pipes that each node gets
        self._own: list[int] = []  # ends that are ours alone
        self._lifeline = self._hold = -1
        self._reaper: subprocess.Popen[bytes] | None = None
        self._pid = os.getpid()
        if are_tied:
            self._lifeline, self._hold = os.pipe()
            self._inherited.append(self._lifeline)
            forks.keep_private(self._hold)  # else a child of ours would keep the nodes alive
        if self._temporary:
            self._begin_reaper()

    def _begin_reaper(self) -> None:
        alive, held = os.pipe()
        self._inherited.append(held)
        self._own.append(alive)
        try:
            self._reaper = subprocess.Popen(
                ["/bin/sh", "-c", _REAPER, "zactor-reaper", str(self.home)],
                stdin=alive,
                start_new_session=True,  # Ctrl-C at a terminal is not for it
            )
        except BaseException:
            self._close_pipes()
            raise

    # -- one node ----------------------------------------------------------------------------
    @property
    def names(self) -> list[str]:
        """The nodes whose processes run, in the order of their start."""
        return [name for name, child in self._children.items() if child.poll() is None]

    @property
    def spawned(self) -> list[str]:
        """The nodes whose processes were started here, whether they run or not."""
        return list(self._children)

    def spawn(
        self,
        name: str,
        role: str = "",
        env: Mapping[str, str] | None = None,
        *,
        options: Sequence[str] = (),
        folder: Path | None = None,
    ) -> None:
        """Start the process of a node; `wait_for` says when it is there.

        Args:
            name: of the node, which isn't running.
            role: "node" or "master"; "" is what it was before, at first "node".
            env: variables of its environment beside ours.
            options: more words of its command line.
            folder: where it works; None: where this process does.
        """
        if name in self.names:
            raise AlreadyExists(f"node {name} is running already")
        self._roles[name] = role or self._roles.get(name, "node")
        with os.fdopen(open_private(self.output_file(name), append=True), "ab") as output:
            self._children[name] = subprocess.Popen(
                [*self._command(name), *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=self._inherited,
                cwd=folder,
                env={
                    **os.environ,
                    **(env or {}),
                    "ZACTOR_HOME": str(self.home),
                    "PYTHONUNBUFFERED": "1",
                },
                start_new_session=True,  # Ctrl-C at a terminal is for us to handle
            )

    def _command(self, name: str) -> list[str]:
        """Return the words that run a node. A laboratory puts it on another host."""
        return [
            sys.executable,
            # -P: a file of the current folder must not take the place of a module
            *("-P", "-m", "zactor.supervisor"),
            *("--home", str(self.home)),
            *("--role", self._roles[name]),
            *self._identity(name),
            *(("--lifeline", str(self._lifeline)) if self._lifeline >= 0 else ()),
        ]

    def _identity(self, name: str) -> list[str]:
        """Return the words that tell a node who it is."""
        return ["--name", name]

    def pid(self, name: str) -> int:
        """Return the process id of a running node."""
        return self._running(name).pid

    def kill(self, name: str) -> None:
        """End a node as a power cut would (SIGKILL), and wait until its process is gone."""
        child = self._running(name)
        child.kill()
        child.wait()

    def wait(self, name: str, timeout: float | None) -> int:
        """Wait until the process of a node ends; return what it ended with, -9 after kill -9.

        Args:
            timeout: in s; None: no limit.

        Raises:
            TimedOut: it runs on.
        """
        try:
            return self._children[name].wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimedOut(f"node {name} runs on after {timeout:g} s") from None

    def freeze(self, name: str) -> None:
        """Stop a node where it is (SIGSTOP): alive, but silent."""
        self._running(name).send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen node go on."""
        self._running(name).send_signal(signal.SIGCONT)

    def stop(self, *names: str, timeout: float = limits.STOP_S) -> None:
        """End nodes in good order (SIGTERM, all at once), after `timeout` seconds otherwise."""
        children = [self._children[name] for name in names if name in self.names]
        for child in children:
            child.terminate()
            child.send_signal(signal.SIGCONT)
        until = time.monotonic() + timeout
        for child in children:
            try:
                child.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def output_file(self, name: str) -> Path:
        """Return the file that stands for the node's terminal.

        Raises:
            ConfigError: the home, or its folder, is another user's too.
        """
        check_home(self.home)
        with private_folder(self.home / "log"):
            return self.home / "log" / f"{name}.log"

    def output(self, name: str) -> str:
        """Return what the node's terminal shows: the node's log and the lines of its actors."""
        try:
            return self.output_file(name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def _running(self, name: str) -> subprocess.Popen[bytes]:
        if name not in self._children:
            known = ", ".join(self._children) or "none"
            raise NoSuchThing(f"this cluster has no node {name!r}: it has {known}")
        child = self._children[name]
        if child.poll() is not None:
            raise NoSuchThing(f"node {name} isn't running (it ended with {child.returncode})")
        return child

    # -- all of them -------------------------------------------------------------------------
    def endpoints(self) -> dict[str, str]:
        """Return {name: endpoint} of our nodes whose doors are open."""
        ours = {child.pid: name for name, child in self._children.items()}
        return {
            ours[entry.pid]: entry.endpoint
            for entry in run_directory.read_entries(self.home)
            if entry.pid in ours
        }

    def check(self, names: Sequence[str] | None = None) -> None:
        """Raise NotReachable with the end of its log if one of `names`, or of all, has ended."""
        for name in self.spawned if names is None else names:
            code = self._children[name].poll()
            if code is not None:
                said = self.output(name)[-_OUTPUT_SHOWN_CHARS:].strip()
                end = f"ends with: {said.splitlines()[-1]}" if said else f"is empty{self._full()}"
                error = NotReachable(
                    f"node {name} ended with {code}, its log {str(self.output_file(name))!r} {end}"
                )
                error.add_note(f"the end of the log of {name}:\n{said}")
                raise error

    def _full(self) -> str:
        """Say so if what a node had to say found no room."""
        return "" if shutil.disk_usage(self.home).free else ", since the disk is full"

    def wait_for(
        self, names: Sequence[str], timeout: float, go_on: Callable[[], bool] = lambda: True
    ) -> dict[str, str]:
        """Wait until the doors of `names` are open; return all endpoints.

        Raises:
            NotReachable: one ended instead, or `timeout` seconds passed, or `go_on()` was false.
        """
        until = time.monotonic() + timeout
        while True:
            self.check(names)
            found = self.endpoints()
            missing = [name for name in names if name not in found]
            if not missing:
                return found
            if time.monotonic() > until or not go_on():
                raise NotReachable(f"no door of {', '.join(missing)} in {timeout:g} s")
            time.sleep(limits.RUN_POLL_MS / 1000)

    def close(self) -> None:
        """End every process and remove the folder if it is ours. Again: nothing.

        In a fork's child nothing either: they are its parent's.
        """
        if os.getpid() != self._pid:
            return
        self._let_go()  # from here on they stop, whatever happens to us
        self.stop(*self.names)
        if self._temporary:
            shutil.rmtree(self.home, ignore_errors=True)
        self._close_pipes()
        if self._reaper is not None:
            self._reaper.wait()

    def _let_go(self) -> None:
        if self._hold >= 0:
            forks.shared_again(self._hold)
            os.close(self._hold)
            self._hold = -1

    def _close_pipes(self) -> None:
        self._let_go()
        for ends in (self._inherited, self._own):
            while ends:
                os.close(ends.pop())
        self._lifeline = -1
