"""Plan, apply, undo, export: what a file wants, compared with what there is, and made so.

A plan is made where it is applied, from the theory as it is there, and its one transaction requires
every fact that it was made from: whoever is quicker refuses it as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import (
    ConfigError,
    NoSuchThing,
    Refused,
    UnfitArguments,
    ZactorError,
)
from zactor.kernel.ids import Clock, spoken_wire
from zactor.kernel.messages.desired import ApplyWish, ExportWish, PlanWish, UndoChange
from zactor.kernel.messages.operations import Operation, UpgradeActor
from zactor.supervisor.desired import export, undo
from zactor.supervisor.desired.comparison import PlanOptions
from zactor.supervisor.desired.draft import CHANGED, PlanRow, Transaction
from zactor.supervisor.desired.plan import Plan, make_plan
from zactor.supervisor.desired.undo import FormerCode
from zactor.supervisor.kb import facts, node_marks, wishes
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.policies import Successor
from zactor.supervisor.kb.provenance import ChangeReport, mentions_any, read_clock
from zactor.supervisor.kb.wishes import Wish
from zactor.supervisor.operations.changes import Asked
from zactor.supervisor.operations.contracts import CodedActor, Contracts

CHECKED_AT_ONCE = 32  # bundles at nodes: each is a request that fetches code


class DesiredState:
    """Carries out what files want on behalf of one node. Kernel's loop only."""

    def __init__(
        self,
        kb: KnowledgeBase,
        ask_node: Callable[[str, Operation], Awaitable[object]],
        contracts: Contracts,
    ) -> None:
        """Ask other nodes by `ask_node`."""
        self._kb = kb
        self._ask_node = ask_node
        self._contracts = contracts

    # -- plan --------------------------------------------------------------------------------
    async def plan(self, op: PlanWish) -> object:
        """Return what would be done, and whether the code would load where it is to run."""
        await self._kb.catch_up()
        options = PlanOptions(prune=op.prune, remove_all=op.remove_all, adopt=op.adopt)
        wish = _read(op.wish) if op.wish else self._kept(op.file)
        plan = self._make(wish, options, self._kb.new_id())
        problems = await self._unfit(plan, anyway=op.anyway)
        return _told(plan, self._kb.clock, [*plan.rows, *problems])

    def _make(self, wish: Wish, options: PlanOptions, id_: str) -> Plan:
        theory = self._kb.theory
        drained = node_marks.drained(theory)
        hosts = [node for node in facts.nodes(theory) if node not in drained]
        return make_plan(wish, theory, hosts, options, id_)

    def _kept(self, name: str) -> Wish:
        theory = self._kb.theory
        known = wishes.names(theory)
        chosen = name or (known[0] if len(known) == 1 else "")
        wish = wishes.wish(theory, chosen) if chosen else None
        if wish is None:
            there = ", ".join(known) or "none"
            if not name and known:
                raise NoSuchThing(f"several files were applied ({there}): say which FILE to plan")
            raise NoSuchThing(f"no file {name} was applied ({there})".replace("  ", " "))
        return wish

    async def _unfit(self, plan: Plan, *, anyway: bool) -> list[PlanRow]:
        """Return a row for each type that wouldn't load on a node that is to run it; or for each
        actor and each wire that its class, or those of its ends, can't have."""
        found = await self._unloadable(plan)
        return found if found or anyway else [row async for row in self._misnamed(plan)]

    async def _unloadable(self, plan: Plan) -> list[PlanRow]:
        turns = asyncio.Semaphore(CHECKED_AT_ONCE)

        async def check(new: Successor) -> PlanRow | None:
            async with turns:
                try:
                    await self._contracts.check_code(new)
                except ZactorError as error:
                    return PlanRow(sign="x", kind="type", name=new.type, detail=f"{error}")
                await self._contracts.find(new)
            return None

        targets = {(new.node, new.type, new.bundle): new for new in plan.successors}
        found = await asyncio.gather(*map(check, targets.values()))
        return [row for row in found if row is not None]

    async def _misnamed(self, plan: Plan) -> AsyncIterator[PlanRow]:
        theory, contracts = self._kb.theory, self._contracts
        ends: dict[str, CodedActor] = {row.name: row for row in facts.actors(theory)}
        recoded = {new.name for new in plan.successors if new.bundle != _bundle(ends.get(new.name))}
        ends |= {new.name: new for new in plan.successors}
        for new in plan.successors:
            try:
                await contracts.check_constructor(new, new.arguments)
            except UnfitArguments as error:
                yield PlanRow(sign="x", kind="actor", name=new.name, detail=f"{error}")
        stay = (w for w in plan.wish.wires if w not in plan.wired)
        for wire in (*plan.wired, *(w for w in stay if {w.emitter, w.reactor} & recoded)):
            try:
                await contracts.check_wire(
                    ends.get(wire.emitter), ends.get(wire.reactor), wire.action
                )
            except (NoSuchThing, UnfitArguments) as error:
                name = spoken_wire(wire.emitter, wire.action, wire.reactor)
                yield PlanRow(sign="x", kind="wire", name=name, detail=f"{error}")

    # -- apply -------------------------------------------------------------------------------
    async def apply(self, op: ApplyWish, asked: Asked) -> object:
        """Make the network as a file wants it, all of it or nothing; return when that is decided.

        Raises:
            ConfigError: the wish is none. Refused: something changed since it was planned; says
                what, who and when. ZactorError: it would fail; says what.
        """
        wish = _read(op.wish)
        options = PlanOptions(prune=op.prune, remove_all=op.remove_all, adopt=op.adopt)
        return await self._apply(
            wish, options, asked, digest=op.digest, check=op.check, anyway=op.anyway
        )

    async def _apply(
        self,
        wish: Wish,
        options: PlanOptions,
        asked: Asked,
        *,
        digest: str = "",
        check: str = "",
        anyway: bool = False,
    ) -> dict[str, object]:
        kb = self._kb
        if wishes.applied_by(kb.theory, wish.name) == asked.id:  # the same was asked before
            return self._done_already(wish, asked)
        plan = self._make(wish, options, asked.id)
        if digest and plan.digest != digest:
            raise Refused(
                f"{CHANGED}the network isn't as the plan of {wish.name} found it"
                f"{self._last_change(plan.scope)}: plan again"
            )
        if check:
            self._check(plan, read_clock(check))
        problems = [*plan.problems, *await self._unfit(plan, anyway=anyway)]
        if problems:
            first = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            raise ZactorError(f"{first.kind} {first.name}: {first.detail}{more}")
        clock = kb.clock
        if not plan.transaction.is_empty:
            clock = await self._commit(plan.transaction, asked, plan.scope)
        changes_wish = any(text.startswith("wished(") for text in plan.transaction.assert_)
        return {**_told(plan, clock, plan.rows), "changes_wish": changes_wish}

    def _done_already(self, wish: Wish, asked: Asked) -> dict[str, object]:
        rows = facts.actors(self._kb.theory)
        return {
            "wish": wish.name,
            "clock": self._kb.clock,
            "rows": [],
            "digest": "",
            "starts": [row.name for row in rows if row.deployment.startswith(f"{asked.id} ")],
            "stops": [],
            "same": 0,
            "differs": False,
            "changes_wish": True,
        }

    def _check(self, plan: Plan, since: Clock) -> None:
        """Refuse where anything in the scope of a file has changed since then."""
        for change in reversed(self._kb.history()):
            if change.clock <= since:
                return
            if self._is_about(change, plan.scope):
                raise Refused(f"{_said(change)} after {since}: plan again")

    def _is_about(self, change: ChangeReport, scope: Iterable[str]) -> bool:
        """Whether a change is about one of these names; what nodes say of actors is no change."""
        texts = [
            text
            for text in (*change.asserted, *change.retracted)
            if not text.startswith(("state(", "born(", "yields("))
        ]
        return mentions_any(texts, scope)

    def _last_change(self, scope: Iterable[str]) -> str:
        for change in reversed(self._kb.history()):
            if self._is_about(change, scope):
                return f" ({_said(change)})"
        return ""

    async def _commit(self, transaction: Transaction, asked: Asked, scope: Iterable[str]) -> Clock:
        size = sum(map(len, (*transaction.assert_, *transaction.retract)))
        if size > limits.CHANGE_BYTES_MAX // 2:
            raise _too_long("the change", size, limits.CHANGE_BYTES_MAX // 2)
        try:
            return await self._kb.commit(
                transaction.why,
                who=asked.who,
                require=transaction.require,
                retract=transaction.retract,
                assert_=transaction.assert_,
                id=asked.id,
            )
        except Refused as error:
            if not str(error).startswith(CHANGED):
                raise
            raise Refused(f"{error}{self._last_change(scope)}: plan again") from None

    # -- undo, export ------------------------------------------------------------------------
    async def undo(self, op: UndoChange, asked: Asked) -> object:
        """Take the change at a clock back.

        Raises:
            NoSuchThing: there was none, or it is older than what is kept. Refused: it can't be.
        """
        clock = read_clock(op.clock)
        found = [change for change in self._kb.history() if change.clock == clock]
        if not found:
            raise NoSuchThing(f"no change at {clock} is kept here: `zactor kb log` shows which are")
        inverse = undo.inverse(found[0])
        if isinstance(inverse, Transaction):
            done = await self._commit(inverse, asked, ())
            return {"clock": done, "rows": [], "starts": [], "stops": [], "same": 0, "wish": ""}
        if isinstance(inverse, FormerCode):
            return await self._downgrade(inverse, asked)
        former = inverse.wish or Wish(name=inverse.name, keep=False)
        # It was so before, whatever the classes have by now.
        return await self._apply(former, PlanOptions(remove_all=True), asked, anyway=True)

    async def _downgrade(self, former: FormerCode, asked: Asked) -> dict[str, object]:
        row = facts.actor(self._kb.theory, former.name)
        if row is None or row.bundle not in (former.given, former.bundle):
            raise Refused(f"{former.name} hasn't the code any more that the change gave it")
        await self._ask_node(row.node, UpgradeActor(former.name, former.bundle, asked.who))
        clock = self._kb.clock
        return {"clock": clock, "rows": [], "starts": [], "stops": [], "same": 0, "wish": ""}

    async def export(self, op: ExportWish) -> object:
        """Return the network as a wish, and the names of files whose things aren't in it."""
        await self._kb.catch_up()
        wish, others = export.export(self._kb.theory, op.name)
        return {"wish": msgspec.to_builtins(wish), "others": others, "clock": self._kb.clock}


def _read(text: str) -> Wish:
    if len(text) > limits.WISH_BYTES_MAX:
        raise _too_long("the file, as JSON,", len(text), limits.WISH_BYTES_MAX)
    return wishes.from_text(text)


def _bundle(row: CodedActor | None) -> str:
    return "" if row is None else row.bundle


def _too_long(what: str, size: int, most: int) -> ConfigError:
    # Several transactions would be several plans, between which anybody may change anything, and
    # one that is refused would leave half of a file applied: no word of `apply` would hold.
    return ConfigError(
        f"{what} has {-(-size >> 10)} KiB, and one transaction {most >> 10} at most: make several"
        " files of it, each with a name of its own in [cluster], and their wires by `zactor wire`"
    )


def _said(change: ChangeReport) -> str:
    return f"{change.why} by {change.who} at {change.clock}"


def _told(plan: Plan, clock: Clock, rows: Iterable[PlanRow]) -> dict[str, object]:
    told = [msgspec.to_builtins(row) for row in rows]
    return {
        "wish": plan.wish.name,
        "clock": clock,
        "rows": told,
        "digest": plan.digest,
        "starts": plan.starts,
        "stops": list(plan.stops),
        "same": plan.same,
        "differs": plan.differs,
    }
