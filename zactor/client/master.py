"""Master: everything that can be asked of a cluster, from outside of it.

There is one implementation, of coroutines. The blocking one (blocking_master.py) drives the
same coroutines without a loop: see blocking.py.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast, overload

from zactor.bundles.manifest import Bundle
from zactor.client import long_arguments, shipping
from zactor.client.blocking import wait_for
from zactor.client.checked import checked
from zactor.client.connection import Connection
from zactor.client.deploying import DeployRequests, Order
from zactor.client.event_stream import EventStream, Seen
from zactor.client.gateway import RemoteGateway
from zactor.client.goals import wait_for_goal
from zactor.client.output_stream import OutputStream
from zactor.client.rows import Row as Row
from zactor.client.rows import row_of, rows_of
from zactor.kernel import errors, limits
from zactor.kernel.actors.actor import Actor
from zactor.kernel.actors.refs import Ref, make_ref
from zactor.kernel.homes import at_home
from zactor.kernel.messages import desired, operations
from zactor.kernel.messages.service import Service
from zactor.kernel.wire.payload import chosen_policy

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
A = TypeVar("A", bound=Actor)

_NO_DRAIN = -1.0


@at_home
class Master:
    """A console's hands: the master support. See `connect` and `local`.

    Any number of calls may be under way at once. Each raises a `ZactorError`: `NotReachable` when
    no node is there, `OutcomeUnknown` when the node that was asked went before it answered,
    `TimedOut` after `timeout` seconds, and what the cluster answers.

    Threads: any, and any event loop.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        timeout: float | None = None,
        blocking: bool = False,
        payload: str | None = None,
    ) -> None:
        """`timeout` in s is every call's limit; None: CLIENT_REQUEST_S.

        Args:
            payload: "pickle", or "data": nothing is unpickled here; None: $ZACTOR_PAYLOAD.
        """
        self.connection = connection
        self.timeout = timeout
        self._blocking = blocking
        self.gateway = RemoteGateway(
            connection, timeout, blocking=blocking, policy=chosen_policy(payload)
        )
        encode, work, declare = self.gateway.encode, self._work, self.declare_factory
        self._deploys = DeployRequests(encode, work, self._ask, self.factories, declare)

    # -- machines ----------------------------------------------------------------------------
    async def declare_node(self, name: str, address: str) -> Row:
        """Name the node at `address` (HOST or HOST:PORT). Returns name and address."""
        return row_of(await self._ask(operations.DeclareNode(name=name, address=address)))

    async def forget(self, node: str, i_know: bool = False) -> Row:
        """Say that a member is dead for good, its disk too, so that nothing waits for its vote.

        Where changes are taken it is for what was ordered and is missing: a node that is gone, with
        the actors that were lost with it, or one lost actor; `status` speaks of them no more.

        Returns node, primary (the names of its members, [] if there is none still), waits
        (why there is none, or ""), and forgot (the names of actors that
        aren't wanted any more, None if nothing of that name was missing).

        Args:
            i_know: what may be lost by it.

        Raises:
            Refused: it is up. NoSuchThing: nothing waits for it.
            MayLose: it may have known what nobody here does, and `i_know` wasn't said.
        """
        return row_of(await self._ask(operations.ForgetNode(node=node, i_know=i_know)))

    async def recover(self, node: str, i_know: bool = False) -> Row:
        """Have the view that `node` is in go on without a quorum, as a cluster of its own.

        Returns node, primary (the names of its members), missing (who isn't there) and clock.

        Args:
            i_know: what may be lost by it.

        Raises:
            MayLose: `i_know` wasn't said; the message says what may be lost. Nothing has changed.
            Refused: changes are taken there: there is nothing to recover.
        """
        return row_of(await self._ask(operations.RecoverPrimary(node=node, i_know=i_know)))

    async def drain(self, node: str, deadline: float | None = None) -> Row:
        """Let no actor run on `node`, those that do move or stop: node, actors (name, done, node).

        Args: deadline: in s, then what is left stops at once.
        """
        operation = desired.DrainNode(node, -1.0 if deadline is None else deadline)
        return row_of(await self._ask(operation, self._patience(None)))

    async def resume(self, node: str) -> Row:
        """Let actors run on `node` again: node, back (by themselves), lost (the others)."""
        return row_of(await self._ask(desired.ResumeNode(node=node)))

    # -- code --------------------------------------------------------------------------------
    async def declare_factory(
        self, type: str, source: type[Actor] | str | os.PathLike[str] | Bundle
    ) -> Row:
        """Say where the code of the actors of `type` is, and ship it. Returns type and bundle.

        Args:
            type: the name of the factory; of several classes in a source the one of that name.
            source: a class, a .py file, a folder, a bundle file or a `Bundle`.

        Raises:
            BundleRefused: there is no such actor class in it, or it can't be shipped.
        """
        if isinstance(source, Bundle):
            bundle = source
        else:
            bundle = await self._work(shipping.build, source)
        await shipping.ship(bundle, self._ask)
        return row_of(await self._ask(operations.DeclareFactory(type=type, bundle=bundle.identity)))

    async def undeclare_factory(self, type: str) -> Row:
        """Say that `type` has no code any more; its bundle is removed later. Returns type.

        Raises:
            NoSuchThing: it has none. Refused: actors of it are there, or lost; names them.
        """
        return row_of(await self._ask(operations.UndeclareFactory(type=type)))

    # -- actors ------------------------------------------------------------------------------
    @overload
    async def deploy_actor(
        self,
        type: Callable[P, A],
        name: str,
        node: str,
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Ref[A]: ...
    @overload
    async def deploy_actor(
        self, type: str, name: str, node: str, /, **arguments: object
    ) -> Any: ...
    async def deploy_actor(
        self, type: Any, name: str, node: str, /, *args: object, **arguments: object
    ) -> Any:
        """Create an actor and return its ref once it has started.

        Args:
            type: of a factory; or a class, which is declared under its name, `Counter` as
                "counter", unless it is that already.
            name: of the actor, unique in the cluster.
            node: where it lives.
            args, arguments: of its constructor; by place only with a class. Plain data stays
                readable in the knowledge base; what is longer than FACT_ARGUMENTS_BYTES_MAX is kept
                beside it, up to BUNDLE_BYTES_MAX.

        Raises:
            RemoteActionError: its constructor or `on_start` raised; carries the traceback.
            UnfitArguments: its constructor takes others; says which.
            BundleRefused: its code can't run there. AlreadyExists, NoSuchThing: as they say.
        """
        order = await self._deploys.order(type, name, node, args, arguments)
        await self._ask(order, self._patience(None))
        return self.ref(name) if isinstance(type, str) else self.ref(name, type)

    async def deploy_many(self, actors: Iterable[Order]) -> list[Row]:
        """Create many actors, a thousand in hardly more time than one.

        Args: actors: of each `("counter", "c1", "n1", {"start": 5})`: type, name, node, arguments.
        Returns name, type, node and error of each, the last "" where it runs; the others are gone.

        Raises:
            As `deploy_actor`, but for what their own code does: none of them is created then.
        """
        return await self._deploys.many(actors, partial(self._ask, timeout=self._patience(None)))

    async def deploy_with(
        self,
        type: str,
        name: str,
        node: str,
        arguments: Mapping[str, object],
        *,
        restart: str = "",
        intensity: str = "",
        install: bool = False,
    ) -> None:
        """Create an actor with options: `deploy_actor` takes its constructor's keywords for those.

        Args:
            restart: "permanent": whenever it ends; "transient": after an exception, a death;
                "temporary": never; "": the same, and it is lost with its node.
            intensity: like "3 in 10s": more restarts than that, and it has failed.
            install: what its bundle asks for is installed, for a process of its own.
        """
        given = type, name, node, (), arguments, restart, intensity, install
        await self._ask(await self._deploys.order(*given), self._patience(None))

    async def restore(self, *names: str, on: str = "") -> list[Row]:
        """Deploy lost actors again: type, arguments and wires as they were ordered.

        Returns name, type, node and error of each, the last "" unless it is lost still.

        Args:
            names: of the actors; none: all that are lost.
            on: the node; "": for each the one that it was on.

        Raises:
            NoSuchThing: it isn't lost, or its node isn't there. As `deploy_actor`, if it is one.
        """
        operation = operations.RestoreActors(names=names, node=on)
        return rows_of(await self._ask(operation, self._patience(None)))

    async def upgrade_actor(self, name: str) -> Row:
        """Give an actor its factory's newest code, between two of its messages: see docs/code.md.

        Returns name, type, node, bundle, former, changed, pause_ms, remark (of its `on_stop`).

        Raises:
            ZactorError: it goes on with its former code, unless the words say otherwise.
        """
        return row_of(await self._ask(operations.UpgradeActor(name=name), self._patience(None)))

    async def move_actor(self, name: str, node: str) -> Row:
        """Have an actor go on at another node, with what it knows: see docs/code.md.

        Returns name, type, node, former, changed, pause_ms (for which who sent to it waited).

        Raises:
            ZactorError: it is where it was, unless the words say otherwise.
        """
        operation = operations.MoveActor(name=name, node=node)
        return row_of(await self._ask(operation, self._patience(None)))

    async def destroy_actor(
        self,
        name: str,
        todo: bool = False,
        drain: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Drop the references to an actor, wait until it has finished its work, and end it.

        Args:
            todo: write a todo first, so that another node finishes if the master dies.
            drain: for how many s it may work through its mailbox; None: to the end.
            timeout: in s; None: the master's, or no limit, as the actor's work has none.
        """
        drain_s = _NO_DRAIN if drain is None else drain
        operation = operations.DestroyActor(name, todo, drain_s)
        await self._ask(operation, self._patience(timeout))

    # -- interactions ------------------------------------------------------------------------
    async def react_interaction(
        self,
        reactor: str,
        emitter: str,
        action: str,
        service: Service | str = Service.FIFO,
        meanwhile: str = "drop",
        *,
        anyway: bool = False,
    ) -> None:
        """From now on `reactor` does `action` whenever `emitter` sends that signal.

        Args:
            action: or "reading>store", where signal and action have different names.
            meanwhile: of signals while `reactor` is away: "drop", "hold:1000" or "block".
            anyway: also where the emitter's class has no such signal, or the reactor's no such
                action, or the one doesn't fit the other.

        Raises:
            NoSuchThing: one hasn't what its name says. UnfitArguments: it can't be taken.
        """
        level = (service if isinstance(service, Service) else Service.parse(service)).value
        await self._ask(operations.Wire(reactor, emitter, action, level, anyway, meanwhile))

    async def remove_interaction(self, reactor: str, emitter: str, action: str) -> None:
        """End an interaction; its `action` as `react_interaction` has it."""
        await self._ask(operations.Unwire(reactor=reactor, emitter=emitter, action=action))

    # -- messages ----------------------------------------------------------------------------
    async def send_signal(
        self, actor: str, action: str, /, *args: object, anyway: bool = False, **kwargs: object
    ) -> int:
        """Make `actor` emit `action`; return how many actors react to it.

        Args: anyway: also where its class has no such signal, or that can't carry this.

        Raises:
            NoSuchThing: it has no such signal. UnfitArguments: it can't carry that.
        """
        payload = self.gateway.encode_message(args, kwargs)
        operation = operations.EmitSignal(
            actor=actor, action=action, payload=payload, anyway=anyway
        )
        return cast(int, row_of(await self._ask(operation))["reached"])

    async def tell(
        self, actor: str, action: str, /, *args: object, anyway: bool = False, **kwargs: object
    ) -> None:
        """Send one message; return as soon as the actor's node has accepted it.

        Args: anyway: also where its class has no such action, or that can't take this.

        Raises:
            NoSuchAction: the actor has none of that name. UnfitArguments: it can't take that.
        """
        payload = self.gateway.encode_message(args, kwargs)
        await self._ask(operations.TellActor(actor, action, payload, checked=True, anyway=anyway))

    async def ask(
        self,
        actor: str,
        action: str,
        /,
        *args: object,
        timeout: float | None = None,
        plain: bool = False,
        anyway: bool = False,
        **kwargs: object,
    ) -> object:
        """Send one message; return what the action returns.

        Args:
            timeout: in s; None: the master's, or no limit.
            plain: the result as plain data (JSON's types) instead of the object itself.
            anyway: also where its class has no such action, or that can't take this.

        Raises:
            RemoteActionError: the action raised. NotDelivered: it certainly wasn't done.
            NoSuchAction, UnfitArguments: as `tell`.
        """
        payload = self.gateway.encode_message(args, kwargs)
        operation = operations.AskActor(actor, action, payload, plain, anyway)
        result = row_of(await self._ask(operation, self._patience(timeout)))
        return result["value"] if plain else self.gateway.read(result)

    @overload
    def ref(self, name: str) -> Any: ...
    @overload
    def ref(self, name: str, of: type[A]) -> Ref[A]: ...
    def ref(self, name: str, of: type[Any] | None = None) -> Any:
        """Return a ref to the actor called `name`, whether it is there or not: nothing is sent.

        `await ref.inc(5)` asks, `ref.inc.tell(5)` doesn't wait. With `of`, the actor's class, the
        ref is typed and has only that class's actions.
        """
        return make_ref(name, self.gateway, of)

    # -- what should be there ----------------------------------------------------------------
    async def ship(self, source: str | os.PathLike[str]) -> str:
        """Build a bundle, bring it to the node, and return its identity; no type has it by that."""
        bundle = await self._work(shipping.build, source)
        await shipping.ship(bundle, self._ask)
        return bundle.identity

    async def plan(
        self,
        wish: str,
        file: str = "",
        *,
        prune: bool = True,
        remove_all: bool = False,
        adopt: bool = False,
        anyway: bool = False,
    ) -> Row:
        """Return what would make the network as a wish says: see PlanWish. Nothing changes."""
        return row_of(
            await self._ask(desired.PlanWish(wish, file, prune, remove_all, adopt, anyway))
        )

    async def apply(
        self,
        wish: str,
        *,
        prune: bool = True,
        remove_all: bool = False,
        adopt: bool = False,
        anyway: bool = False,
        digest: str = "",
        check: str = "",
    ) -> Row:
        """Make the network as a wish says, in one transaction; return when that is decided.

        Raises:
            Refused: something changed since it was planned.
        """
        operation = desired.ApplyWish(wish, prune, remove_all, adopt, digest, check, anyway)
        return row_of(await self._ask(operation))

    async def undo(self, clock: str) -> Row:
        """Take the change at `clock` back: of an apply, a wire, a factory."""
        return row_of(await self._ask(desired.UndoChange(clock=clock)))

    async def export(self, name: str = "") -> Row:
        """Return the network as a wish: wish, others (files whose things aren't in it), clock."""
        return row_of(await self._ask(desired.ExportWish(name=name)))

    # -- reading -----------------------------------------------------------------------------
    async def query(self, goal: str) -> list[Row]:
        """Return the solutions of a goal: [] is no, [{}] is yes without variables.

        Raises:
            TermError: it is no goal.
            Refused: it is too much for one query; says which limit it exceeds.
        """
        return rows_of(await self._ask(operations.QueryFacts(goal=goal, wait_s=0.0)))

    async def wait(self, goal: str, timeout: float = limits.CLIENT_REQUEST_S) -> list[Row]:
        """Wait until a goal has a solution, for up to `timeout` seconds; return its solutions.

        Raises:
            TimedOut: it has none until then.
        """
        return await wait_for_goal(goal, timeout, ask=self._ask, ready=self._ready)

    async def look(self, what: str, argument: str = "") -> object:
        """Read something by its name on the wire; the methods below are its better spellings."""
        try:
            subject = operations.Subject(what)
        except ValueError:
            raise errors.NoSuchThing(f"there is nothing called {what!r} to look at") from None
        return await self._ask(operations.Inspect(what=subject, argument=argument))

    async def facts(self, at: str = "") -> list[Row]:
        """Return every fact: fact, functor, args, clock.

        Args:
            at: a clock like "3.17": the facts as they were then; the `clock` of a fact that came
                before what is kept of the past is None then. "": as they are now.

        Raises:
            NoSuchThing: that clock hasn't come yet, or is older than what is kept.
        """
        return rows_of(await self.look("facts", at))

    async def why(self, name: str) -> list[Row]:
        """Return each fact that mentions `name` or did, oldest first, and who wrote it and why.

        Each has fact, clock, at, who, why, present, and until, until_at, until_who, until_why,
        which say when and why it went.

        Raises:
            NoSuchThing: nothing mentions it, and nothing did in what is kept of the past.
        """
        return rows_of(await self.look("why", name))

    async def nodes(self) -> list[Row]:
        """Return every node: name, role, state, address, incarnation, actors, clock."""
        return rows_of(await self.look("nodes"))

    async def actors(self) -> list[Row]:
        """Return every actor: name, type, node, state, reason, bundle, uid."""
        return rows_of(await self.look("actors"))

    async def describe(self, actor: str) -> Row:
        """Return all that is known of one actor.

        name, type, node, state, reason, since, uid, bundle; code ("current", "old" beside factory's
        bundle, or "undeclared"), class_name, constructor, actions and signals ("inc(by: int = 1) ->
        int"), takes_all (it overrides do_action), emits_all (it may emit others, too),
        unreadable (why its class can't be read); wires_in and wires_out as `wires` has them;
        arguments (a dict, or words), restart, intensity, on.

        Raises:
            NoSuchActor: there is none, or it is lost.
        """
        return row_of(await self._ask(operations.DescribeActor(actor=actor)))

    async def wires(self) -> list[Row]:
        """Return every interaction: emitter, action (or "reading>store"), reactor, service."""
        return rows_of(await self.look("wires"))

    async def factories(self) -> list[Row]:
        """Return every factory: type, bundle."""
        return rows_of(await self.look("factories"))

    async def status(self) -> Row:
        """Return how the node that answers and its cluster are."""
        return row_of(await self.look("status"))

    async def dead_letters(self, node: str = "") -> list[Row]:
        """Return what could not be delivered: sender, target, action, reason, node, at.

        Of all nodes, or of one; oldest first.
        """
        return rows_of(await self.look("deadletters", node))

    async def failures(self, node: str = "") -> list[Row]:
        """Return the actions that raised: actor, action, error, where, node, at.

        Of all nodes, or of one; oldest first. `where` is FILE:LINE in the actor's own code.
        """
        return rows_of(await self.look("failures", node))

    async def doctor(self) -> list[Row]:
        """Return the result of each check: node, check, ok, detail."""
        return rows_of(await self.look("doctor"))

    async def log(self) -> list[Row]:
        """Return the history of the knowledge base: clock, who, why, at, asserted, retracted."""
        return rows_of(await self.look("log"))

    def events(
        self,
        follow: bool = False,
        node: str = "",
        last: int | None = None,
        seen: Seen | None = None,
    ) -> AsyncIterator[Row]:
        """Yield what happened on all nodes, in one order: number, at, node, event, ….

        A change of the knowledge base, which every node applies, comes once. A node that doesn't
        answer is named by a `look_failed`.

        Args:
            follow: go on with what happens from then on, without end.
            node: only what this one tells.
            last: of the past only so many; None: all that is kept.
            seen: {} at first; it notes what was told, so that who gives it again hears the rest.
        """
        blocking, ask = self._blocking, self.connection.request
        stream = EventStream(ask, self._ready, blocking=blocking, node=node, last=last, seen=seen)
        return stream.run(follow)

    async def watch(self, after: Mapping[str, int], wait: float = 0.0, node: str = "") -> object:
        """Return what each node has counted, where it differs from its sample in `after`.

        `zactor.client.rates.Rates` makes rates of it. It waits up to `wait` s for the next sample.
        """
        operation = operations.Watch(after=dict(after), wait_s=wait, node=node)
        return await self._ask(operation, wait + limits.CLIENT_REQUEST_S)

    def output(self, node: str = "", actor: str = "", since: float = 0.0) -> OutputStream:
        """Return the lines that actors printed, logged and raised: number, at, node, actor, kind,
        text. Only in an event loop.

        Args: since: in s since 1970, nothing older.
        """
        return OutputStream(self.connection.request, node=node, actor=actor, since=since)

    # -- spelt as script terms ----------------------------------------------------------------
    declareNode = declarePhysicalNode = declare_physical_node = declare_node
    declareFactory, undeclareFactory = declare_factory, undeclare_factory
    deployActor, destroyActor = deploy_actor, destroy_actor
    upgradeActor, moveActor = upgrade_actor, move_actor
    remote_react_interaction = remoteReactInteraction = reactInteraction = react_interaction
    removeInteraction, sendSignal, deadLetters = remove_interaction, send_signal, dead_letters

    # -- the two modes -----------------------------------------------------------------------
    async def _ask(self, operation: operations.Operation, timeout: float | None = None) -> object:
        limit = self.timeout if timeout is None else timeout
        future = long_arguments.request(self.connection, checked(operation), limit)
        return await self._ended(future)

    async def _ready(self) -> None:
        await self._ended(self.connection.ready(self.timeout))

    async def _ended(self, future: Future[T]) -> T:
        return wait_for(future) if self._blocking else await asyncio.wrap_future(future)

    def _patience(self, timeout: float | None) -> float:
        """The limit of what runs a user's code: none, unless somebody set one."""
        limit = self.timeout if timeout is None else timeout
        return math.inf if limit is None else limit

    async def _work(self, function: Callable[[S], T], argument: S) -> T:
        if not self._blocking:
            return await asyncio.to_thread(function, argument)
        return function(argument)
