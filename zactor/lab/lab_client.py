"""Begins labs and speaks with their wardens: what the shell, stories and tests do with a lab.

There is one lab for each home and user: its warden answers at an abstract socket named by both.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from zactor.kernel import errors
from zactor.kernel.errors import (
    AlreadyExists,
    NoSuchThing,
    NotReachable,
    Refused,
    TimedOut,
    ZactorError,
)
from zactor.lab import syscalls
from zactor.lab.topology import Topology

BEGIN_S = 60.0  # until the hosts are there; much, for busy machines and a hundred of them
ASK_S = 30.0
FORMED_S = 60.0
POLL_S = 0.02
REPLY_BYTES_MAX = 64 << 20
_KINDS = {
    "user": syscalls.NEW_USER,
    "net": syscalls.NEW_NETWORK,
    "uts": syscalls.NEW_HOST_NAME,
    "mnt": syscalls.NEW_MOUNTS,
    "ipc": syscalls.NEW_IPC,
    "pid": syscalls.NEW_PROCESSES,
}
_CANNOT_RUN = 127


def _address(home: Path) -> str:
    digest = hashlib.blake2b(os.fsencode(home), digest_size=8).hexdigest()
    return f"\0zactor-lab-{os.geteuid()}-{digest}"


def why_not() -> str:
    """Why this machine and this user can have no lab, and what to do; "" if they can."""
    if not sys.platform.startswith("linux"):
        return "a lab is made of Linux's namespaces, and this is no Linux"
    if shutil.which("ip") is None:
        return "the command `ip` is not there: install iproute2"
    done = subprocess.run(
        [sys.executable, "-P", "-c", _PROBE],
        capture_output=True,
        text=True,
        timeout=ASK_S,
        check=False,
    )
    if done.returncode == 0:
        return ""
    said = done.stderr.strip().splitlines()[-1:] or ["no reason"]
    who = "root of this container" if os.geteuid() == 0 else "this user"
    return (
        f"{who} may make no namespaces ({said[0]}): run it as root"
        " (in a container: with --privileged), or allow user namespaces"
        " (sysctl kernel.unprivileged_userns_clone=1, and"
        " kernel.apparmor_restrict_unprivileged_userns=0 where there is such a setting)"
    )


_PROBE = """
import os
from zactor.lab import syscalls
if os.geteuid():
    syscalls.become_root_of_own_users()
