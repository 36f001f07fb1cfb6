"""The warden: one process that holds a lab up, and with whose end everything of it ends.

It is process 1 of a namespace of processes and lives in mounts and a network of its own, so the
kernel takes all of it down with it, also after kill -9: hosts, cables, mounts and files. It answers
at an abstract socket, which is no file either. `python -m zactor.lab.warden SOCKET`: what to build
comes as a line of JSON on its input; until a second line comes, it ends when its input does.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import selectors
import shlex
import signal
import socket
import sys
import time
import traceback
from typing import Any

from zactor.kernel.errors import EXIT_NOT_REACHABLE, ConfigError, NoSuchThing, ZactorError
from zactor.lab import syscalls
from zactor.lab.cabling import Cabling
from zactor.lab.faults import PROCESS_WORDS, USAGES, Faults, change, host_of
from zactor.lab.host import HOSTS_FOLDER, Host, LabProcess
from zactor.lab.journal import Journal, TraceReader
from zactor.lab.topology import NODE, HostSpec
from zactor.lab.usage import usage_of

REQUEST_BYTES_MAX = 1 << 20
SPEC_BYTES = 65_536
STARTED_S = 60.0  # in which nodes that begin together may miss each other
_NAMESPACES = ("net", "uts", "mnt", "ipc", "pid")  # in the order in which one enters them


class Warden:
    """Serves one lab."""

    def __init__(self, spec: dict[str, Any], listener: socket.socket) -> None:
        """Build the hosts; nothing runs there yet."""
        self._selector = selectors.DefaultSelector()
        self._listener = listener
        self._is_rootless = spec["is_rootless"]
        self.is_kept = False
        self.is_over = False
        hosts = [HostSpec(**{**row, "run": tuple(row["run"])}) for row in spec["hosts"]]
        names = {host.name: host.address for host in hosts}
        self.hosts = {
            host.name: Host(
                host,
                number,
                shared=spec["shared"],
                environment=spec["environment"],
                names=names,
            )
            for number, host in enumerate(hosts, 1)
        }
        self.faults = Faults(tuple(names))
        self.journal = Journal()
        self.journal.add("did", line=f"lab {spec['what']}")
        self._early_until = time.monotonic() + STARTED_S
        self._silent: list[tuple[Host, LabProcess]] = []  # their outputs have ended
        self._traces = TraceReader({name: host.traces for name, host in self.hosts.items()})
        self._python = spec["python"]
        self._contents = {name: base64.b64decode(text) for name, text in spec["contents"].items()}
        self._cabling = Cabling(self.hosts, spec["seed"])
        for host in self.hosts.values():
            self._furnish(host)
            self._boot(host)
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, self._hear_beginner)

    def _furnish(self, host: Host) -> None:
        """Copy keys and files to its disk."""
        for name, content in self._contents.items():
            if name.startswith("zactor/") or name in host.spec.files:
                target = host.disk / name
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                target.write_bytes(content)
                target.chmod(0o600 if name.startswith("zactor/") else 0o644)
        with contextlib.suppress(FileNotFoundError):
            (host.disk / "zactor").chmod(0o700)

    def _boot(self, host: Host) -> None:
        host.boot()
        self._cabling.plug(host)
        assert host.control is not None
        self._selector.register(host.control, selectors.EVENT_READ, host.hear)

    def _power_off(self, host: Host) -> None:
        if host.control is not None:
            self._selector.unregister(host.control)
        self._cabling.unplug(host)
        host.cut_power()
        for process in host.processes.values():
            if process.code is None:
                process.code = -signal.SIGKILL
            while process.showing >= 0:
                self._read(host, process)

    # -- the loop ----------------------------------------------------------------------------
    def run(self) -> None:
        """Serve until it is over."""
        while not self.is_over:
            for key, _ in self._selector.select():
                if key.fileobj in self._selector.get_map():  # what came before may have ended it
                    key.data()
                    self._tell_ends()

    def _hear_beginner(self) -> None:
        """Who began us says that we are to stay, or has gone."""
        data = os.read(0, 4096)
        self.is_kept = self.is_kept or bool(data)
        if not data:
            self._selector.unregister(0)
            self.is_over = not self.is_kept

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            asking, _ = self._listener.accept()
            credentials = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
            user = int.from_bytes(credentials[4:8], sys.byteorder)
            if user != os.getuid():
                asking.close()
                return
            asking.settimeout(5.0)
            with asking:
                data = b""
                while not data.endswith(b"\n") and len(data) < REQUEST_BYTES_MAX:
                    more = asking.recv(65_536)
                    if not more:
                        return
                    data += more
                self._answer(asking, json.loads(data))

    def _answer(self, asking: socket.socket, asked: dict[str, Any]) -> None:
        descriptors: list[int] = []
        try:
            answer = self._do(asked, descriptors)
        except ZactorError as error:
            answer = {"error": str(error), "class": type(error).__name__}
        except OSError as error:
            answer = {"error": str(error), "class": "ZactorError"}
        data = json.dumps(answer).encode() + b"\n"
        if descriptors:
            socket.send_fds(asking, [data], descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            asking.sendall(data)

    def _do(self, asked: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        match asked["do"]:
            case "line":
                self.obey(list(asked["words"]))
                return {}
            case "spawn":
                self.spawn(asked["host"], asked["name"], asked["words"])
                return {}
            case "type":
                self.journal.add(
                    "did", line=f"type {asked['host']} {asked['name']} {asked['text']}"
                )
                self._host(asked["host"]).type(asked["name"], asked["text"])
                return {}
            case "note":
                self.journal.add("did", line=asked["line"])
                return {}
            case "seen":
                self._traces.read_into(self.journal)
                rows, first = self.journal.since(asked["since"])
                return {"rows": rows, "next": first + len(rows)}
            case "hosts":
                self._traces.read_into(self.journal)
                return {"hosts": [self._row(host) for host in self.hosts.values()]}
            case "faults":
                return {"faults": self.faults.told(), "carried_by": self._cabling.mechanism}
            case "usage":
                running = {name: host.pid for name, host in self.hosts.items() if host.is_on}
                return {"rows": usage_of(running)}
            case "files":
                host = self._host(asked["host"])
                return {"names": sorted(file.name for file in host.traces.iterdir())}
            case "open":
                host = self._host(asked["host"])
                folder = host.traces if asked["is_trace"] else host.disk
                descriptors.append(os.open(folder / asked["path"], os.O_RDONLY))
                return {}
            case "enter":
                return self._enter(self._host(asked["host"]), descriptors)
            case "down":
                self._end_hosts()
                self.is_over = True
                return {}
            case other:
                raise ConfigError(f"a lab can't {other!r}")

    def _end_hosts(self) -> None:
        for host in self.hosts.values():
            host.power_off()

    # -- what it is asked --------------------------------------------------------------------
    def _host(self, name: str) -> Host:
        return self.hosts[host_of(list(self.hosts), name)]

    def obey(self, words: list[str]) -> None:
        """Do what a line of faults says."""
        if not words:
            raise ConfigError("nothing is said")
        self.journal.add("did", line=" ".join(words))
        if words[0] in PROCESS_WORDS:
            self._change_processes(words)
            return
        was_frozen, were_full = set(self.faults.frozen), set(self.faults.full)
        clocks = dict(self.faults.clock_s)
        change(self.faults, words)
        self._cabling.apply(self.faults)
        for name, host in self.hosts.items():
            if host.is_on and (name in was_frozen) != (name in self.faults.frozen):
                host.signal(signal.SIGSTOP if name in self.faults.frozen else signal.SIGCONT)
            if name in were_full or name in self.faults.full:
                host.fill_disk(name in self.faults.full)
            if clocks.get(name) != self.faults.clock_s.get(name):
                host.set_clock(self.faults.clock_s.get(name, 0.0))

    def _change_processes(self, words: list[str]) -> None:
        word, rest = words[0], words[1:]
        if not rest or len(rest) > (2 if word == "kill" else 1):
            raise ConfigError(f"want `{USAGES[word]}`")
        host = self._host(rest[0])
        if word == "kill":
            host.signal(signal.SIGKILL, rest[1] if len(rest) > 1 else NODE)
        elif word == "crash":
            if not host.is_on:
                raise NoSuchThing(f"host {rest[0]} is off already")
            self.faults.frozen.discard(rest[0])
            self._power_off(host)
        else:
            self.start(host)

    def start(self, host: Host) -> None:
        """Begin a host that is off, and what runs there by itself."""
        if not host.is_on:
            self._boot(host)
            self._cabling.apply(self.faults)
            host.set_clock(self.faults.clock_s.get(host.spec.name, 0.0))
        if host.spec.run:
            words = [self._python, "-P", "-m", "zactor", *host.spec.run]
            self._began(host, host.spawn(NODE, words, has_trace=True))

    def spawn(self, name: str, process: str, words: list[str]) -> None:
        """Start a process that stays, on a host."""
        host = self._host(name)
        self.journal.add("did", line=f"spawn {name} {process} {shlex.join(words)}")
        if words[:1] == ["zactor"]:
            words = [self._python, "-P", "-m", *words]
        self._began(host, host.spawn(process, words))

    def _began(self, host: Host, process: LabProcess) -> None:
        self._selector.register(
            process.showing, selectors.EVENT_READ, lambda: self._read(host, process)
        )

    def _read(self, host: Host, process: LabProcess) -> None:
        showing = process.showing

        def tell(line: str) -> None:
            self.journal.add("said", host=host.spec.name, name=process.name, text=line)

        if not host.read(process, tell):
            self._selector.unregister(showing)
            self._silent.append((host, process))
            self._tell_ends()

    def _tell_ends(self) -> None:
        """Tell who has said all and has ended: only then may another have its name."""
        for host, process in list(self._silent):
            if process.code is not None:
                self._silent.remove((host, process))
                self.journal.add("ended", host=host.spec.name, name=process.name)
                self._start_again(host, process)

    def _start_again(self, host: Host, node: LabProcess) -> None:
        """Whom it was to join hadn't begun yet: the machine is busy, and all begin at once."""
        is_too_soon = node.code == EXIT_NOT_REACHABLE and time.monotonic() < self._early_until
        if is_too_soon and node is host.node and host.is_on:
            self.start(host)

    def _row(self, host: Host) -> dict[str, Any]:
        name = host.spec.name
        node = host.node
        state = "off"
        if host.is_on:
            state = "frozen" if name in self.faults.frozen else "up"
        runs = "-"
        if node is not None:
            runs = "running" if node.code is None else f"ended {node.code}"
        is_running = host.is_on and runs == "running"
        return {
            "host": name,
            "address": host.spec.address,
            "state": state,
            "node": runs,
            "reaches": [
                other
                for other, there in self.hosts.items()
                if other != name and host.is_on and there.is_on and self.faults.reaches(name, other)
            ],
            "view": self._traces.views.get(name, []) if is_running else [],
            "processes": [each.name for each in host.processes.values() if each.code is None],
        }

    def _enter(self, host: Host, descriptors: list[int]) -> dict[str, Any]:
        if not host.is_on:
            raise NoSuchThing(f"host {host.spec.name} is off: `start {host.spec.name}` begins it")
        kinds = (["user"] if self._is_rootless else []) + list(_NAMESPACES)
        for kind in kinds:
            of = "self" if kind == "user" else str(host.pid)
            descriptors.append(os.open(f"/proc/{of}/ns/{kind}", os.O_RDONLY))
        return {"kinds": kinds, "environment": host.environment}


