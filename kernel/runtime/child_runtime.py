"""The runtime in the process of an actor: its one cell, whose world is the node at a socket."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from zactor.kernel import limits
from zactor.kernel.actors.actor import reentrant_of
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    ConfigError,
    NotDelivered,
    RemoteActionError,
    from_wire,
    text_of,
    to_wire,
)
from zactor.kernel.messages.actor_process import (
    AnswerOutcome,
    AskAwaited,
    AskFrom,
    AskWithdrawn,
    EmitFrom,
    FromProcess,
    GroupFrom,
    Handled,
    ProcessFailed,
    StopFrom,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.open_asks import awaited_ask
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.runtime.traced_cell import RelayTracer, TracedCell
from zactor.kernel.wire.payload import (
    decode_value,
    encode_plain,
    encode_whole_call,
    encode_whole_value,
)
from zactor.kernel.wire.process_frames import frame_of, to_process
from zactor.kernel.wire.traced import marked

_READ_BYTES = 1 << 18
GONE = 70  # exit code of one whose node is gone: nobody sees it


class NodeLink:
    """The way to the node. Threads: `send` by any."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()

    def send(self, message: FromProcess) -> None:
        """Send it; waits while the node takes nothing, since it can't keep pace."""
        data = frame_of(message)
        with self._lock:
            try:
                self._connection.sendall(data)
            except OSError:  # the node is gone
                os._exit(GONE)

    def messages(self) -> Any:
        """Yield what the node sends, until it is gone."""
        reader = to_process()
        while data := self._receive():
            yield from reader.feed(data)

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(_READ_BYTES)
        except OSError:
            return b""


class ChildRoute:
    """A signal of the actor: the node knows who reacts."""

    def __init__(self, link: NodeLink, action: str, runtime: ChildRuntime) -> None:
        self._link = link
        self._action = action
        self._runtime = runtime

    def emit(self, *args: Any) -> None:
        """See Emitter."""
        payload = self._runtime.encoded(args, {})
        self._link.send(EmitFrom(self._action, payload))


class ChildMember:
    """The actor as a member of groups: see GroupMember."""

    def __init__(self, runtime: ChildRuntime) -> None:
        self._runtime = runtime

    def join(self, group: str) -> Reply[None]:
        """See Actor.join."""
        return self._ask("join", (group,))

    def leave(self, group: str) -> Reply[None]:
        """See Actor.leave."""
        return self._ask("leave", (group,))

    def multicast(self, groups: Any, value: Any, service: Service, discard: bool) -> Reply[None]:
        """See Actor.multicast."""
        names = (groups,) if isinstance(groups, str) else tuple(groups)
        payload = marked(encode_whole_value(value, self._runtime.policy))
        return self._ask("multicast", names, payload, service.value, discard)

    def _ask(
        self,
        what: str,
        groups: tuple[str, ...],
        payload: bytes = b"",
        service: str = "",
        discard: bool = False,
    ) -> Reply[None]:
        reply: Reply[None]
        number, reply = self._runtime.expect("groups", what)
        self._runtime.link.send(GroupFrom(number, what, groups, payload, service, discard))
        return reply


class ChildCell(TracedCell):
    """The cell of the actor: what goes out of it goes to the node."""

    __slots__ = ("_child_runtime", "_ways")

    def __init__(self, host: ChildRuntime, blueprint: Blueprint) -> None:
        super().__init__(host, blueprint)
        self._child_runtime = host
        self._ways: dict[str, ChildRoute] = {}

    def route(self, signal: str) -> Any:
        """See Cell."""
        found = self._ways.get(signal)
        if found is None:
            found = self._ways[signal] = ChildRoute(
                self._child_runtime.link, signal, self._child_runtime
            )
        return found

    def in_groups(self) -> Any:
        """See Cell."""
        return ChildMember(self._child_runtime)

    def stop_itself(self) -> None:
        """See Cell."""
        self._child_runtime.link.send(StopFrom())


class AwaitedAnswers:
    """Tells the node for which answer the actor's action waits, where that lasts: see AskCycles."""

    def __init__(
        self, link: NodeLink, later: Callable[[float, Callable[[], object]], None]
    ) -> None:
        self._link = link
        self._later = later
        self._told = (0, False)  # number of the last that the node was told of, and how
        self._looks_again = False

    def waits(self, cell: Cell) -> None:
        """An action has begun to wait: look at it, until a look finds that it doesn't.

        Where asks of reentrant actions are let in meanwhile, the node must know at once.
        """
        if cell.waits_for is not None and reentrant_of(type(cell.actor)):
            self._tell(cell.waits_for.request, lasts=False)
        if not self._looks_again:
            self._looks_again = True
            self._later(limits.ASK_CYCLE_LOOK_S, partial(self._look, cell))

    def _look(self, cell: Cell) -> None:
        self._looks_again = False
        reply = awaited_ask(cell)
        if reply is None:
            cell.is_told = True
            if awaited_ask(cell) is None:
                return
        else:
            self._tell(reply.request, lasts=True)
        self.waits(cell)

    def _tell(self, number: int, *, lasts: bool) -> None:
        known, lasted = self._told
        if number != known or (lasts and not lasted):
            self._told = number, lasts
            self._link.send(AskAwaited(number, lasts))


