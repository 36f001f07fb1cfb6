"""Actor process: the node's side of an actor that has a process of its own.

Its mailbox, its place and its wires are the node's, as of any actor; only the object lives there. A
message goes there with its arguments as they came (nothing is unpickled here), one at a time, and
what the actor asks, emits or joins comes back and is done here in its name. Everything runs in the
shared loop, which never waits for the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, cast

import structlog

from zactor.kernel import limits
from zactor.kernel.actors.options import ProcessOptions
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    ActorDied,
    ConfigError,
    RemoteProtocolError,
    ZactorError,
    from_wire,
    to_wire,
)
from zactor.kernel.messages.actor_process import (
    ActorBegun,
    ActorEnded,
    AnswerOutcome,
    AskFrom,
    BeginActor,
    EmitFrom,
    EndActor,
    FromProcess,
    GroupFrom,
    Handled,
    HandleMessage,
    LookAtPanel,
    PanelShown,
    ProcessFailed,
    StopFrom,
    ToProcess,
)
from zactor.kernel.messages.actors import Failure
from zactor.kernel.runtime.askers import Outcome
from zactor.kernel.runtime.process_output import ProcessOutput, end_words
from zactor.kernel.wire.bulky import Bulky
from zactor.kernel.wire.payload import Policy, decode_value
from zactor.kernel.wire.process_frames import frame_of, from_process

log = structlog.get_logger()


class ProcessOwner(Protocol):
    """The actor whose process it is, as the node has it."""

    name: str
    uid: int
    type: str
    node: str

    def emit_for(self, action: str, payload: bytes) -> None:
        """Send a signal of this actor."""
        ...

    def ask_for(
        self, actor: str, action: str, payload: bytes, done: Callable[[Outcome], None] | None
    ) -> None:
        """Ask another actor in the name of this one, or tell it."""
        ...

    def group_for(self, request: GroupFrom, value: Callable[[], Any]) -> Reply[None]:
        """Do what this actor wants of groups."""
        ...

    def is_muted(self) -> bool:
        """Whether something that it sent to is still congested."""
        ...

    def stop_itself(self) -> None:
        """End after the present message."""
        ...

    def process_ended(self, why: ActorDied) -> None:
        """Its process is gone, and nobody had asked for that."""
        ...


class ActorProcess(asyncio.Protocol):
    """One process. Threads: that of the shared loop."""

    def __init__(
        self,
        owner: ProcessOwner,
        recipe: Callable[[], bytes],
        options: ProcessOptions,
        policy: Policy,
        loop: asyncio.AbstractEventLoop,
        module: str,
    ) -> None:
        """Args: module: what Python runs as the process's main: see process_main.py."""
        self._owner = owner
        self._module = module
        self._recipe = recipe
        self._options = options
        self._policy = policy
        self._loop = loop
        self._process: subprocess.Popen[bytes] | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = from_process()
        self._numbers = 0
        self._handling: dict[int, asyncio.Future[bytes]] = {}
        self._begun: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[None] = loop.create_future()  # on_stop's
        self._gone: asyncio.Future[ActorDied] = loop.create_future()
        self._output = ProcessOutput(loop)
        self._under_way: set[int] = set()  # messages that are being handled there
        self._idle: asyncio.Future[None] | None = None  # who ends it waits for that
        self.begun = ActorBegun()  # as the process said it
        self._shown: dict[str, Any] | None = None  # by its panel, as it was last looked at
        self._is_looking = False
        self._why = ""  # as the process itself says
        self._is_ending = False
        self._was_killed = ""  # why, where we did it

    # -- for the cell ------------------------------------------------------------------------
    async def start(self) -> None:
        """Start the process and wait until the actor runs there.

        Raises:
            ZactorError: what its code raised, or how the process ended.
        """
        recipe = self._recipe()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._spawn(theirs)
            except BaseException:
                ours.close()
                raise
        await self._loop.create_unix_connection(lambda: self, sock=ours)
        owner = self._owner
        self._send(
            BeginActor(
                recipe, owner.name, owner.uid, owner.type, owner.node, self._policy, tuple(sys.path)
            )
        )
        try:
            await self._begun
        except BaseException:
            self._kill("it didn't begin")
            raise

    async def handle(
        self,
        action: str,
        payload: bytes,
        buffers: tuple[bytes, ...] = (),
        *,
        is_hook: bool = False,
        is_plain: bool = False,
    ) -> bytes:
        """Have a message handled there; return the result as it is encoded there.

        Raises:
            ActorDied: the process went first. ZactorError: what the action raised.
        """
        if self._gone.done():
            raise self._gone.result()
        self._numbers += 1
        number = self._numbers
        self._under_way.add(number)
        future = self._handling[number] = self._loop.create_future()
        self._send(HandleMessage(number, action, payload, is_hook, is_plain, buffers))
        try:
            result: bytes = await future
        finally:
            self._handling.pop(number, None)
        return result

    async def end(self, reason: str) -> None:
        """Have on_stop run, and the process end; in the end it is killed.

        Raises:
            ZactorError: what on_stop raised.
        """
        if self._gone.done() or self._process is None:
            return
        self._is_ending = True
        self._send(EndActor(reason))
        try:
            idle = self._idle = self._loop.create_future()
            if self._under_way:
                await asyncio.wait(
                    (idle, self._gone), timeout=limits.ABANDON_S, return_when="FIRST_COMPLETED"
                )
            if self._under_way and not self._gone.done():
                log.warning("actor_process_killed", actor=self._owner.name, why="it was busy")
                return
            done, _ = await asyncio.wait(
                (self._ended, self._gone), timeout=limits.STOP_HOOK_S, return_when="FIRST_COMPLETED"
            )
            if not done:
                self._kill("its on_stop didn't end")
                raise ActorDied(f"on_stop of {self._owner.name} didn't end: it was killed")
            await asyncio.wait((self._gone,), timeout=limits.PROCESS_END_S)
        finally:
            self._kill("it was to end")
        if self._ended.done():
            self._ended.result()

    def look(self) -> dict[str, Any] | None:
        """Return what the actor's panel showed last, and have it looked at; None: not yet."""
        if self.begun.controls and not self._is_looking:
            self._is_looking = True
            self._send(LookAtPanel())
        return self._shown

    @property
    def has_begun(self) -> bool:
        """Whether the actor has ever run there."""
        return self._begun.done()

    @property
    def pid(self) -> int:
        """Of the process; 0 before there is one."""
        return 0 if self._process is None else self._process.pid

    def kill(self, why: str) -> None:
        """End it at once."""
        self._is_ending = True
        self._kill(why)

    # -- its life ----------------------------------------------------------------------------
    def _spawn(self, theirs: socket.socket) -> None:
        options = self._options
        env = {**os.environ, **(options.env or {}), "PYTHONUNBUFFERED": "1"}
        words = [sys.executable, "-P", "-m", self._module, str(theirs.fileno())]
        words += [str(os.getpid()), _limit_words(options)]
        out, err = self._output.begin()
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                pass_fds=[theirs.fileno()],
                env=env,
                cwd=options.folder or None,
                start_new_session=True,  # Ctrl-C at a terminal is for the node
            )
        except OSError as error:
            self._output.close()
            raise ConfigError(
                f"no process for {self._owner.name}: {error.strerror}: {error.filename!r}"
            ) from None
        finally:
            os.close(out)
            os.close(err)

    def _kill(self, why: str) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            self._was_killed = why
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    # -- asyncio.Protocol --------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has its socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Something of it came."""
        try:
            for message in self._reader.feed(data):
                self._take(message)
        except RemoteProtocolError as error:
            self._kill(f"it sent what is no message: {error}")
            return
        if self._owner.is_muted() and self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_later(limits.MUTED_POLL_S, self._read_again)

    def _read_again(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._owner.is_muted():
            self._loop.call_later(limits.MUTED_POLL_S, self._read_again)
        else:
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end of the socket is closed: the process has ended, or is about to."""
        self._transport = None
        self._await_end(limits.PROCESS_END_S)

    def _await_end(self, left_s: float) -> None:
        process = self._process
        assert process is not None, self._owner.name
        if process.poll() is None:
            if left_s <= 0:
                self._kill("it closed its connection")
            self._loop.call_later(0.005, self._await_end, left_s - 0.005)
            return
        self._output.close()
        self._report_end(process.returncode)

    def _report_end(self, code: int) -> None:
        if self._gone.done():
            return
        how = end_words(code, cpu_max_s=self._options.cpu_max_s)
        if self._why:
            how = f"ended: {self._why}"
        elif self._was_killed:
            how = f"was killed: {self._was_killed}"
        error = ActorDied(self._output.with_last_words(f"the process of {self._owner.name} {how}"))
        self._gone.set_result(error)
        if not self._begun.done():
            self._begun.set_exception(error)
        for future in list(self._handling.values()):
            if not future.done():
                future.set_exception(error)
        if not self._ended.done():
            self._ended.cancel()
        if not self._is_ending and self._begun.exception() is None:
            self._owner.process_ended(error)

    # -- what comes from it ------------------------------------------------------------------
    def _take(self, message: FromProcess) -> None:
        match message:
            case Handled(number=number):
                self._under_way.discard(number)
                if not self._under_way and self._idle is not None and not self._idle.done():
                    self._idle.set_result(None)
                future = self._handling.get(number)
                if future is not None and not future.done():
                    if message.kind:
                        future.set_exception(_error_of(message))
                    else:
                        future.set_result(message.payload)
            case EmitFrom(action=action, payload=payload):
                self._owner.emit_for(action, payload)
            case AskFrom():
                self._ask(message)
            case GroupFrom():
                self._group(message)
            case ActorBegun():
                if self._begun.done():
                    return
                if message.kind:
                    self._begun.set_exception(_error_of(message))
                else:
                    self.begun = message
                    self._begun.set_result(None)
            case PanelShown(values=values):
                self._shown, self._is_looking = values, False
            case StopFrom():
                self._owner.stop_itself()
            case ActorEnded():
                if not self._ended.done():
                    if message.kind:
                        self._ended.set_exception(_error_of(message))
                    else:
                        self._ended.set_result(None)
            case ProcessFailed(reason=reason):
                self._why = reason

    def _ask(self, message: AskFrom) -> None:
        number = message.number
        done = partial(self._answered, number) if number else None
        try:
            self._owner.ask_for(message.actor, message.action, message.payload, done)
        except ZactorError as error:
            self._answer_error(number, error)

    def _answered(self, number: int, outcome: Outcome) -> None:
        """Threads: any."""
        self._post(partial(self._pass_on, number, outcome))

    def _pass_on(self, number: int, outcome: Outcome) -> None:
        if isinstance(outcome, Failure):
            answer = AnswerOutcome(number, b"", outcome.kind, outcome.message, outcome.fields)
        elif isinstance(outcome, Bulky):
            parts = tuple(map(bytes, outcome.buffers))
            head = cast(bytes, outcome.item.payload)
            answer = AnswerOutcome(number, head, buffers=parts)
        else:
            answer = AnswerOutcome(number, outcome.payload)
        self._send(answer)

    def _group(self, message: GroupFrom) -> None:
        try:
            reply = self._owner.group_for(
                message, lambda: decode_value(message.payload, (), self._policy)
            )
        except ZactorError as error:
            self._answer_error(message.number, error)
            return
        reply.add_done_callback(lambda done: self._post(partial(self._settled, message, done)))

    def _settled(self, message: GroupFrom, reply: Reply[None]) -> None:
        try:
            reply.result(0)
        except ZactorError as error:
            self._answer_error(message.number, error)
        else:
            self._send(AnswerOutcome(message.number, b""))

    def _answer_error(self, number: int, error: ZactorError) -> None:
        if number:
            self._send(AnswerOutcome(number, b"", *to_wire(error)))

    def _post(self, call: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(call)

    def _send(self, message: ToProcess) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame_of(message))


def _error_of(message: Handled | ActorBegun | ActorEnded) -> ZactorError:
    return from_wire(message.kind, message.message, message.fields)


def _limit_words(options: ProcessOptions) -> str:
    """As `process_main` reads them."""
    given = (options.memory_max, options.cpu_max_s, options.files_max)
    return ",".join("" if each is None else str(each) for each in given)