syscalls.unshare(syscalls.NEW_NETWORK | syscalls.NEW_MOUNTS | syscalls.NEW_PROCESSES)
syscalls.keep_mounts_to_ourselves()
"""


class LabClient:
    """One lab, by its home. Threads: any, one request at a time each."""

    def __init__(self, home: Path) -> None:
        """Nothing happens yet."""
        self._home = home
        self._address = _address(home)
        self._lifeline: subprocess.Popen[bytes] | None = None  # the lab ends with us

    # -- beginning and end -------------------------------------------------------------------
    def begin(
        self,
        topology: Topology,
        *,
        files: Mapping[str, bytes] | None = None,
        what: str = "",
        seed: int = 0,
        are_started: bool = True,
    ) -> None:
        """Build a lab and start what its hosts run; it ends when we do, unless `keep` says else.

        Args:
            files: {name: content} of those that the topology names.
            what: how a story says it; "": the number of hosts.
            seed: of what chance decides: lost, late and doubled frames.

        Raises:
            AlreadyExists: this home has a lab.
            Refused: this machine or user can have none.
        """
        listener = socket.socket(socket.AF_UNIX)
        with listener:
            try:
                listener.bind(self._address)
            except OSError:
                raise AlreadyExists("this home has a lab already: `zactor lab down`") from None
            listener.listen(64)
            self._lifeline = subprocess.Popen(
                # -P: a file of the current folder must not take the place of a module
                [sys.executable, "-P", "-m", "zactor.lab.warden", str(listener.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("ZACTOR_DEBUG") else subprocess.DEVNULL,
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        spec = {
            "hosts": [dataclasses.asdict(host) for host in topology.hosts],
            "contents": {
                name: base64.b64encode(content).decode()
                for name, content in {**_keys(), **(files or {})}.items()
            },
            "seed": seed,
            "what": what or str(len(topology.hosts)),
            "is_rootless": os.geteuid() != 0,
            "is_started": are_started,
            "shared": _shared(),
            "environment": _environment(self._home),
            "python": sys.executable,
        }
        try:
            self._tell(spec)
        except BaseException:
            self.close()
            raise

    def _tell(self, spec: Mapping[str, Any]) -> None:
        assert self._lifeline is not None
        assert self._lifeline.stdin is not None
        assert self._lifeline.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._lifeline.stdin.write(json.dumps(spec).encode() + b"\n")
            self._lifeline.stdin.flush()
        line = self._lifeline.stdout.readline()
        said = json.loads(line) if line else {"error": why_not() or "its warden has ended"}
        if "error" in said:
            raise Refused(f"no lab: {why_not() or said['error']}")

    def keep(self) -> None:
        """Let the lab outlive us."""
        assert self._lifeline is not None
        assert self._lifeline.stdin is not None
        self._lifeline.stdin.write(b"keep\n")
        self._lifeline.stdin.flush()
        self._let_go()

    def _let_go(self) -> None:
        if self._lifeline is not None:
            for pipe in (self._lifeline.stdin, self._lifeline.stdout):
                assert pipe is not None
                with contextlib.suppress(OSError):
                    pipe.close()
            self._lifeline.wait(ASK_S)
            self._lifeline = None

    def down(self) -> None:
        """End the lab; return when nothing of it is left.

        Raises:
            NoSuchThing: there is none.
        """
        with self._connect() as asking:
            _request(asking, {"do": "down"})
            asking.settimeout(ASK_S)
            with contextlib.suppress(OSError):
                asking.recv(1)
        self._await_end()

    def _await_end(self) -> None:
        """Its socket is gone with the warden, and the warden after all that it held."""
        until = time.monotonic() + ASK_S
        while time.monotonic() < until:
            try:
                self._connect().close()
            except NoSuchThing:
                return
            time.sleep(POLL_S)
        raise TimedOut(f"the lab is still there after {ASK_S:g} s")

    def close(self) -> None:
        """End the lab if it isn't kept."""
        if self._lifeline is not None:
            with contextlib.suppress(ZactorError, OSError):
                self.down()
            self._let_go()

    # -- requests ----------------------------------------------------------------------------
    def _connect(self) -> socket.socket:
        asking = socket.socket(socket.AF_UNIX)
        asking.settimeout(ASK_S)
        try:
            asking.connect(self._address)
        except OSError:
            asking.close()
            raise NoSuchThing("this home has no lab: `zactor lab up` makes one") from None
        return asking

    def ask(self, do: str, **what: object) -> dict[str, Any]:
        """Ask the warden; return its answer.

        Raises:
            NoSuchThing: there is no lab, no such host, or no such process.
        """
        with self._connect() as asking:
            return _request(asking, {"do": do, **what})[0]

    def obey(self, *words: str) -> None:
        """Bring about or heal a fault, as a line says it."""
        self.ask("line", words=words)

    def hosts(self) -> list[dict[str, Any]]:
        """Return a row for each host."""
        rows: list[dict[str, Any]] = self.ask("hosts")["hosts"]
        return rows

    def spawn(self, host: str, name: str, *words: str) -> None:
        """Start a process that stays; what it says is in the journal."""
        self.ask("spawn", host=host, name=name, words=words)

    def type(self, host: str, name: str, text: str) -> None:
        """Type a line to a process."""
        self.ask("type", host=host, name=name, text=text)

    def seen(self, since: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the journal from entry `since` on, and the number of the next."""
        answer = self.ask("seen", since=since)
        return answer["rows"], answer["next"]

    def read(self, host: str, path: str) -> bytes:
        """Return the content of a file of a host, named by its path in /tmp."""
        return self._open(host, path, is_trace=False)

    def traces(self, host: str) -> dict[str, bytes]:
        """Return the event logs of the lives of a host's node: {file: content}."""
        names = self.ask("files", host=host)["names"]
        return {name: self._open(host, name, is_trace=True) for name in names}

    def _open(self, host: str, path: str, *, is_trace: bool) -> bytes:
        with self._connect() as asking:
            what = {"do": "open", "host": host, "path": path, "is_trace": is_trace}
            _, (descriptor,) = _request(asking, what)
        with os.fdopen(descriptor, "rb") as file:
            return file.read()

    def wait_formed(
        self, seconds: float = FORMED_S, tell: Callable[[str], None] = lambda _: None
    ) -> float:
        """Wait until all nodes that run have one view of all of them; return how long that took.

        Raises:
            NotReachable: one has ended.
            TimedOut: they have not; says who has which view.
        """
        began = time.monotonic()
        while True:
            rows = [row for row in self.hosts() if row["node"] != "-"]
            views = [sorted(row["view"]) for row in rows]
            for row in rows:
                if row["node"].startswith("ended"):
                    raise NotReachable(
                        f"the node of {row['host']} {row['node']}: {self._last(row)}"
                    )
            if all(view == views[0] and len(view) == len(rows) for view in views):
                return time.monotonic() - began
            if time.monotonic() - began > seconds:
                shown = ", ".join(f"{row['host']}: {' '.join(row['view'])}" for row in rows)
                raise TimedOut(f"no view of all hosts in {seconds:g} s: {shown}")
            tell(f"{sum(len(view) == len(rows) for view in views)} of {len(rows)} hosts are one")
            time.sleep(POLL_S)

    def _last(self, row: Mapping[str, Any]) -> str:
        rows, _ = self.seen()
        said = [
            entry["text"]
            for entry in rows
            if entry["what"] == "said" and entry["host"] == row["host"]
        ]
        return said[-1] if said else "it said nothing"

    # -- inside ------------------------------------------------------------------------------
    def run_on(self, host: str, words: Sequence[str]) -> int:
        """Run a command on a host, at our terminal; return its exit code, as a shell's.

        This process is on that host from then on. Threads: there is no other.
        """
        with self._connect() as asking:
            answer, descriptors = _request(asking, {"do": "enter", "host": host})
        for kind, descriptor in zip(answer["kinds"], descriptors, strict=True):
            syscalls.enter(descriptor, _KINDS[kind])
            os.close(descriptor)
        child = os.fork()
        if not child:
            _become(list(words), answer["environment"])
        for number in (signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)  # the command's own business
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        return code if code >= 0 else 128 - code


def _become(words: list[str], environment: Mapping[str, str]) -> NoReturn:
    try:
        syscalls.die_with_parent()
        os.chdir("/tmp")
        if words[0] == "zactor":
            words = [sys.executable, "-P", "-m", *words]
        terminal = {name: os.environ[name] for name in ("TERM", "COLUMNS") if name in os.environ}
        os.execvpe(words[0], words, {**environment, **terminal})
    except OSError as error:
        os.write(2, f"zactor: {words[0]}: {error.strerror}\n".encode())
    os._exit(_CANNOT_RUN)


def _request(asking: socket.socket, what: Mapping[str, object]) -> tuple[dict[str, Any], list[int]]:
    asking.sendall(json.dumps(what).encode() + b"\n")
    data, descriptors, _, _ = socket.recv_fds(asking, 1 << 16, 8)
    while data and not data.endswith(b"\n") and len(data) < REPLY_BYTES_MAX:
        more = asking.recv(1 << 20)
        if not more:
            break
        data += more
    if not data.endswith(b"\n"):
        raise NotReachable("the lab's warden has ended")
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        kind = getattr(errors, answer["class"], ZactorError)
        raise kind(answer["error"])
    return answer, list(descriptors)


def _keys() -> dict[str, bytes]:
    """Return the files of new keys: a lab is a cluster of its own, which mixes with no other."""
    from zactor.kernel.transport.keys import cluster_keys

    with tempfile.TemporaryDirectory(prefix="zactor-lab-") as folder:
        cluster_keys(Path(folder))
        return {
            f"zactor/{file.relative_to(folder)}": file.read_bytes()
            for file in Path(folder).rglob("*")
            if file.is_file()
        }


def _shared() -> list[str]:
    """Return the folders in /tmp in which Python and we ourselves lie, if they do."""
    ours = Path(__file__).resolve().parents[1]
    wanted = {sys.prefix, sys.base_prefix, str(ours.parent), *sys.path}
    for path in list(wanted):
        wanted.add(os.path.realpath(path) if path else "")
    found = sorted(path for path in wanted if path.startswith("/tmp/") and os.path.isdir(path))
    return [
        path
        for path in found
        if not any(path != other and path.startswith(f"{other}/") for other in found)
    ]


def _environment(home: Path) -> dict[str, str]:
    """Return ours as processes of hosts get it; `ZACTOR_LAB` in it tells of which lab they are."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ZACTOR_TRACE", "ZACTOR_HOME", "PYTEST", "COV"))
    }
    search = f"{os.path.dirname(sys.executable)}:{os.environ.get('PATH', os.defpath)}"
    return {**ours, "PATH": search, "ZACTOR_LAB": str(home)}