class NodeAsker:
    """The node waits for the outcome of a message."""

    def __init__(self, runtime: ChildRuntime, number: int, is_plain: bool, what: str) -> None:
        self._runtime = runtime
        self._number = number
        self._is_plain = is_plain
        self._what = what

    def is_over(self) -> bool:
        """See Asker."""
        return False

    def set_result(self, value: Any) -> None:
        """Answer with a value."""
        try:
            if self._is_plain:
                payload = encode_plain(value)
            else:
                payload = encode_whole_value(value, self._runtime.policy)
        except BaseException as error:  # pickling runs the value's own code
            actor, _, action = self._what.partition(".")
            self.set_error(
                RemoteActionError(
                    text_of(error),
                    remote_type=type(error).__name__,
                    node=self._runtime.node_name,
                    actor=actor,
                    action=action,
                )
            )
            return
        try:
            self._runtime.link.send(Handled(self._number, payload))
        except ConfigError as error:
            self.set_error(error)

    def set_error(self, error: BaseException) -> None:
        """Answer with an error."""
        self._runtime.link.send(Handled(self._number, b"", *to_wire(error)))
        if getattr(error, "remote_type", "") == MemoryError.__name__:
            self._runtime.out_of_memory()


class ChildRuntime(Runtime):
    """The runtime of one actor, whose world is its node."""

    def __init__(self, link: NodeLink, node: str, policy: str, memory_max: int | None) -> None:
        super().__init__(node=node, policy=policy, dead_letter=_dropped)
        self.link = link
        self.tracer = RelayTracer()
        self._memory_max = memory_max
        self._requests = itertools.count(1)
        self._pending: dict[int, Reply[Any]] = {}
        self._awaited = AwaitedAnswers(link, self.shared.later)

    def make_cell(self, blueprint: Blueprint) -> Cell:
        """See Runtime."""
        return ChildCell(self, blueprint)

    def wait_begins(self, cell: Cell) -> None:
        """See Runtime: no other actor is here that could wait for this one, the node looks."""
        self._awaited.waits(cell)

    def expect(
        self,
        actor: str,
        action: str,
        timeout: float | None = None,
        watch: Cell | None = None,
    ) -> tuple[int, Any]:
        """Return the number of a request, and what ends with its outcome, or when it's cancelled.

        Args: watch: who asks, where that ends it.
        """
        reply: Reply[Any] = Reply(
            timeout=timeout, wait=self._wait, what=(actor, action), watch=watch
        )
        number = reply.request = next(self._requests)
        self._pending[number] = reply

        def ended(_: Reply[Any]) -> None:
            if self._pending.pop(number, None) is not None:  # nobody has answered
                self.link.send(AskWithdrawn(number))

        reply.add_done_callback(ended)
        return number, reply

    def ask(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        sender: Sender | None,
    ) -> Reply[Any]:
        """See Runtime."""
        if sender is not None and actor == sender.name:
            reply = self.promise(actor, action, timeout)
            why = f"{actor} asked itself, and would wait for itself: call the method, or tell"
            reply.set_error(NotDelivered(why))
            return reply
        payload = self.encoded(args, kwargs)
        watch = sender if isinstance(sender, Cell) else None
        number, expected = self.expect(actor, action, timeout, watch)
        self.link.send(AskFrom(number, actor, action, payload))
        found: Reply[Any] = expected
        return found

    def tell(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sender: Sender | None = None,
    ) -> None:
        """See Runtime."""
        self.link.send(AskFrom(0, actor, action, self.encoded(args, kwargs)))

    def encoded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """Return arguments as they go to the node, which knows nothing of this process's spans.

        Raises:
            ConfigError: they can't travel.
        """
        return marked(encode_whole_call(args, kwargs, self.policy))

    def answered(self, message: AnswerOutcome) -> None:
        """What was asked of the node has ended."""
        reply = self._pending.pop(message.number, None)
        if reply is None:
            return
        if message.kind:
            reply.set_error(from_wire(message.kind, message.message, message.fields))
        elif message.payload:
            buffers = message.buffers
            reply.set_result(
                message.payload, lambda payload: decode_value(payload, buffers, self.policy)
            )
        else:
            reply.set_result(None)

    def out_of_memory(self) -> None:
        """End the process: it has reached its limit, and nothing in it can be relied on."""
        if self._memory_max is not None:
            allowed = f"{self._memory_max / (1 << 20):g} MiB"
            self.link.send(ProcessFailed(f"out of memory: it may have {allowed} of data"))
            leave(GONE)


def _dropped(letter: DeadLetter) -> None:
    """What waits in the process when it ends are calls of its own timers."""


def leave(code: int) -> None:
    """End the process, whatever threads are left."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            getattr(stream, "flush_all", stream.flush)()
    os._exit(code)
