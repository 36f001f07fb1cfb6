"""Runtime: the actors of one node, for its supervisor and for who asks them something.

Its parts: the directory (who is where), outcomes (what becomes of messages), remoting (other
nodes), and what groups need once they are open.

Threads: every public method may be called by any thread. Nothing that arrives is unpickled here;
that happens in the thread of the actor it is for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import structlog

from zactor.kernel import forks
from zactor.kernel.actors.refs import make_ref
from zactor.kernel.actors.reply import Reply, block
from zactor.kernel.errors import (
    ActorError,
    AlreadyExists,
    ConfigError,
    MailboxFull,
    NoSuchActor,
    NotDelivered,
    OutcomeUnknown,
)
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.meanwhile import Holding
from zactor.kernel.messages.service import Service
from zactor.kernel.runtime import lifecycle, own_thread
from zactor.kernel.runtime.abandoned import Abandoned, AbandonedCell
from zactor.kernel.runtime.actor_thread import ActorThread
from zactor.kernel.runtime.ask_cycles import AskCycles
from zactor.kernel.runtime.askers import DoorAsker, Outcome, UnderWay
from zactor.kernel.runtime.backpressure import Sender
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.cell import Cell
from zactor.kernel.runtime.cell_report import (
    CellCounts,
    PanelSink,
    counts_of,
    has_begun,
    kind_of,
    report_of,
    shown_by,
)
from zactor.kernel.runtime.directory import Directory, Place, Reactors
from zactor.kernel.runtime.envelope import Envelope, PeerPort, SharedPayload
from zactor.kernel.runtime.exchange import Exchange, ExchangeOutcome
from zactor.kernel.runtime.group_member import ActorGroups, Member
from zactor.kernel.runtime.held_signals import HeldSignals
from zactor.kernel.runtime.lifecycle import LivingCell, Phase
from zactor.kernel.runtime.open_asks import may_let_in
from zactor.kernel.runtime.ordered_signals import OrderedSignals
from zactor.kernel.runtime.orphans import Orphans
from zactor.kernel.runtime.outcomes import DeadLetterSink, FailureSink, Outcomes, TraceSink
from zactor.kernel.runtime.relay_cell import RelayCell
from zactor.kernel.runtime.remoting import Remoting, let_in
from zactor.kernel.runtime.shared_loops import SharedLoops
from zactor.kernel.runtime.watchdog import Blockage, BlockageSink
from zactor.kernel.sessions.session_queue import SessionQueue, at_once
from zactor.kernel.wire.payload import check_policy, encode, parts_of

if TYPE_CHECKING:  # most programs with a Kernel have no groups: they shall not load the engine
    from zactor.kernel.sessions.host import GroupHost

log = structlog.get_logger()

EndSink = Callable[[Blueprint, str], None]
_DROP: Holding = {}


class Runtime:
    """Actors, their mailboxes and the ways between them."""

    member_of: type[Member] = Member
    remoting_of: type[Remoting] = Remoting

    def __init__(
        self,
        *,
        node: NodeId | str = "local",
        policy: str = "pickle",
        dead_letter: DeadLetterSink,
        trace: TraceSink | None = None,
        ended: EndSink | None = None,
        crashed: EndSink | None = None,
        failed: FailureSink | None = None,
        blocked: BlockageSink = lambda blockage: None,
        unblocked: BlockageSink = lambda blockage: None,
    ) -> None:
        """Args:
        policy: "pickle", or "data": between nodes only plain data travels.
        dead_letter: called for every signal that nobody will handle. Threads: by any.
        trace: called for every event of the trace log; None costs nothing. Threads: by any.
        failed: called with actor, action, error and FILE:LINE when an action raised.
        blocked, unblocked: called when an action was found to hold the shared loop, and when it
            does no longer. Threads: by the watchdog's.
        ended: called when an actor stopped by itself, with its blueprint and the reason.
        crashed: the same where the process that it has of its own ended.
        """
        self.policy = check_policy(policy)
        self.outcomes = Outcomes(node, dead_letter=dead_letter, trace=trace, failed=failed)
        self.node_name = self.outcomes.node_name
        self.directory: Directory[Cell] = Directory(self.node_name)
        self.remoting = self.remoting_of(self.directory, self.outcomes, self.policy)
        self.held = HeldSignals(self.directory, self.outcomes, self.remoting, self.unmute)
        self.groups: ActorGroups | None = None  # None: no groups here
        self.ordered: OrderedSignals | None = None  # the same
        self.lock = threading.RLock()
        self.leaving: dict[LivingCell, float] = {}  # see LifeHost
        begun = partial(own_thread.blocked, self, blocked)
        self.loops = SharedLoops(
            partial(lifecycle.expire, self.leaving), begun=begun, over=unblocked
        )
        self.shared = self.loops.first
        self.cycles = AskCycles(self.node_name, self.directory, self.shared.later)
        self.remoting.cycles = self.cycles
        self._ended = ended
        self._crashed = crashed
        self.process_module = "zactor.kernel.runtime.process_main"  # of actors' own processes
        self.orphans = Orphans()
        self._blueprints: dict[int, Blueprint] = {}
        self._threads: dict[int, ActorThread] = {}
        self._departed: list[ActorThread] = []  # threads that are about to end
        self._abandoned: list[Abandoned] = []  # whose code may go on
        self._closed = False

    # -- its own life ------------------------------------------------------------------------
    def start(self) -> None:
        """Run the shared loop in the thread "zactor-actors"."""
        self.loops.start()
        forks.in_children(self, Runtime._forked)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop all actors, with their on_stop, and end all threads."""
        if self._closed:
            return
        self._closed = True
        end = time.monotonic() + timeout_s
        ends = [
            lifecycle.request_end(cell, "the node stops", at_once=True)
            for cell in list(self.directory.cells.values())
        ]
        self.remoting.fail_pending(None, lambda what: OutcomeUnknown(f"{what}: this node stops"))
        if self.shared.thread is None:
            self.shared.drive(lambda: all(future.done() for future in ends), timeout_s)
        else:
            for future in ends:
                try:
                    future.exception(max(0.0, end - time.monotonic()))
                except TimeoutError:
                    break
        self.orphans.end_all(self.shared, max(0.1, end - time.monotonic()))
        self.loops.close_watch()
        if not self.loops.close(end):
            log.warning("actors_stuck", reason="an action blocks the shared loop")
        for thread in [*self._threads.values(), *self._departed]:
            if thread.thread is not None and thread.thread is not threading.current_thread():
                thread.thread.join(max(0.1, end - time.monotonic()))
                if thread.thread.is_alive():
                    log.warning("actor_thread_stuck", thread=thread.thread.name)
        for cell in list(self.directory.cells.values()):
            self.outcomes.sweep(cell, "the node stops")
        self.held.close("the node stops")
        self.orphans.close()

    def _forked(self) -> None:
        """In a fork's child, which has none of the threads that run actors."""
        self.lock = threading.RLock()
        self.directory.leads_nowhere(
            f"this is a forked child of {self.node_name}: it reaches no actors, connect() does"
        )

    def abandon(self) -> None:
        """Free the loop without a farewell: nobody can reach these actors any more."""
        self._closed = True
        for thread in self._threads.values():
            thread.gone(None)
        self.shared.close(0.0)

    def open_groups(
        self,
        me: NodeId,
        *,
        host: Callable[[], GroupHost],
        post: Callable[[Callable[[], None]], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
        port_of: Callable[[NodeId], PeerPort | None],
        coalesce: Callable[[Callable[[], None]], None] = at_once,
    ) -> SessionQueue:
        """Let actors use groups, and signals go in group order.

        Args: as of SessionQueue; port_of as of OrderedSignals.
        """

        def attached() -> GroupHost:
            found = host()
            ordered.attach(found)
            return found

        queue = SessionQueue(host=attached, post=post, spawn=spawn, coalesce=coalesce)
        self.groups = ActorGroups(me, queue, self.outcomes, self.policy, self.promise)
        self.ordered = ordered = OrderedSignals(self.remoting, self.groups, port_of)
        return queue

    def is_idle(self) -> bool:
        """Whether no actor has anything to do. Only where the loop is driven."""
        cells = list(self.directory.cells.values())
        is_quiet = not self.shared.has_ready() and (
            self.groups is None or self.groups.session_queue.is_idle()
        )
        return is_quiet and all(cell.idle for cell in cells)

    def spawn(self, blueprint: Blueprint) -> Future[None]:
        """Make an actor; done when its on_start is, or fails with what its code raised."""
        started: Future[None] = Future()
        started.set_running_or_notify_cancel()  # who waits for it may give up, it goes on
        with self.lock:
            if self._closed or blueprint.uid in self.directory.cells:
                why = "this runtime is closed" if self._closed else "it is here already"
                started.set_exception(AlreadyExists(f"{blueprint.name} can't be made: {why}"))
                return started
            cell = self.make_cell(blueprint)
            self._blueprints[cell.uid] = blueprint
            self.directory.enter(cell)
        build = cell.build if isinstance(cell, RelayCell) else blueprint.build
        begin = partial(lifecycle.begin, cell, build, blueprint.begin, started)
        if blueprint.options.dispatcher == "thread":
            self.give_thread(cell).start_cell(begin)
        else:
            loop = self.loops.free()
            cell.dispatcher = loop
            loop.start_cell(cell, begin)
        return started

    def give_thread(self, cell: Cell) -> ActorThread:
        """Make a thread its dispatcher; it isn't started yet."""
        thread = cell.dispatcher = ActorThread(cell, self.shared.stir)
        with self.lock:
            self._departed = [t for t in self._departed if t.thread and t.thread.is_alive()]
            self._threads[cell.uid] = thread
        return thread

    def make_cell(self, blueprint: Blueprint) -> Cell:
        """Make the cell of an actor to be."""
        if blueprint.options.dispatcher == "process":
            return RelayCell(self, blueprint)
        return Cell(self, blueprint)

    def stop(self, uid: int, reason: str, drain_s: float | None = None) -> Future[str | None]:
        """End an actor; done when its on_stop is, or fails with what that raised.

        With a `drain_s` it ends in bounded time: ABANDON_S after that it is down whatever it does,
        without its on_stop if it handles a message still. The result says what goes on, if any.

        An async on_stop is cancelled after STOP_HOOK_S, or by a second stop with `drain_s=0`; one
        that blocks goes on by itself. The actor is down in either case, and this fails.

        Args: drain_s: how long it may go on with its mailbox; None: to the end of it; 0: not at
            all, what waits becomes dead letters at once. New messages are refused from now on.
        """
        cell = self.directory.cells.get(uid)
        if cell is None:
            nothing: Future[str | None] = Future()
            nothing.set_result(None)
            return nothing
        at_once = drain_s is not None and drain_s <= 0
        if at_once and cell.phase is Phase.LEAVING:
            why = f"on_stop of {cell.name} was cancelled: another stop said at once"
            lifecycle.cut_off(cell, OutcomeUnknown(why))
        if drain_s is None or at_once:
            return lifecycle.request_end(cell, reason, at_once=at_once, bounded=at_once)
        # The timer cuts short what is awaited; the cell itself looks at the time between messages,
        # and where neither can, the watchdog does.
        hurry = partial(lifecycle.request_end, cell, reason, at_once=True, bounded=True)
        self.shared.later(drain_s, hurry)
        until = time.monotonic() + drain_s
        return lifecycle.request_end(cell, reason, at_once=False, until=until, bounded=True)

    def exchange(self, blueprint: Blueprint) -> Future[ExchangeOutcome]:
        """Give an actor an object of other code, see Exchange; done when it has, or hasn't.

        It fails with what the code raised, or a ZactorError; the actor goes on as it was then,
        unless the words say otherwise.
        """
        build, options = blueprint.build, blueprint.options
        exchange = Exchange(build=build, options=options, later=self.shared.later)
        cell = self.directory.cells.get(blueprint.uid)
        if cell is None:
            return exchange.refuse(f"{blueprint.name} isn't running on {self.node_name}")
        cell.renew(blueprint, exchange)
        return exchange.done

    # -- what the knowledge base says --------------------------------------------------------
    def place(self, name: str, place: Place | None, absent: str = "", life: object = None) -> None:
        """From now on the actor is there; None: nowhere, and `absent` says why, if it is known.

        Args: life: which of its lives runs there, by what wires that hold know another; None: none.
        """
        self.directory.place(name, place, absent)
        self.held.place(name, place, life)

    def connect(
        self,
        emitter: str,
        signal: str,
        reactors: Sequence[str] | Reactors,
        meanwhile: Holding = _DROP,
    ) -> None:
        """From now on exactly these actors react to that signal.

        Args:
            reactors: names alone do the action called as the signal is; a service above FIFO
                gives it to who has it in group order.
            meanwhile: of those for whom signals wait while they are away.
        """
        if not isinstance(reactors, Mapping):
            reactors = dict.fromkeys(((name, signal) for name in reactors), Service.FIFO)
        self.directory.connect(emitter, signal, reactors, meanwhile)
        self.held.connect(emitter, signal, meanwhile)

    # -- what the node's door asks for -------------------------------------------------------
    def emit(self, actor: str, action: str, payload: bytes) -> int:
        """Make an actor of this node emit; returns how many reactors it is on its way to.

        Raises:
            NoSuchActor: it isn't here.
            MailboxFull: a reactor refused it; all others have it.
        """
        cell = self.directory.local(actor)
        if cell is None:
            raise NoSuchActor(f"no actor {actor} runs on {self.node_name}")
        return cell.route(action).relay(payload)

    def request(
        self,
        actor: str,
        action: str,
        payload: bytes,
        done: Callable[[Outcome], None] | None,
        sender: int = 0,
        *,
        plain: bool = False,
        muted: Sender | None = None,
    ) -> UnderWay:
        """Ask an actor, wherever it is, or tell it where `done` is None.

        Returns what to call when nobody waits for the outcome any more: nothing is kept of it
        here then. The action may still be done.

        Args:
            done: called once with the outcome. Threads: by any; it must not block.
            plain: the value as plain data, whatever it is; only where the actor is on this node.
            muted: pauses where the way is congested.

        Raises:
            NoSuchActor: nobody knows it.
            MailboxFull: a queue on the way is full and its policy is to refuse.
        """
        place = self.directory.places.get(actor)
        if place is None:
            raise NoSuchActor(self.directory.absent(actor))
        if place.port is not None:
            if muted is not None and place.port.congested:
                muted.mute_until(place.port)
            if done is None:
                self.remoting.tell(place, action, payload, (), sender, "")
                return UnderWay(_nothing)
            request = self.remoting.ask(place, action, payload, (), sender, None, done)
            return UnderWay(partial(self.remoting.forget, request), request=request)
        number = next(self.outcomes.numbers)
        sig = self.outcomes.sig(number) if done is None else ""
        shared_payload = SharedPayload(payload, (), None, sender, number)
        asker = None if done is None else DoorAsker(done, number, self.policy, plain=plain)
        message = Envelope(action, asker=asker, shared_payload=shared_payload, sig=sig)
        self._put_here(place, message, muted)
        return UnderWay(_nothing if asker is None else asker.withdraw, asker=asker)

    # -- what actors and their refs ask for --------------------------------------------------
    def ref(self, name: str, of: type[Any] | None = None) -> Any:
        """A Ref for use outside of actors."""
        return make_ref(name, self, of)

    def call(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
    ) -> Reply[Any]:
        """Gateway: an ask from outside."""
        return self.ask(actor, action, args, kwargs, timeout, None)

    def ask(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        timeout: float | None,
        sender: Sender | None,
    ) -> Reply[Any]:
        """Ask an actor, wherever it is. What goes wrong is in the Reply, but for unfit arguments.

        Raises:
            ConfigError: the arguments can't travel.
        """
        watch = sender if isinstance(sender, Cell) else None
        reply: Reply[Any] = Reply(
            timeout=timeout, wait=self._wait, what=(actor, action), watch=watch
        )
        place = self.directory.places.get(actor)
        if place is None:
            reply.set_error(NotDelivered(self.directory.absent(actor)))
        elif sender is not None and place.uid == sender.uid:
            why = f"{actor} asked itself, and would wait for itself: call the method, or tell"
            reply.set_error(NotDelivered(why))
        elif place.port is None:
            name = "" if sender is None else sender.name
            message = Envelope(action, args, kwargs, asker=reply, sender=name)
            self._put_here(place, message, sender)
        else:
            payload, buffers = parts_of(encode(args, kwargs, self.policy))
            uid = 0 if sender is None else sender.uid
            try:
                self.remoting.ask(place, action, payload, buffers, uid, reply, None)
            except MailboxFull as error:
                reply.set_error(error)
            if sender is not None and place.port.congested:
                sender.mute_until(place.port)
        return reply

    def promise(self, actor: str, action: str, timeout: float | None = None) -> Reply[Any]:
        """A Reply that is still to end, for whoever runs here."""
        return Reply(timeout=timeout, wait=self._wait, what=(actor, action))

    def tell(
        self,
        actor: str,
        action: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        sender: Sender | None = None,
    ) -> None:
        """Send an actor a message that nobody answers.

        Raises:
            MailboxFull: a queue on the way is full and its policy is to refuse.
            ConfigError: the arguments can't travel.
        """
        name = "" if sender is None else sender.name
        place = self.directory.places.get(actor)
        if place is not None and place.port is not None:
            payload, buffers = parts_of(encode(args, kwargs, self.policy))
            uid = 0 if sender is None else sender.uid
            self.remoting.tell(place, action, payload, buffers, uid, name)
            if sender is not None and place.port.congested:
                sender.mute_until(place.port)
            return
        outcomes = self.outcomes
        sig = outcomes.sig(next(outcomes.numbers)) if outcomes.trace is not None else ""
        message = Envelope(action, args, kwargs, sender=name, sig=sig)
        if place is None:
            outcomes.trace_accept(sig, name, actor)
            outcomes.dead(name, actor, action, self.directory.absent(actor), sig=sig)
        else:
            self._put_here(place, message, sender)

    def look(self) -> list[dict[str, Any]]:
        """What runs here, by name: for people."""
        blocking = {each.uid: each for each in self.loops.blockages()}
        rows = [
            report_of(cell, blocking.get(cell.uid), self._threads.get(cell.uid))
            for cell in list(self.directory.cells.values())
        ]
        self._abandoned = [left for left in self._abandoned if left.goes_on()]
        rows += [left.report() for left in self._abandoned]
        return sorted(rows, key=lambda row: str(row["name"]))

    def count(self) -> Iterator[CellCounts]:
        """Yield what was counted until now of each actor here that has begun."""
        return map(counts_of, filter(has_begun, list(self.directory.cells.values())))

    def kind_of(self, uid: int) -> tuple[list[str], list[str], bool]:
        """Return the signals and actions of an actor here, and whether it has a panel."""
        return kind_of(self.directory.cells.get(uid))

    def look_at_panels(self, names: Iterable[str], done: PanelSink) -> None:
        """Have `done` called with what these actors show; in the thread of the shared loop.

        An actor that has a thread of its own is read from there too: it reads attributes only.
        """
        cells = [cell for name in names if (cell := self.directory.local(name)) is not None]
        self.shared.post(lambda: done({cell.name: shown_by(cell) for cell in cells}))

    @property
    def blockage(self) -> Blockage | None:
        """What holds the shared loop, if anything has for ACTION_WARNING_S."""
        return next(iter(self.loops.blockages()), None)

    def wait_begins(self, cell: Cell) -> None:
        """An action of it waits for an ask, and nobody looks at that."""
        self.cycles.waits(cell)

    # -- what cells need ---------------------------------------------------------------------
    def in_order(self) -> OrderedSignals:
        """What carries signals in group order.

        Raises:
            ConfigError: there are no groups here.
        """
        if self.ordered is None:
            raise ConfigError("no signal can go in group order: this runtime has no groups")
        return self.ordered

    def make_member(self, cell: Cell) -> Member:
        """Give an actor its session.

        Raises:
            ConfigError: there are no groups here.
            ActorError: it has stopped.
        """
        if self.groups is None:
            raise ConfigError(f"{cell.name} can't use groups: this runtime has none")
        if cell.phase is Phase.DOWN:
            raise ActorError(f"{cell.name} has stopped: it can't use groups any more")
        cell.member = self.member_of(cell, self.groups)
        return cell.member

    def unmute(self) -> None:
        """Somebody's mailbox has room again: look at who waits for that."""
        self.loops.unmute()
        for thread in list(self._threads.values()):
            thread.unmute()

    def abandon_cell(self, cell: LivingCell) -> str:
        """See LifeHost."""
        left = Abandoned(cast(AbandonedCell, cell), self.node_name)
        if left.goes_on():
            self._abandoned.append(left)
            if left.held is not None:
                self.loops.hold(left.held, left.goes_on)
        left.interrupt()
        return left.words()

    @property
    def closed(self) -> bool:
        """Whether all actors end, and their tasks are cancelled."""
        return self._closed

    def forget(self, cell: Cell, reason: str) -> None:
        """The cell is down."""
        self.directory.leave(cell, cell.routes())
        self.leaving.pop(cell, None)
        if cell.member is not None:
            cell.member.close()
        with self.lock:
            blueprint = self._blueprints.pop(cell.uid, None)
            thread = self._threads.pop(cell.uid, None)
            if thread is not None:
                self._departed.append(thread)
        ending = cell.ending
        if ending is not None and ending.by_itself and blueprint is not None:
            told = self._crashed if ending.crashed else self._ended
            if told is not None:
                told(blueprint, reason)

    def _put_here(self, place: Place, message: Envelope, sender: Sender | None) -> None:
        cell = self.directory.cells.get(place.uid)
        if cell is not None:
            cell.accept(message, sender)
            if cell.waits_for is not None and may_let_in(cell, message.action):
                let_in(cell, message)
            return
        reason = f"{place.name} isn't running on {self.node_name}"
        if message.asker is not None:
            message.asker.set_error(NotDelivered(reason))
        else:
            self.outcomes.trace_accept(message.sig, message.sender, place.name)
            self.outcomes.dead(message.sender, place.name, message.action, reason, sig=message.sig)

    def _wait(self, reply: Reply[Any], timeout: float | None) -> None:
        if self.loops.is_here():
            raise ActorError(
                "result() would block the loop that all shared actors run in: await the reply, or "
                'give the actor dispatcher="thread"'
            )
        block(reply, timeout)


def _nothing() -> None:
    """Nobody waits for what was told."""
