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
import socket
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import structlog

from zactor.kernel import forks, limits
from zactor.kernel.actors.options import ProcessOptions
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import (
    ActorDied,
    ConfigError,
    RemoteProtocolError,
    ZactorError,
    from_wire,
)
from zactor.kernel.messages.actor_process import (
    ActorBegun,
    ActorEnded,
    AnswerOutcome,
    AskAwaited,
    AskFrom,
    AskWithdrawn,
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
    RestoreActor,
    StartActor,
    StopFrom,
    ToProcess,
)
from zactor.kernel.runtime.orphans import Orphans, end_group
from zactor.kernel.runtime.posix_spawn import ChildProcess
from zactor.kernel.runtime.process_asks import AskOwner, ProcessAsks
from zactor.kernel.runtime.process_output import ProcessOutput, end_words
from zactor.kernel.wire.payload import Policy, decode_value, encode_whole_call
from zactor.kernel.wire.process_frames import frame_of, from_process

log = structlog.get_logger()

_THEIRS = 3  # what the process has its socket as: see _spawn


class ProcessOwner(AskOwner, Protocol):
    """The actor whose process it is, as the node has it."""

    uid: int
    type: str
    node: str

    def emit_for(self, action: str, payload: bytes) -> None:
        """Send a signal of this actor."""
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
        orphans: Orphans,
        environment: str = "",
    ) -> None:
        """Args:
        module: what Python runs as the process's main: see process_main.py.
        orphans: is told of its group of processes.
        environment: folder of a venv, whose Python runs it; "": this process's.
        """
        self._environment = environment
        self._orphans = orphans
        self._owner = owner
        self._module = module
        self._recipe = recipe
        self._options = options
        self._policy = policy
        self._loop = loop
        self._process: ChildProcess | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = from_process()
        self._numbers = 0
        self._handling: dict[int, asyncio.Future[bytes]] = {}
        self._begun: asyncio.Future[None] | None = None  # of the step that it takes
        self._runs = False  # on_start is over
        self._keeps_state = False
        self._ended: asyncio.Future[None] = loop.create_future()  # on_stop's
        self._gone: asyncio.Future[ActorDied] = loop.create_future()
        self._output = ProcessOutput(loop)
        self._arrived: deque[FromProcess] = deque()  # and not taken
        self._asks = ProcessAsks(owner, self._send, self._post)
        self._is_paused = False  # nothing is read of it
        self._has_exited = False  # and that was seen while nothing was read
        self._room: asyncio.Future[None] | None = None  # it takes nothing; None: it does
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
        await self._begin(waits=False)
        self._runs = True

    async def load(self) -> None:
        """Start the process and wait until it has the actor's code: `take_over` comes next.

        Raises:
            ZactorError: as of `start`.
        """
        await self._begin(waits=True)

    async def take_over(self, state: bytes | None) -> None:
        """Make the actor there, with the state of its former process; `go_on` comes next.

        Raises:
            ZactorError: as of `start`.
        """
        await self._step(RestoreActor(state))

    async def go_on(self) -> None:
        """Have the actor run, now that the former process has ended.

        Raises:
            ZactorError: as of `start`.
        """
        await self._step(StartActor())
        self._runs = True

    async def state(self) -> bytes | None:
        """Return what the actor hands over, encoded there; None: it hands nothing over.

        Raises:
            ZactorError: its state() raised, or the process ended.
        """
        if not self._keeps_state:
            return None
        return await self.handle("state", encode_whole_call((), {}, self._policy), is_hook=True)

    async def _begin(self, *, waits: bool) -> None:
        recipe = self._recipe()
        ours, theirs = socket.socketpair()
        forks.keep_private(ours.fileno())
        try:
            await self._spawn(theirs.detach())
            await self._loop.create_unix_connection(lambda: self, sock=ours)
        except BaseException:
            forks.shared_again(ours.fileno())
            ours.close()
            raise
        owner = self._owner
        await self._step(
            BeginActor(
                recipe,
                owner.name,
                owner.uid,
                owner.type,
                owner.node,
                self._policy,
                # An environment's own way leads to what is installed there, and then to ours.
                () if self._environment else tuple(sys.path),
                waits,
            )
        )

    async def _step(self, message: BeginActor | RestoreActor | StartActor) -> None:
        """Have the actor come one step further."""
        if self._gone.done():
            raise self._gone.result()
        begun = self._begun = self._loop.create_future()
        self._send(message)
        try:
            await begun
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
        while self._room is not None and not self._gone.done():
            await asyncio.wait((self._room, self._gone), return_when="FIRST_COMPLETED")
        if self._gone.done():
            raise self._gone.result()
        self._numbers += 1
        number = self._numbers
        self._under_way.add(number)
        future = self._handling[number] = self._loop.create_future()
        try:
            self._send(HandleMessage(number, action, payload, is_hook, is_plain, buffers))
            result: bytes = await future
        except ConfigError:  # it is too long, and wasn't sent
            self._under_way.discard(number)
            raise
        finally:
            self._handling.pop(number, None)
        return result

    async def end(self, reason: str, *, until_gone: bool = True) -> None:
        """Have on_stop run, and the process end; in the end it is killed.

        Args: until_gone: wait for that too, not for on_stop alone.

        Raises:
            ZactorError: what on_stop raised, or how the process ended before that was over.
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
            if until_gone:
                await asyncio.wait((self._gone,), timeout=limits.PROCESS_END_S)
        finally:
            if until_gone:
                self._kill("it was to end")
            else:
                self._loop.call_later(limits.PROCESS_END_S, self._kill, "it was to end")
        if self._ended.done() and not self._ended.cancelled():
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
        return self._begun is not None and self._begun.done()

    @property
    def pid(self) -> int:
        """Of the process; 0 before there is one."""
        return 0 if self._process is None else self._process.pid

    def kill(self, why: str) -> None:
        """End it at once."""
        self._is_ending = True
        self._kill(why)

    # -- its life ----------------------------------------------------------------------------
    async def _spawn(self, theirs: int) -> None:
        options = self._options
        env = {**os.environ, **(options.env or {}), "PYTHONUNBUFFERED": "1"}
        python = sys.executable
        if self._environment:  # as if somebody had activated it
            scripts = f"{self._environment}/bin"
            python = f"{scripts}/python"
            env["VIRTUAL_ENV"] = self._environment
            env["PATH"] = f"{scripts}{os.pathsep}{env.get('PATH', os.defpath)}"
        words = [python, "-P", "-m", self._module, str(_THEIRS)]
        words += [str(os.getpid()), _limit_words(options)]
        out, err = self._output.begin()
        files = (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), out, err, theirs)
        try:
            process = await self._orphans.spawn(words, env, options.folder or None, files)
        except OSError as error:
            self._output.close()
            raise ConfigError(
                f"no process for {self._owner.name}: {error.strerror}: {error.filename!r}"
            ) from None
        except BaseException:
            self._output.close()
            raise
        self._process = process
        if self._was_killed:  # in the meantime
            self._kill(self._was_killed)

    def _kill(self, why: str) -> None:
        process = self._process
        if process is None:
            self._was_killed = why
        elif not process.has_exited():
            self._was_killed = why
            end_group(process.pid)

    # -- asyncio.Protocol --------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The process has its socket."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Something of it came."""
        try:
            self._arrived += self._reader.feed(data)
        except RemoteProtocolError as error:
            self._kill(f"it sent what is no message: {error}")
            return
        self._take_what_arrived()

    def _take_what_arrived(self) -> None:
        """Take one message after the other; where that is to wait, read no more meanwhile."""
        process = self._process
        if not self._has_exited and self._is_paused and process is not None:
            self._has_exited = process.has_exited()  # who reads nothing sees no end
        while self._arrived and self._may_take():
            self._take(self._arrived.popleft())
        self._is_paused = not self._may_take()
        if not self._is_paused:
            if self._transport is not None:
                self._transport.resume_reading()
            return
        if self._transport is not None:
            self._transport.pause_reading()
        self._loop.call_later(limits.MUTED_POLL_S, self._take_what_arrived)

    def _may_take(self) -> bool:
        """Whether it may go on with what it sends and asks.

        Not while its actor is muted, and not while it takes no answers: no more are made then. Who
        is to end, or has, is heard to its end.
        """
        is_over = self._is_ending or self._has_exited
        return is_over or (self._room is None and not self._owner.is_muted())

    def pause_writing(self) -> None:
        """It takes nothing just now."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """It takes what comes again."""
        room, self._room = self._room, None
        if room is not None:
            room.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Its end of the socket is closed: the process has ended, or is about to."""
        if self._transport is not None:
            forks.shared_again(self._transport.get_extra_info("socket").fileno())
        self._transport = None
        self.resume_writing()
        self._await_end(limits.PROCESS_END_S)

    def _await_end(self, left_s: float) -> None:
        process = self._process
        assert process is not None, self._owner.name
        if not process.has_exited():
            if left_s <= 0:
                self._kill("it closed its connection")
            self._loop.call_later(0.005, self._await_end, left_s - 0.005)
            return
        code = self._orphans.end(process)  # what it has started ends with it, however it ended
        self._output.close()
        self._report_end(code)

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
        if self._begun is not None and not self._begun.done():
            self._begun.set_exception(error)
        for future in list(self._handling.values()):
            if not future.done():
                future.set_exception(error)
        self._asks.withdraw_all()
        if not (self._ended.done() or self._was_killed or self._why) and self._is_ending:
            self._ended.set_exception(error)  # in its on_stop
            self._ended.exception()  # nobody need have waited for that
        elif not self._ended.done():
            self._ended.cancel()
        if not self._is_ending and self._runs:
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
                self._asks.ask(message)
            case AskWithdrawn(number=number):
                self._asks.withdraw(number)
            case AskAwaited(number=number, lasts=lasts):
                self._asks.waits(number, lasts=lasts)
            case GroupFrom():
                self._group(message)
            case ActorBegun():
                if self._begun is None or self._begun.done():
                    return
                self._keeps_state = message.keeps_state
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

    def _group(self, message: GroupFrom) -> None:
        try:
            reply = self._owner.group_for(
                message, lambda: decode_value(message.payload, (), self._policy)
            )
        except ZactorError as error:
            self._asks.answer_error(message.number, error)
            return
        reply.add_done_callback(lambda done: self._post(partial(self._settled, message, done)))

    def _settled(self, message: GroupFrom, reply: Reply[None]) -> None:
        try:
            reply.result(0)
        except ZactorError as error:
            self._asks.answer_error(message.number, error)
        else:
            self._send(AnswerOutcome(message.number, b""))

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
