"""Make this node what the knowledge base says: its actors, its directory, its wires.

The rule a reader must not break: nothing here remembers what should be; it is read there. Whatever
a change touches is compared with the theory as it is now, so changes may come in any bundle size.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from zactor.kernel import limits
from zactor.kernel.ids import ORIGIN, Clock, NodeId
from zactor.kernel.runtime.blueprint import Blueprint
from zactor.kernel.runtime.envelope import PeerPort
from zactor.supervisor.deployment.actor_reports import ActorReports
from zactor.supervisor.deployment.blueprints import Blueprints
from zactor.supervisor.deployment.directory_writer import DirectoryHost, DirectoryWriter
from zactor.supervisor.deployment.failure_reasons import reason_of, shortened, stage_of
from zactor.supervisor.deployment.moves import Moves
from zactor.supervisor.deployment.upgrades import ExchangeRuntime, Upgrades
from zactor.supervisor.deployment.yielding import Yielding, must_end
from zactor.supervisor.kb import facts, orders, policies, restart_groups
from zactor.supervisor.kb.changed_facts import ActorFact, ChangedFacts, FactoryFact, WireFact
from zactor.supervisor.kb.fact_patterns import (
    actor_patterns,
)
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.restarts import GiveUp, LeaveIt, Restarts, StartAgain, is_restarted
from zactor.supervisor.membership.departures import RETURNED
from zactor.supervisor.membership.keeping import Contact, must_stop
from zactor.supervisor.observe.events import (
    ActorAbandoned,
    ActorCrashed,
    ActorGivenUp,
    ActorRestarts,
    ActorReturned,
    ActorStartFailed,
    ActorStopFailed,
    Tell,
)

log = structlog.get_logger()

_CUT_OFF = "cut off"  # what stops has no more time
UNDO_AFTER_S = 0.5  # what failed to start is forgotten then: who deployed it has read why


class ActorHost(DirectoryHost, ExchangeRuntime, Protocol):
    """What runs the actors of this node, and knows where the others are."""

    def spawn(self, blueprint: Blueprint) -> Future[None]:
        """Make an actor; done when it runs."""
        ...

    def stop(self, uid: int, *, reason: str, drain_s: float | None) -> Future[str | None]:
        """End an actor when its work is done, at the latest after `drain_s`; done when it ended,
        with what of its code goes on though.
        """
        ...


@dataclass(slots=True)
class Hosted:
    """What runs here, or is on its way."""

    uid: int
    runs: bool = False
    confirmed: Clock = ORIGIN  # of the change that took it back, when it was said that it runs


class Reconciler:
    """Watches the changes of the knowledge base for one node. Kernel's loop only."""

    def __init__(
        self,
        me: NodeId,
        *,
        kb: KnowledgeBase,
        runtime: ActorHost,
        blueprints: Blueprints,
        tell: Tell,
        port_of: Callable[[str], PeerPort | None],
        spawn_task: Callable[[Coroutine[Any, Any, object]], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Args:
        port_of: gives the port of another node that is up.
        tell: brings an event to whoever wants it.
        spawn_task: runs a coroutine.
        """
        self._me = me
        self._kb = kb
        self._runtime = runtime
        self._blueprints = blueprints
        self._tell = tell
        self._spawn_task = spawn_task
        self._hosted: dict[str, Hosted] = {}  # by name
        self._over: dict[str, int] = {}  # name -> uid of what ended by itself
        self._stopping: dict[int, tuple[str, str]] = {}  # uid -> name, how long it may go on
        self._reports = ActorReports(me.name, kb)
        self._restarts = Restarts()
        self.parked: set[str] = set()  # names of what was stopped while this node was cut off
        self._now_s = now_s
        self._contact = Contact(now_s())
        self._yielding = Yielding(me.name, kb, self._is_here, spawn_task)
        self._departing: set[str] = set()  # names of what is about to be another node's
        self.moves = Moves(
            me,
            kb=kb,
            runtime=runtime,
            blueprints=blueprints,
            policy=blueprints.policy,
            hosting=self,
            port_of=port_of,
        )
        self._directory = DirectoryWriter(me, runtime, port_of, self.moves)
        self.upgrades = Upgrades(
            me.name,
            kb=kb,
            runtime=runtime,
            blueprints=blueprints,
            runs=self.runs,
            commit=self._reports.insist,
            tell=tell,
        )

    # -- what changed ------------------------------------------------------------------------
    def on_change(self, changed: ChangedFacts) -> None:
        """These facts were taken away and brought."""
        both = (*changed.retracted, *changed.asserted)
        for fact in changed.asserted:
            if isinstance(fact, FactoryFact):
                self._spawn_task(self._blueprints.prefetch(fact.bundle))
        self._compare(
            {fact.name for fact in both if isinstance(fact, ActorFact)},
            {(fact.emitter, fact.signal) for fact in both if isinstance(fact, WireFact)},
        )

    def on_reset(self) -> None:
        """All may be different: a snapshot took the place of what was here."""
        theory = self._kb.theory
        names = (
            self._directory.placed | set(self._hosted) | {row.name for row in facts.actors(theory)}
        )
        names |= {row.name for row in orders.all_lost(theory)}
        wires = self._directory.wired | {(w.emitter, w.signal) for w in facts.wires(theory)}
        wires |= {(w.emitter, w.signal) for w, _ in orders.down(theory)}
        self._compare(names, wires)
        for identity in facts.factories(theory).values():
            self._spawn_task(self._blueprints.prefetch(identity))

    def hosted(self, name: str) -> int | None:
        """Return the uid of the actor of that name that runs here, or is on its way."""
        here = self._hosted.get(name)
        return None if here is None else here.uid

    def runs(self, row: ActorRow) -> bool:
        """Whether that deployment runs here, and isn't about to be another life of it."""
        here = self._hosted.get(row.name)
        return here is not None and here.uid == row.uid and here.runs

    def arrives(self, name: str, uid: int) -> None:
        """It is on its way here, from another node."""
        self._hosted[name] = Hosted(uid, runs=True)

    def departs(self, name: str, *, is_so: bool) -> None:
        """It is about to be another node's; or stays."""
        if is_so:
            self._departing.add(name)
        else:
            self._departing.discard(name)

    def failed(self, name: str, uid: int, reason: str) -> None:
        """It came from another node, and couldn't begin here."""
        row = facts.actor(self._kb.theory, name)
        if row is not None and row.node == self._me.name and row.uid == uid:
            self.on_crashed(name, uid, reason)
        elif self.hosted(name) == uid:
            del self._hosted[name]

    def on_node(self, node: str) -> None:
        """A node came into the view, or is out of it: its actors are reached another way."""
        rows = facts.actors(self._kb.theory, node)
        self._compare({row.name for row in rows}.union(self.moves.coming()), set())

    def _compare(self, names: Iterable[str], wires: Iterable[tuple[str, str]]) -> None:
        theory = self._kb.theory
        for name in sorted(names):
            row = orders.standing(theory, name, self._me)
            if row is not None and row.node == self._me.name:
                self._yielding.look(name)
            self.moves.look(name, row)
            self._host(name, row)
            self._directory.place(theory, name, row)
        for emitter, signal in sorted(wires):
            self._directory.wire(theory, emitter, signal)

    # -- actors of this node -----------------------------------------------------------------
    def _host(self, name: str, row: ActorRow | None) -> None:
        mine = row is not None and row.node == self._me.name
        here = self._hosted.get(name)
        is_coming = row is not None and facts.moving_to(self._kb.theory, name) == self._me.name
        if here is not None and (not mine or row is None or row.uid != here.uid) and not is_coming:
            if name in self._departing:
                self._departing.discard(name)
                del self._hosted[name]
            else:
                self._give_up(name, here, row)
            here = None
        if not mine or row is None:
            self._over.pop(name, None)
            return
        if row.state == "starting" and self._over.get(name) == row.uid:
            self._spawn_task(
                self._reports.forget(row)
            )  # it ended while the others missed this node
        elif row.state == "starting" and self._is_stopping(row):
            pass  # it was lost and taken back meanwhile: it begins anew when it has stopped
        elif row.state == "starting" and here is None:
            self._hosted[name] = Hosted(row.uid)
            self._spawn_task(self._start(row))
        elif row.state == "starting" and here is not None:
            self._confirm(row, here)
        elif row.state == "stopping" and row.uid not in self._stopping:
            self._stopping[row.uid] = name, row.reason
            self._spawn_task(self._finish(row))
        elif row.state == "stopping" and row.reason != self._stopping[row.uid][1]:
            self._stopping[row.uid] = name, row.reason  # told again, with another limit
            self._stop(row.uid, "destroyed", _drain_s(row))

    def _give_up(self, name: str, here: Hosted, row: ActorRow | None) -> None:
        """End what runs here and should not: the cluster went on without this node."""
        del self._hosted[name]
        given = (
            f"it was given to {row.node}" if row is not None else "it was forgotten or destroyed"
        )
        why = f"{given} while {self._me.name} was out of the primary"
        self._stop(here.uid, why, drain_s=0.0)
        self._tell(ActorGivenUp(name, here.uid, why))

    def _confirm(self, row: ActorRow, here: Hosted) -> None:
        """Say that an actor runs that was taken back; one on its way says so itself."""
        if here.runs and row.reason == RETURNED and here.confirmed < row.since:
            here.confirmed = row.since
            self._tell(ActorReturned(row.name, row.uid))
            self._spawn_task(self._reports.runs(row))

    def _is_stopping(self, row: ActorRow) -> bool:
        return row.uid in self._stopping

    def _is_here(self, name: str, uid: int) -> bool:
        return self.hosted(name) == uid or uid in self._stopping

    def _is_hosted(self, row: ActorRow) -> bool:
        here = self._hosted.get(row.name)
        return here is not None and here.uid == row.uid

    async def _start(self, row: ActorRow) -> None:
        """Fetch the code, make the actor, report."""
        try:
            blueprint = await self._blueprints.make(row)
            if not self._is_hosted(row):
                return  # it was destroyed before it began
            await asyncio.wrap_future(self._runtime.spawn(blueprint))
        except Exception as error:  # whatever user code raises is the reason of the failure
            if self._is_hosted(row):
                del self._hosted[row.name]
            reason = f"{stage_of(error)}{reason_of(error)}"
            self._tell(ActorStartFailed(row.name, row.type, reason, error))
            if policies.policy(self._kb.theory, row.name) is None:
                await self._reports.report(row, "failed", reason, after="starting")
                # Who deployed it takes the facts back; should it be dead, we do.
                await asyncio.sleep(UNDO_AFTER_S)
                await self._reports.forget(row)
            else:  # it is wanted still: `failed` tells that it isn't there, and why
                await self._answer(row, reason, is_failure=True)
        else:
            if not self._is_hosted(row):
                self._stop(row.uid, "destroyed while it began", drain_s=0.0)
                return
            self._hosted[row.name].runs = True
            log.info("actor_started", actor=row.name, type=row.type, bundle=row.bundle)
            await self._reports.runs(row)

    async def _finish(self, row: ActorRow) -> None:
        """Let the actor finish its work, end it, and take its facts away."""
        self._hosted.pop(row.name, None)
        try:
            remains = await asyncio.wrap_future(self._stop(row.uid, "destroyed", _drain_s(row)))
        except Exception as error:  # on_stop is user code
            reason = f"on_stop: {reason_of(error)}"
            self._tell(ActorStopFailed(row.name, reason, error))
            if not (await self._succeed(row) or await self._reports.set_aside(row)):
                await self._reports.report(row, "failed", reason, after="stopping")
        else:
            log.info("actor_stopped", actor=row.name)
            if remains:
                self._tell(ActorAbandoned(row.name, row.uid, remains))
            if not (await self._succeed(row) or await self._reports.set_aside(row)):
                await self._reports.forget(row, remains, after="stopping")
        finally:
            self._stopping.pop(row.uid, None)
        self._compare({row.name}, ())  # it may have been told to stop again meanwhile

    def on_ended(self, name: str, uid: int) -> None:
        """An actor of this node stopped by itself."""
        row = orders.standing(self._kb.theory, name, self._me)
        if row is not None and row.uid == uid and self._is_hosted(row):
            del self._hosted[name]
            self._over[name] = uid
            self._spawn_task(self._answer(row, "it ended by itself", is_failure=False))

    async def _succeed(self, row: ActorRow) -> bool:
        """Let its successor take its place, if it has one."""
        new = policies.successor(self._kb.theory, row.name)
        if new is not None:
            await self._reports.insist(
                row,
                f"{row.name} is replaced",
                require=((new.fact(), "NoSuchActor", f"{row.name} has another successor"),),
                retract=(*actor_patterns(row.name), policies.next_pattern(row.name)),
                assert_=new.begins(policies.policy(self._kb.theory, row.name)),
            )
        return new is not None

    # -- what is started again ---------------------------------------------------------------
    def on_failed(self, name: str, why: str) -> None:
        """An action of an actor of this node raised: it is restarted, if its policy says so."""
        row = orders.standing(self._kb.theory, name, self._me)
        here = self._hosted.get(name)
        if row is None or here is None or here.uid != row.uid or not here.runs:
            return  # it is being restarted already, or destroyed
        policy = policies.policy(self._kb.theory, name)
        if policy is None or policy.restart == policies.TEMPORARY or row.state == "stopping":
            return
        here.runs = False
        self._spawn_task(self._answer(row, why, is_failure=True))

    async def _answer(self, row: ActorRow, why: str, *, is_failure: bool) -> None:
        """Do what its policy says about an end of an actor, or about what it raised."""
        policy = policies.policy(self._kb.theory, row.name)
        group = restart_groups.of(self._kb.theory, row.name)
        if group is not None and is_restarted(policy, is_failure=is_failure):
            self._hosted.pop(row.name, None)
            await self._end(row, "restarted")
            await self._reports.regroup(row, group, why)
            return
        verdict = self._restarts.judge(
            row.deployment, policy, self._now_s(), why, is_failure=is_failure
        )
        match verdict:
            case LeaveIt():
                if self._is_hosted(row):
                    del self._hosted[row.name]
                if is_failure:
                    await self._reports.report(row, "failed", why, after="starting")
                else:
                    await self._reports.forget(row)
            case GiveUp(reason=reason):
                if self._is_hosted(row):
                    del self._hosted[row.name]
                await self._end(row, "failed")
                await self._reports.set_state(row, "failed", reason)
            case StartAgain(wait_s=wait_s, count=count):
                here = self._hosted[row.name] = Hosted(row.uid)
                self._over.pop(row.name, None)
                self._tell(ActorRestarts(row.name, why, count, wait_s))
                await self._end(row, "restarted")
                await self._reports.set_state(row, "starting", f"restart {count}: {why}")
                await asyncio.sleep(wait_s)
                if self._hosted.get(row.name) is here:
                    await self._begin_again(row)

    async def _begin_again(self, row: ActorRow) -> None:
        now = facts.actor(self._kb.theory, row.name)
        if now is not None and (now.uid, now.state) == (row.uid, "starting"):
            await self._start(now)  # it may have other code by now
        else:  # it is lost, or somebody's: what brings it back begins it
            del self._hosted[row.name]

    async def _end(self, row: ActorRow, reason: str) -> None:
        """End what is left of a life that went wrong; what waits for it becomes dead letters."""
        try:
            await asyncio.wrap_future(self._stop(row.uid, reason, drain_s=0.0))
        except Exception as error:  # on_stop is user code
            self._tell(ActorStopFailed(row.name, f"on_stop: {reason_of(error)}", error))

    # -- cut off -----------------------------------------------------------------------------
    def keep(self) -> None:
        """Stop what may run elsewhere by now, see keeping.py; called every HOUSEKEEPING_MS."""
        self._yielding.keep()
        out_s = self._contact.out_s(bool(self._kb.primary), self._now_s())
        if must_stop(out_s):
            self._park()
        elif self.parked and not out_s:
            names, self.parked = sorted(self.parked), set()
            for name in names:
                self._unpark(name)

    def _park(self) -> None:
        theory, me = self._kb.theory, self._me.name
        why = f"{me} was cut off for {limits.STOPPED_AFTER_S} s, and another node may run it"
        for name, here in list(self._hosted.items()):
            if must_end(theory, name, me):
                del self._hosted[name]
                self.parked.add(name)
                self._stop(here.uid, why, drain_s=0.0)
                self._tell(ActorGivenUp(name, here.uid, why))
        for uid, (name, limit) in self._stopping.items():
            if limit != _CUT_OFF and must_end(theory, name, me):  # whatever time it was given
                self._stopping[uid] = name, _CUT_OFF
                self._stop(uid, why, drain_s=0.0)

    def _unpark(self, name: str) -> None:
        """Start it again, if nobody knows that it was stopped here."""
        row = facts.actor(self._kb.theory, name)
        if row is None or row.node != self._me.name or name in self._hosted:
            return
        if row.state == "running":
            self._hosted[name] = Hosted(row.uid)
            self._spawn_task(self._start_again(row))

    async def _start_again(self, row: ActorRow) -> None:
        await self._reports.set_state(row, "starting", "it was stopped while its node was cut off")
        if self._is_hosted(row):
            await self._begin_again(row)

    def on_crashed(self, name: str, uid: int, reason: str) -> None:
        """The process of an actor of this node is gone: it is restarted, or stands as failed."""
        row = orders.standing(self._kb.theory, name, self._me)
        if row is not None and row.uid == uid and self._is_hosted(row):
            self._tell(ActorCrashed(name, uid, reason))
            policy = policies.policy(self._kb.theory, name)
            if policy is None or policy.restart == policies.TEMPORARY:
                del self._hosted[name]
                self._spawn_task(self._reports.set_state(row, "failed", shortened(reason)))
            else:
                self._hosted[name].runs = False
                self._spawn_task(self._answer(row, shortened(reason), is_failure=True))

    def _stop(self, uid: int, reason: str, drain_s: float | None) -> Future[str | None]:
        return self._runtime.stop(uid, reason=reason, drain_s=drain_s)


def _drain_s(row: ActorRow) -> float | None:
    """Return how long a stopping actor may go on with its mailbox, None: to its end."""
    drain = row.reason.removeprefix("drain ")
    return float(drain) if drain != row.reason else None
