"""The process of one actor: a runtime of its own with that actor, and its node at a socket.

Started by `actor_process.py`. The main thread reads what the node sends; the actor runs in a loop
of its own thread. The process ends with the node, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import pickle
import resource
import signal
import socket
import sys
import traceback
from concurrent.futures import Future
from typing import Any

from zactor.kernel import forks
from zactor.kernel.actors.user_errors import trace_of
from zactor.kernel.errors import (
    ConfigError,
    NotDelivered,
    RemoteActionError,
    text_of,
    to_wire,
)
from zactor.kernel.messages.actor_process import (
    ActorBegun,
    ActorEnded,
    AnswerOutcome,
    BeginActor,
    EndActor,
    HandleMessage,
    LookAtPanel,
    PanelShown,
    ToProcess,
)
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.cell_report import controls_of, kind_of, shown_by
from zactor.kernel.runtime.child_runtime import GONE, ChildRuntime, NodeAsker, NodeLink, leave
from zactor.kernel.runtime.envelope import Envelope, SharedPayload
from zactor.kernel.wire.payload import (
    check_policy,
)

_PDEATHSIG = 1  # of prctl


class Child:
    """What the node's messages do. Threads: the main one."""

    def __init__(self, link: NodeLink, memory_max: int | None) -> None:
        self._link = link
        self._memory_max = memory_max
        self._runtime: ChildRuntime | None = None
        self._cell: Cell | None = None

    def take(self, message: ToProcess) -> None:
        """Do what the node says."""
        match message:
            case BeginActor():
                self._begin(message)
            case HandleMessage():
                self._handle(message)
            case AnswerOutcome():
                assert self._runtime is not None
                self._runtime.answered(message)
            case EndActor(reason=reason):
                self._end(reason)
            case LookAtPanel():
                self._look()

    def _begin(self, message: BeginActor) -> None:
        sys.path[:] = message.paths
        runtime = self._runtime = ChildRuntime(
            self._link, message.node, check_policy(message.policy), self._memory_max
        )
        runtime.start()

        def build() -> Any:
            _limit_memory(self._memory_max)
            make = pickle.loads(message.recipe)
            return make()

        blueprint = Blueprint(name=message.name, uid=message.uid, type=message.type, build=build)
        started = runtime.spawn(blueprint)
        self._cell = runtime.directory.cells.get(message.uid)
        started.add_done_callback(self._begun)

    def _begun(self, started: Future[None]) -> None:
        error = started.exception()
        if error is None:
            signals, actions, _ = kind_of(self._cell)
            controls = [] if self._cell is None else controls_of(type(self._cell.actor))
            begun = ActorBegun(signals=signals, actions=actions, controls=controls)
            self._link.send(begun)
            return
        frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        action = "on_start" if "on_start" in frames else "__init__"
        self._link.send(ActorBegun(*to_wire(_as_failure(error, trace_of(error), action))))

    def _handle(self, message: HandleMessage) -> None:
        runtime, cell = self._runtime, self._cell
        assert runtime is not None
        what = f"{'' if cell is None else cell.name}.{message.action}"
        asker = NodeAsker(runtime, message.number, message.is_plain, what)
        if cell is None:
            asker.set_error(NotDelivered("the actor isn't here"))
            return
        payload = SharedPayload(message.payload, message.buffers, None, 0, 0)
        envelope = Envelope(
            message.action, asker=asker, shared_payload=payload, hook=message.is_hook
        )
        cell.put(envelope, None)

    def _look(self) -> None:
        runtime, cell = self._runtime, self._cell
        assert runtime is not None
        assert cell is not None, "only an actor that has begun is looked at"

        def tell() -> None:
            _, values = shown_by(cell) or ([], {})
            self._link.send(PanelShown(values))

        runtime.shared.post(tell)

    def _end(self, reason: str) -> None:
        cell = self._cell
        if cell is None:
            self._link.send(ActorEnded())
            leave(0)
            return
        ended = lifecycle.request_end(cell, reason, at_once=True)
        ended.add_done_callback(self._ended)

    def _ended(self, ended: Future[str | None]) -> None:
        error = ended.exception()
        kind = () if error is None else to_wire(_as_failure(error, trace_of(error), "on_stop"))
        self._link.send(ActorEnded(*kind))
        leave(0)


def _as_failure(error: BaseException, trace: str, action: str) -> BaseException:
    """What user code raised, so that its class and traceback arrive."""
    if isinstance(error, ConfigError | NotDelivered | RemoteActionError):
        return error
    return RemoteActionError(
        text_of(error), remote_type=type(error).__name__, traceback=trace, action=action
    )


def _end_with(parent: int) -> None:
    """Have the process killed when its node is gone, though it may hold the interpreter."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(GONE)


def _limit(words: str) -> int | None:
    """Obey the limits; return that of memory, in bytes."""
    memory, cpu, files = (int(each) if each else None for each in words.split(","))
    if cpu is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 1))
    if files is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    return memory


def _limit_memory(allowed: int | None) -> None:
    """From now on there may be so much more data than there is: threads and modules don't count."""
    if allowed is None:
        return
    with open("/proc/self/status") as file:
        found = next(line for line in file if line.startswith("VmData:"))
    most = int(found.split()[1]) * 1024 + allowed
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main(arguments: list[str]) -> None:
    """Run the actor's process: `FD PARENT MEMORY,CPU,FILES`."""
    number, parent, limit = arguments
    _end_with(int(parent))
    faulthandler.enable(all_threads=False)
    connection = socket.socket(fileno=int(number))
    connection.set_inheritable(False)
    forks.keep_private(connection.fileno())
    memory_max = _limit(limit)
    link = NodeLink(connection)
    child = Child(link, memory_max)
    for message in link.messages():
        child.take(message)
    leave(GONE)  # the node is gone


if __name__ == "__main__":
    main(sys.argv[1:])
