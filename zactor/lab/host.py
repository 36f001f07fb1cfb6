"""A host of a lab as its warden has it: its disk, its first process, and what runs there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zactor.kernel.errors import AlreadyExists, ConfigError, NoSuchThing
from zactor.lab import clock_shim, syscalls
from zactor.lab.disk import MemoryDisk, RealDisk
from zactor.lab.host_init import CONTROL_BYTES_MAX, HostSetUp, begin_host
from zactor.lab.topology import NODE, HostSpec

ANSWER_S = 20.0  # much, for busy machines
LINE_BYTES_MAX = 65_536
TRACE_BYTES = 256 << 20
HOSTS_FOLDER = Path("/tmp/hosts")  # in the warden's mounts
_OWN = ".lab"  # in a host's /tmp
PROCESSES_MAX = 200  # of one host


@dataclass(slots=True)
class LabProcess:
    """A process that the lab began on a host, with all that it says."""

    number: int
    name: str
    words: list[str]
    pid: int  # as the host counts
    typing: int  # descriptor of its input; -1: closed
    showing: int  # descriptor of its output; -1: closed
    shown: bytes = b""  # the beginning of a line
    code: int | None = None  # None: it runs


class Host:
    """One host. `tell` hears (process, line) of what its processes say, and of their ends."""

    def __init__(
        self,
        spec: HostSpec,
        number: int,
        *,
        shared: list[str],
        environment: Mapping[str, str],
        names: Mapping[str, str],
    ) -> None:
        """Make its disk; `boot` begins it.

        Args:
            number: from 1 on, its place in the lab.
            names: {host: address} of all, for its /etc/hosts.
        """
        self.spec, self.number = spec, number
        self.disk = HOSTS_FOLDER / spec.name
        # A file system of its own: they fill no disk, and outlive power cuts.
        self.traces = HOSTS_FOLDER / f"{spec.name}.traces"
        self.pid = 0  # of its first process, as the warden counts; 0: it is off
        self.boots = 0
        self.processes: dict[str, LabProcess] = {}
        self.control: socket.socket | None = None
        self._count = 0
        self._shared, self._names = shared, names
        self.environment = {
            **environment,
            "ZACTOR_HOME": "/tmp/zactor",
            "TMPDIR": "/tmp",
            "PYTHONUNBUFFERED": "1",
            "PYTHONPATH": os.pathsep.join(
                filter(None, [f"/tmp/{_OWN}", environment.get("PYTHONPATH")])
            ),
            "LAB_HOST": spec.name,
        }
        kind = RealDisk if spec.has_real_disk else MemoryDisk
        self._disk: RealDisk | MemoryDisk = kind(self.disk, spec.disk_bytes)
        self._traces = MemoryDisk(self.traces, TRACE_BYTES)

    # -- on and off --------------------------------------------------------------------------
    def boot(self) -> None:
        """Begin it, with a boot id of its own."""
        lines = ["127.0.0.1 localhost", *(f"{a} {name}" for name, a in self._names.items()), ""]
        self._disk.restore()
        seen = self.disk / "trace"
        seen.mkdir(exist_ok=True)
        if not os.path.ismount(seen):
            syscalls.mount(str(self.traces), str(seen), "", syscalls.BIND)
        own = self.disk / _OWN
        own.mkdir(exist_ok=True)
        (own / "hosts").write_text("\n".join(lines))
        (own / "boot_id").write_text(f"{uuid.uuid4()}\n")
        shutil.copyfile(clock_shim.__file__, own / "sitecustomize.py")
        self.set_clock(0.0)
        self._disk.sync()
        ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self.pid = begin_host(
                HostSetUp(
                    name=self.spec.name,
                    disk=str(self.disk),
                    shared=self._shared,
                    files={
                        "/etc/hosts": f"/tmp/{_OWN}/hosts",
                        "/proc/sys/kernel/random/boot_id": f"/tmp/{_OWN}/boot_id",
                    },
                ),
                its,
            )
        ours.settimeout(ANSWER_S)
        self.control = ours
        self.boots += 1

    def power_off(self) -> None:
        """Kill everything there at once; return when it is gone."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        if self.control is not None:
            self.control.close()
            self.control = None

    def cut_power(self) -> None:
        """Kill everything there, as a power cut does: a real disk loses what wasn't synced."""
        self._disk.cut_power()
        self.power_off()
        if self.spec.has_real_disk:
            syscalls.unmount(str(self.disk / "trace"))
        self._disk.release()

    @property
    def is_on(self) -> bool:
        """Whether it has begun and wasn't crashed."""
        return self.pid != 0

    def ask(self, what: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Have its first process do something; return the answer.

        Raises:
            NoSuchThing: the host is off.
            OSError: it couldn't.
        """
        if self.control is None:
            raise NoSuchThing(f"host {self.spec.name} is off: `start {self.spec.name}` begins it")
        socket.send_fds(self.control, [json.dumps(what).encode()], list(descriptors))
        while True:
            said = self.hear()
            if said is None:
                raise OSError(errno.EPIPE, f"host {self.spec.name} has ended")
            if "answer" in said:
                answer: dict[str, Any] = said["answer"]
                if "error" in answer:
                    raise OSError(answer["error"])
                return answer

    def hear(self) -> dict[str, Any] | None:
        """Take what its first process says; ends of processes are noted. None: it is gone."""
        assert self.control is not None
        data = self.control.recv(CONTROL_BYTES_MAX)
        if not data:
            return None
        said: dict[str, Any] = json.loads(data)
        if "ended" in said:
            for process in self.processes.values():
                if process.number == said["ended"]:
                    process.code = said["code"]
        return said

    # -- processes ---------------------------------------------------------------------------
    def spawn(self, name: str, words: Sequence[str], *, has_trace: bool = False) -> LabProcess:
        """Start a process; what it says comes by `showing`.

        Raises:
            AlreadyExists: one of that name runs there.
        """
        before = self.processes.get(name)
        if before is not None and before.code is None:
            raise AlreadyExists(f"{name} runs on {self.spec.name} already")
        if len(self.processes) >= PROCESSES_MAX:
            raise ConfigError(f"{self.spec.name} has {PROCESSES_MAX} processes, which is the most")
        self._count += 1
        number = self.boots * 1_000_000 + self._count
        reading, typing = os.pipe()
        showing, writing = os.pipe()
        trace = {"ZACTOR_TRACE": "/tmp/trace"} if has_trace else {}
        try:
            answer = self.ask(
                {
                    "do": "spawn",
                    "number": number,
                    "words": list(words),
                    "folder": "/tmp",
                    "environment": {**self.environment, **trace},
                },
                [reading, writing, writing],
            )
        except BaseException:
            os.close(typing)
            os.close(showing)
            raise
        finally:
            os.close(reading)
            os.close(writing)
        os.set_blocking(typing, False)
        os.set_blocking(showing, False)
        made = LabProcess(number, name, list(words), answer["pid"], typing, showing)
        self.processes[name] = made
        return made

    def signal(self, number: int, name: str | None = None) -> None:
        """Send a signal to a process, or to everything there."""
        if name is None:
            self.ask({"do": "signal", "signal": number})
            return
        process = self.processes.get(name)
        if process is None or process.code is not None:
            raise NoSuchThing(f"no {name!r} runs on {self.spec.name}: {self._running()}")
        self.ask({"do": "signal", "signal": number, "pid": process.pid})

    def _running(self) -> str:
        names = [each.name for each in self.processes.values() if each.code is None]
        return f"it has {', '.join(names)}" if names else "nothing does"

    def type(self, name: str, text: str) -> None:
        """Type a line to a process."""
        process = self.processes.get(name)
        if process is None or process.typing < 0:
            raise NoSuchThing(f"no {name!r} takes input on {self.spec.name}: {self._running()}")
        try:
            os.write(process.typing, f"{text}\n".encode())
        except OSError as error:
            raise NoSuchThing(f"{name} takes no input: {error.strerror}") from None

    def read(self, process: LabProcess, tell: Callable[[str], None]) -> bool:
        """Tell the whole lines that a process said; return whether it may say more."""
        try:
            data = os.read(process.showing, LINE_BYTES_MAX)
        except BlockingIOError:
            return True
        *lines, process.shown = (process.shown + data).split(b"\n")
        if (not data and process.shown) or len(process.shown) > LINE_BYTES_MAX:
            lines.append(process.shown)
            process.shown = b""
        for line in lines:
            tell(line.decode("utf-8", "backslashreplace"))
        if not data:
            self.close_process(process)
        return bool(data)

    def close_process(self, process: LabProcess) -> None:
        """Close our ends of its pipes."""
        for descriptor in {process.typing, process.showing} - {-1}:
            os.close(descriptor)
        process.typing = process.showing = -1

    # -- disk and clock ----------------------------------------------------------------------
    def fill_disk(self, is_full: bool) -> None:
        """Let its disk hold no byte more than it does, or as much as it is to hold again."""
        self._disk.fill(is_full)

    def set_clock(self, wrong_by_s: float) -> None:
        """Let the wall clock of the host's Python programs go wrong."""
        with contextlib.suppress(OSError):  # no room
            file = self.disk / _OWN / clock_shim.CLOCK_FILE
            with file.open("r+b" if file.exists() else "wb") as opened:
                opened.write(struct.pack("d", wrong_by_s))

    @property
    def node(self) -> LabProcess | None:
        """The node or daemon that runs there by itself, if one was started."""
        return self.processes.get(NODE)