def _enter_own_world(spec: dict[str, Any]) -> None:
    """Go on as process 1 in namespaces of our own, with nothing in /tmp but what is shared."""
    if spec["is_rootless"]:
        syscalls.become_root_of_own_users()
    syscalls.unshare(
        syscalls.NEW_PROCESSES
        | syscalls.NEW_NETWORK
        | syscalls.NEW_MOUNTS
        | syscalls.NEW_IPC
        | syscalls.NEW_HOST_NAME
    )
    if os.fork():
        os._exit(0)
    syscalls.keep_mounts_to_ourselves()
    syscalls.mount_over("/tmp", "tmpfs", spec["shared"], "mode=1777,size=90%")
    syscalls.mount("proc", "/proc", "proc")
    HOSTS_FOLDER.mkdir()


def main() -> None:
    """Run as `python -m zactor.lab.warden SOCKET`."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    data = b""
    while not data.endswith(b"\n"):  # unbuffered: what comes behind it is heard later
        data += os.read(0, SPEC_BYTES) or sys.exit("nothing is to be built")
    spec = json.loads(data)
    try:
        _enter_own_world(spec)
        warden = Warden(spec, listener)
        if spec["is_started"]:
            for host in warden.hosts.values():
                if host.spec.run:
                    warden.start(host)
    except (OSError, ZactorError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        sys.exit(1)
    print(json.dumps({"pid": os.getpid()}), flush=True)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        if not os.environ.get("ZACTOR_DEBUG"):
            os.dup2(nothing.fileno(), 2)
    try:
        warden.run()
    except BaseException:
        traceback.print_exc()
        raise


if __name__ == "__main__":
    main()
