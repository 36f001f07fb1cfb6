"""The first process of a host: it sets the host up, starts processes, and reaps them.

It is process 1 of a namespace of processes: whatever it began, and whatever entered the host later,
is killed by the kernel when it is. So a host crashes by one signal and nothing of it stays.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from zactor.lab import syscalls
from zactor.lab.packet_switch import send_plain_frames

CONTROL_BYTES_MAX = 1 << 20
COMMAND_S = 20.0  # for one `ip`
CABLE = "eth0"
_EVERYBODY = -1  # all processes of the namespace but the first
_CANNOT_RUN = 127  # as a shell's


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSetUp:
    """What a host's first process makes of its namespaces."""

    name: str
    disk: str  # the folder that becomes its /tmp
    shared: list[str]  # folders in /tmp that stay seen: Python and zactor, where they lie there
    files: Mapping[str, str]  # file of the host -> file of its /tmp that takes its place


def begin_host(setup: HostSetUp, control: socket.socket) -> int:
    """Begin a host in new namespaces; return the process id of its first process.

    Raises:
        OSError: the kernel lets us not; what it said is on stderr.
    """
    reading, writing = os.pipe()
    between = os.fork()
    if not between:
        try:
            _begin(setup, control, reading, writing)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    os.waitpid(between, 0)
    if not text:
        raise OSError(f"host {setup.name} did not begin")
    return int(text)


def _begin(setup: HostSetUp, control: socket.socket, reading: int, writing: int) -> NoReturn:
    syscalls.unshare(
        syscalls.NEW_NETWORK
        | syscalls.NEW_HOST_NAME
        | syscalls.NEW_MOUNTS
        | syscalls.NEW_IPC
        | syscalls.NEW_PROCESSES
    )
    syscalls.keep_mounts_to_ourselves()
    socket.sethostname(setup.name)
    syscalls.mount_over("/tmp", setup.disk, setup.shared)
    for target, source in setup.files.items():
        if not target.startswith("/proc") and os.path.exists(target):
            syscalls.mount(source, target, "", syscalls.BIND)
    first = os.fork()
    if first:
        os.write(writing, str(first).encode())
        os._exit(0)
    os.close(reading)
    os.close(writing)
    _run(setup, control)


def _run(setup: HostSetUp, control: socket.socket) -> NoReturn:
    """Be process 1 of the host, until the warden is gone."""
    descriptor = os.dup2(control.fileno(), 3, inheritable=False)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))
    own = socket.socket(fileno=descriptor)
    syscalls.mount("proc", "/proc", "proc")
    for target, source in setup.files.items():
        if target.startswith("/proc"):
            syscalls.mount(source, target, "", syscalls.BIND)
    init = HostInit(own)
    code = 1
    try:
        init.run()
        code = 0
    except BaseException:
        traceback.print_exc()
    os._exit(code)


def _no_router() -> None:
    """Lose in silence what isn't for this host; and no IPv6, whose own talk is nobody's fault."""
    Path("/proc/sys/net/ipv4/ip_forward").write_text("0")
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").write_text("1")


class HostInit:
    """Obeys the warden, one message at a time."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._numbers: dict[int, int] = {}  # process id -> the warden's number of it
        self._bell, self._ringer = os.pipe()
        os.set_blocking(self._ringer, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._ringer)

    def run(self) -> None:
        """Return when the warden has closed its end."""
        while True:
            own = self._control.fileno()
            ready, _, _ = select.select([own, self._bell], [], [])
            if self._bell in ready:
                os.read(self._bell, 4096)
            if own in ready:
                data, descriptors, _, _ = socket.recv_fds(self._control, CONTROL_BYTES_MAX, 3)
                if not data:
                    return
                self._answer(json.loads(data), descriptors)
            self._reap()

    def _answer(self, asked: dict[str, Any], descriptors: Sequence[int]) -> None:
        try:
            answer = self._obey(asked, descriptors)
        except OSError as error:
            answer = {"error": str(error)}
        for descriptor in descriptors:
            os.close(descriptor)
        self._tell({"answer": answer})

    def _tell(self, what: dict[str, Any]) -> None:
        self._control.send(json.dumps(what).encode())

    def _obey(self, asked: dict[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
        match asked["do"]:
            case "ip":
                done = subprocess.run(
                    ["ip", "-force", "-batch", "-"],
                    input="\n".join(asked["lines"]) + "\n",
                    capture_output=True,
                    text=True,
                    timeout=COMMAND_S,
                    check=False,
                )
                if asked.get("is_first"):
                    send_plain_frames(CABLE)
                    _no_router()
                return {"said": done.stderr}
            case "spawn":
                process = self._spawn(asked, descriptors)
                self._numbers[process] = asked["number"]
                return {"pid": process}
            case "signal":  # to one of ours, or to all
                process = asked.get("pid", _EVERYBODY)
                if process == _EVERYBODY or process in self._numbers:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, asked["signal"])
                return {}
            case other:
                raise OSError(f"a host can't {other!r}")

    def _spawn(self, asked: dict[str, Any], descriptors: Sequence[int]) -> int:
        child = os.fork()
        if child:
            return child
        try:
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.chdir(asked["folder"])
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
            words = asked["words"]
            os.execvpe(words[0], words, asked["environment"])
        except OSError as error:
            os.write(2, f"zactor lab: {asked['words'][0]}: {error.strerror}\n".encode())
        os._exit(_CANNOT_RUN)

    def _reap(self) -> None:
        while True:
            try:
                process, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not process:
                return
            if process in self._numbers:
                number = self._numbers.pop(process)
                code = os.waitstatus_to_exitcode(status)
                self._tell({"ended": number, "code": code})
