"""The process of one actor: a runtime of its own with that actor, and its node at a socket.

Started by `actor_process.py`. The main thread reads what the node sends; the actor runs in a loop
of its own thread. The process ends with the node, however that ends.
"""

from __future__ import annotations

import asyncio
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
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from operator import methodcaller
from typing import Any

from zactor.kernel import forks
from zactor.kernel.actors.actor import Actor, reentrant_of
from zactor.kernel.actors.kept_state import check_restores, keeps_state
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
    RestoreActor,
    StartActor,
    ToProcess,
)
from zactor.kernel.runtime import lifecycle
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.cell_report import controls_of, kind_of, shown_by
from zactor.kernel.runtime.child_runtime import GONE, ChildRuntime, NodeAsker, NodeLink, leave
from zactor.kernel.runtime.envelope import Envelope, SharedPayload
from zactor.kernel.runtime.open_asks import may_let_in
from zactor.kernel.runtime.remoting import let_in
from zactor.kernel.wire.payload import check_policy, decode_value

_PDEATHSIG = 1  # of prctl


class Child:
    """What the node's messages do. Threads: the main one."""

    def __init__(self, link: NodeLink, memory_max: int | None) -> None:
        self._link = link
        self._memory_max = memory_max
        self._runtime: ChildRuntime | None = None
        self._cell: Cell | None = None
        self._begins: BeginActor | None = None
        self._make: Callable[[], Any] | None = None  # the actor; None: its code isn't loaded
        self._go = asyncio.Event()  # on_start may run

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
            case RestoreActor(state=state):
                self._spawn(partial(self._take_over, state))
            case StartActor():
                assert self._runtime is not None
                self._runtime.shared.post(self._go.set)
            case EndActor(reason=reason):
                self._end(reason)
            case LookAtPanel():
                self._look()

    def _begin(self, message: BeginActor) -> None:
        if message.paths:
            sys.path[:] = message.paths
        runtime = self._runtime = ChildRuntime(
            self._link, message.node, check_policy(message.policy), self._memory_max
        )
        runtime.start()
        self._begins = message
        if message.waits:
            runtime.shared.post(self._load)
        else:
            self._spawn(methodcaller("on_start"))

    def _load(self) -> None:
        """Load the code before it is needed."""
        try:
            self._loaded()
        except BaseException as error:
            failure = _as_failure(error, trace_of(error), "__init__")
            self._link.send(ActorBegun(*to_wire(failure)))
        else:
            self._link.send(ActorBegun())

    def _loaded(self) -> Callable[[], Any]:
        """Return what makes the actor. In the actor's loop, as all that runs users' code."""
        if self._make is None:
            assert self._begins is not None
            _limit_memory(self._memory_max)
            self._make = pickle.loads(self._begins.recipe)
        return self._make

    def _make_actor(self) -> Any:
        return self._loaded()()

    async def _take_over(self, state: bytes | None, actor: Actor) -> None:
        """Take over what the former process handed over, and run on_start when that has ended."""
        runtime = self._runtime
        assert runtime is not None
        if state is not None:
            check_restores(actor, actor.name)
            restore: Callable[[Any], Any] = actor.restore  # type: ignore[attr-defined]  # checked
            restored = restore(decode_value(state, (), runtime.policy))
            if isinstance(restored, Coroutine):
                await restored
        self._link.send(ActorBegun())
        await self._go.wait()
        waiting = actor.on_start()
        if isinstance(waiting, Coroutine):
            await waiting

    def _spawn(self, begin: Callable[[Actor], Any]) -> None:
        message, runtime = self._begins, self._runtime
        assert message is not None, "nothing begins yet"
        assert runtime is not None, "nothing begins yet"
        blueprint = Blueprint(
            name=message.name,
            uid=message.uid,
            type=message.type,
            build=self._make_actor,
            begin=begin,
        )
        started = runtime.spawn(blueprint)
        self._cell = runtime.directory.cells.get(message.uid)
        started.add_done_callback(self._begun)

    def _begun(self, started: Future[None]) -> None:
        error = started.exception()
        cell = self._cell
        if error is None:
            keeps = cell is not None and cell.actor is not None and keeps_state(type(cell.actor))
            signals, actions, _ = kind_of(cell)
            controls = [] if cell is None else controls_of(type(cell.actor))
            lets_in = frozenset() if cell is None else reentrant_of(type(cell.actor))
            begun = ActorBegun("", "", {}, signals, actions, controls, keeps, lets_in)
            self._link.send(begun)
            return
        frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(error.__traceback__)]
        action = next((name for name in ("on_start", "restore") if name in frames), "__init__")
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
        if cell.waits_for is not None and may_let_in(cell, message.action):
            let_in(cell, envelope)

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
