"""Kernel: actors and interactions in one process, without a cluster, sockets or threads.

It runs when it is told to, in the thread that tells it: `run_until_idle`, `ask`, a Reply's
`result`. Only actors that ask for a thread of their own get one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, ParamSpec, TypeVar, overload

import structlog

from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.contract import (
    ANYTHING,
    Contract,
    check_arguments,
    check_wire,
    contract_of,
)
from zactor.kernel.actors.refs import Call, Ref, make_ref, target_of
from zactor.kernel.actors.reply import Reply
from zactor.kernel.actors.signals import SignalPort
from zactor.kernel.errors import (
    ActorError,
    AlreadyExists,
    ConfigError,
    NoSuchActor,
    NoSuchThing,
    TimedOut,
    said,
)
from zactor.kernel.homes import at_home
from zactor.kernel.ids import (
    NodeId,
    check_name,
    check_wire_name,
    signal_and_action,
    wire_between,
)
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.envelope import DeadLetter
from zactor.kernel.runtime.runtime import Runtime
from zactor.kernel.sessions.single_node import solo_host

A = TypeVar("A", bound=Actor)
P = ParamSpec("P")
T1 = TypeVar("T1")
T2 = TypeVar("T2")
T3 = TypeVar("T3")

log = structlog.get_logger()

_ME = NodeId("local", 1)
_CLOSE_S = 5.0  # how long `close` waits for actors to end


class Spec(Generic[A]):
    """An actor to be: its class with its arguments. See `new`."""

    def __init__(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.cls = cls
        self.args = args
        self.kwargs = kwargs


def new(cls: Callable[P, A], *args: P.args, **kwargs: P.kwargs) -> Spec[A]:
    """Say which actor to make, with its arguments checked: `k.spawn(new(Counter, 5), name="c")`."""
    return Spec(cls, args, kwargs)


@at_home
class Kernel:
    """Actors of one process. Threads: one, the one that made it."""

    def __init__(self) -> None:
        self.dead_letters: list[DeadLetter] = []
        self._closed = True  # until there is something to close
        self._runtime = Runtime(node=_ME.name, dead_letter=self.dead_letters.append)
        self._posted: list[None] = []  # a list, since any thread appends
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio keeps only weak references
        self._runtime.open_groups(
            _ME,
            host=lambda: solo_host(_ME),
            post=self._post,
            spawn=self._spawn,
            port_of=lambda _: None,
        )
        self._uids = itertools.count(1)
        self._closed = False

    # -- actors ------------------------------------------------------------------------------
    @overload
    def spawn(self, what: Spec[A], /, *, name: str | None = None) -> Ref[A]: ...
    @overload
    def spawn(self, what: type[A], /, *args: Any, name: str, **kwargs: Any) -> Ref[A]: ...
    @overload
    def spawn(self, what: Callable[P, A], /, *args: P.args, **kwargs: P.kwargs) -> Ref[A]: ...
    def spawn(self, what: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Make an actor and return a Ref of it.

        Raises:
            AlreadyExists: the name is taken.
            Exception: whatever its __init__ or on_start raises.
        """
        name: str | None = kwargs.pop("name", None)
        if isinstance(what, Spec):
            what, args, kwargs = what.cls, what.args, what.kwargs
        if not (isinstance(what, type) and issubclass(what, Actor)):
            raise ConfigError(f"{what!r} is no class derived from Actor")
        uid = next(self._uids)
        name = check_name("actor", f"{what.__name__}-{uid}" if name is None else name)
        directory = self._runtime.directory
        if name in directory.places:
            raise AlreadyExists(f"there is an actor {name} already")
        blueprint = blueprint_of(what, name=name, uid=uid, args=args, kwargs=kwargs)
        try:
            started = self._runtime.spawn(blueprint)
        except BaseException:  # Ctrl-C in its constructor
            directory.place(name, None)
            raise
        if self._runtime.shared.is_here():
            started.add_done_callback(lambda future: _report(name, future))
        else:
            try:
                if not started.done():
                    self._drive(started.done, None)
            finally:
                if started.done() and started.exception() is not None:
                    directory.place(name, None)
            started.result()
        return make_ref(name, self, what)

    def ref(self, name: str) -> Any:
        """A Ref of the actor `name`, which need not be there yet."""
        return make_ref(name, self)

    def stop(self, actor: Any, *, drain_s: float | None = None) -> None:
        """End an actor (its name or a Ref); by default after it handled what it has.

        Raises:
            NoSuchActor: it isn't there.
            Exception: whatever its on_stop raises.
        """
        cell = self._cell(actor)
        ended = self._runtime.stop(cell.uid, "stopped", drain_s)
        self._runtime.place(cell.name, None)
        if not self._runtime.shared.is_here():
            self._drive(ended.done, None)
            ended.result()

    destroy = stop

    # -- interactions ------------------------------------------------------------------------
    def react_interaction(
        self,
        reactor: Any,
        emitter: Any,
        action: str,
        *,
        service: Service = Service.FIFO,
        anyway: bool = False,
    ) -> None:
        """From now on `reactor` does `action` when `emitter` sends the signal of that name.

        Args:
            action: or "reading>store", where signal and action have different names.
            service: above FIFO it goes in group order: all reactors see one order of all signals.
            anyway: also where the emitter's class has no such signal, or the reactor's no such
                action, or the one doesn't fit the other.

        Raises:
            NoSuchActor: one of them isn't there.
            NoSuchThing: one hasn't what its name says. UnfitArguments: it can't be taken.
        """
        source, target = self._cell(emitter), self._cell(reactor)
        signal, does = signal_and_action(check_wire_name(action))
        if not anyway:
            check_wire(_contract(source), signal, _contract(target), does)
        reactors = self._runtime.directory.reactors(source.name, signal)
        self._runtime.connect(source.name, signal, {**reactors, (target.name, does): service})

    def remove_interaction(self, reactor: Any, emitter: Any, action: str) -> None:
        """End an interaction.

        Raises:
            NoSuchThing: there is none.
        """
        source, target = _name(emitter), _name(reactor)
        signal, does = signal_and_action(action)
        left = dict(self._runtime.directory.reactors(source, signal))
        if left.pop((target, does), None) is None:
            raise NoSuchThing(f"{target} doesn't react to {action} of {source}")
        self._runtime.connect(source, signal, left)

    @overload
    def wire(self, signal: SignalPort[[]], action: Callable[[], Any]) -> None: ...
    @overload
    def wire(self, signal: SignalPort[[T1]], action: Callable[[T1], Any]) -> None: ...
    @overload
    def wire(self, signal: SignalPort[[T1, T2]], action: Callable[[T1, T2], Any]) -> None: ...
    @overload
    def wire(
        self, signal: SignalPort[[T1, T2, T3]], action: Callable[[T1, T2, T3], Any]
    ) -> None: ...
    def wire(self, signal: Any, action: Any) -> None:
        """`react_interaction`, typed: `k.wire(sensor.reading, recorder.store)`."""
        emitter, signal_name = target_of(signal)
        reactor, action_name = target_of(action)
        self.react_interaction(reactor, emitter, wire_between(signal_name, action_name))

    # -- messages ----------------------------------------------------------------------------
    def send_signal(self, actor: Any, action: str, *args: Any, anyway: bool = False) -> int:
        """Make an actor emit; returns how many reactors it is on its way to.

        Args: anyway: also where its class has no such signal, or that can't carry this.

        Raises:
            NoSuchActor: it isn't there.
            NoSuchThing: it has no such signal. UnfitArguments: it can't carry that.
        """
        cell = self._cell(actor)
        if not anyway:
            who, contract = _contract(cell)
            contract.check_signal(who, action)
            check_arguments(f"{action} of {who}", contract.signal(action), args, {})
        return cell.route(action).send(args)

    def do_action(self, actor: Any, action: str, *args: Any, **kwargs: Any) -> Reply[Any]:
        """Ask an actor: returns at once, the Reply's `result` runs the kernel.

        Raises:
            NoSuchActor: it isn't there.
        """
        return self.call(self._cell(actor).name, action, args, kwargs, None)

    def ask(
        self, actor: Any, action: str, *args: Any, timeout: float | None = None, **kwargs: Any
    ) -> Any:
        """Ask an actor and run until it has answered.

        Raises:
            NoSuchActor: it isn't there.
            ActorError: what the ask ended with.
        """
        return self.call(self._cell(actor).name, action, args, kwargs, timeout).result()

    def tell(self, actor: str, action: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Gateway: a tell of a Ref."""
        self._runtime.tell(actor, action, args, kwargs)

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        """Gateway: an ask of a Ref."""
        reply = self._runtime.ask(actor, action, args, kwargs, timeout, None)
        reply.wait_by(self._wait)
        return reply

    # -- running -----------------------------------------------------------------------------
    def run_until_idle(self, timeout: float | None = None) -> None:
        """Run until no actor has anything to do.

        Raises:
            TimedOut: not within `timeout` seconds.
        """
        if not self._drive(self._is_idle, timeout):
            busy = [row["name"] for row in self._runtime.look() if row["action"] or row["mailbox"]]
            raise TimedOut(f"not idle after {timeout} s: {', '.join(busy) or 'an actor'} goes on")

    def run(self, seconds: float) -> None:
        """Run for so long, idle or not."""
        end = time.monotonic() + seconds
        self._drive(lambda: time.monotonic() >= end, seconds)

    def close(self) -> None:
        """Stop all actors and free what they hold."""
        if not self._closed:
            self._closed = True
            self._runtime.close(_CLOSE_S)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # A Kernel of a short script is rarely closed; what it holds goes with it all the same.
        if not self._closed:
            self._closed = True
            self._runtime.abandon()

    # The same in camelCase.
    reactInteraction = react_interaction
    removeInteraction = remove_interaction
    sendSignal = send_signal
    doAction = do_action
    runUntilIdle = run_until_idle

    # -- inside ------------------------------------------------------------------------------
    def _cell(self, actor: Any) -> Cell:
        cell = self._runtime.directory.local(_name(actor))
        if cell is None:
            raise NoSuchActor(f"no actor {_name(actor)}")
        return cell

    def _post(self, call: Callable[[], None]) -> None:
        """Have the engine's shell do it in the loop; the kernel is busy until that is done."""
        shared = self._runtime.shared

        def calm() -> None:
            self._posted.pop()
            shared.stir()

        def turn() -> None:
            call()
            shared.loop.call_soon(calm)  # the engine delivers in the round that comes before

        self._posted.append(None)
        shared.post(turn)

    def _is_idle(self) -> bool:
        return not self._posted and self._runtime.is_idle()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._runtime.shared.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait(self, reply: Reply[Any], timeout: float | None) -> None:
        self._drive(reply.done, timeout)

    def _drive(self, is_done: Callable[[], bool], timeout: float | None) -> bool:
        if self._runtime.shared.is_here():
            raise ActorError("an action can't run the kernel that runs it: await instead")
        if self._closed:
            raise ActorError("this kernel is closed")
        return self._runtime.shared.drive(is_done, timeout)


def _contract(cell: Cell) -> tuple[str, Contract]:
    """An actor as messages name it, and what can be said to it."""
    known = contract_of(type(cell.actor)) if isinstance(cell.actor, Actor) else ANYTHING
    return f"{cell.name} ({cell.type})", known


def _name(actor: Any) -> str:
    return actor if isinstance(actor, str) else str(actor.name)


def _report(name: str, started: Future[None]) -> None:
    error = started.exception()
    if error is not None:
        log.error("actor_failed_to_start", actor=name, error=said(error))


__all__ = ["Call", "Kernel", "Spec", "new"]
