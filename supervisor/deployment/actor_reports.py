"""Actor reports: what has become of actors of this node, committed until it is known or past."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

import structlog

from zactor.kernel.errors import NoSuchActor, ZactorError
from zactor.kernel.knowledge.writer import format_term, quote_atom
from zactor.supervisor.kb import facts, node_marks, orders, policies, restart_groups
from zactor.supervisor.kb.fact_patterns import Requirement, actor_patterns, forget_patterns, still
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.restart_groups import Regroup, RestartGroup

log = structlog.get_logger()

RETRY_S = 0.2  # before a report that wasn't taken is repeated
TOLD_AT_ONCE = 256  # actors that began: one change, of 100 KiB or so at most
REMAINS = "; "  # between the words that it is gone and those that say what goes on


class ActorReports:
    """Commits what is true of the actors of one node. Kernel's loop only."""

    def __init__(self, me: str, kb: KnowledgeBase) -> None:
        """Args: me: the name of this node."""
        self._me = me
        self._kb = kb
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()  # by uid
        self._begun: list[tuple[ActorRow, asyncio.Future[bool]]] = []  # nobody was told yet
        self._is_telling = False

    async def runs(self, row: ActorRow) -> None:
        """Say that it runs, unless it was told to stop; with all that began meanwhile.

        A change costs every node about as much whatever it says: each of a thousand actors that are
        deployed together would cost as much as all of them. Where one can't be told of, each is
        told of by itself.
        """
        async with self._turn(row):
            told = asyncio.get_running_loop().create_future()
            self._begun.append((row, told))
            if not self._is_telling:
                await self._tell_begun()
            if not await told:
                change = _Change.to(row, "running", "", after="starting")
                await self._until_known(row, f"{row.name} is running", self._me, change)

    async def _tell_begun(self) -> None:
        self._is_telling = True
        try:
            await asyncio.sleep(0)  # others begin in this turn of the loop
            while self._begun:
                batch, self._begun = self._begun[:TOLD_AT_ONCE], self._begun[TOLD_AT_ONCE:]
                is_told = len(batch) > 1 and await self._tell([row for row, _ in batch])
                for _, told in batch:
                    told.set_result(is_told)
        finally:
            self._is_telling = False

    async def _tell(self, rows: Sequence[ActorRow]) -> bool:
        changes = [_Change.to(row, "running", "", after="starting") for row in rows]
        try:
            await self._kb.commit(
                f"{rows[0].name} and {len(rows) - 1} more are running",
                who=self._me,
                require=[each for change in changes for each in change.require],
                retract=[each for change in changes for each in change.retract],
                assert_=[each for change in changes for each in change.assert_],
            )
        except ZactorError as error:
            log.info("reports_apart", actors=len(rows), why=str(error))
            return False
        return True

    def _turn(self, row: ActorRow) -> asyncio.Lock:
        """What is said of one actor is committed in the order in which it is said.

        Where a node is cut off, "it runs" would else come behind "it is restarted", and be believed
        for ever.
        """
        return self._turns.setdefault(row.uid, asyncio.Lock())

    async def report(self, row: ActorRow, state: str, reason: str, *, after: str) -> None:
        """Say what became of it, unless it isn't `after` any more: it was told to stop, say."""
        change = _Change.to(row, state, reason, after=after)
        async with self._turn(row):
            await self._until_known(row, f"{row.name} is {state}", self._me, change)

    async def set_state(self, row: ActorRow, state: str, reason: str) -> None:
        """Say so, unless somebody has told it to stop meanwhile."""
        name = quote_atom(row.name)
        await self.insist(
            row,
            f"{row.name} is {state}",
            require=((f"\\+ state({name}, stopping, _)", "NoSuchActor", f"{row.name} is stopped"),),
            retract=(f"state({name}, _, _)",),
            assert_=(f"state({name}, {state}, {format_term(reason)})",),
        )

    async def forget(
        self, row: ActorRow, remains: str | None = None, *, after: str | None = None
    ) -> None:
        """Say that it is gone, unless it isn't `after` any more, or is to be brought back later.

        Args:
            remains: what of its code goes on. after: a state; None: any, and nobody wants it back.
        """
        why = f"{row.name} was destroyed"
        if remains:
            why = f"{why}{REMAINS}{remains}"
        name = quote_atom(row.name)
        aside, succeeded = node_marks.aside_pattern(row.name), policies.next_pattern(row.name)
        is_so: tuple[Requirement, ...] = (
            (f"state({name}, {after}, _)", "NoSuchActor", f"{row.name} isn't {after}"),
            (f"\\+ {aside}", "NoSuchActor", f"{row.name} is set aside"),
            (f"\\+ {succeeded}", "NoSuchActor", f"{row.name} is replaced"),
        )
        patterns = forget_patterns(row.name)
        await self.insist(row, why, require=is_so if after else (), retract=patterns)

    async def regroup(self, row: ActorRow, group: RestartGroup, why: str) -> None:
        """Say that it has failed, and its group with it, unless somebody has told it to stop."""
        regroup = Regroup(
            file=group.file,
            group=group.name,
            actor=row.name,
            cause=restart_groups.FAILED,
            why=f"{row.name} failed: {why}",
            phase=restart_groups.STOP,
            since=row.since,
        )
        name = quote_atom(row.name)
        await self.insist(
            row,
            regroup.why,
            require=((f"\\+ state({name}, stopping, _)", "NoSuchActor", f"{row.name} is stopped"),),
            retract=(f"state({name}, _, _)",),
            assert_=(f"state({name}, failed, {format_term(why)})", regroup.fact()),
        )

    async def set_aside(self, row: ActorRow) -> bool:
        """Say that it is lost, if it is to be brought back later; whether it is."""
        why = node_marks.aside(self._kb.theory, row.name)
        if why is not None:
            await self.insist(
                row,
                f"{row.name} is set aside: {why}",
                require=((node_marks.aside_fact(row.name, why), "NoSuchActor", "it is destroyed"),),
                retract=(*actor_patterns(row.name), node_marks.aside_pattern(row.name)),
                assert_=orders.lost_facts(row, 0, why),
            )
        return why is not None

    async def insist(
        self,
        row: ActorRow,
        why: str,
        *,
        who: str = "",
        require: tuple[Requirement, ...] = (),
        retract: tuple[str, ...],
        assert_: tuple[str, ...] = (),
    ) -> None:
        """Commit what is true of an actor here, again and again, until it is known or past.

        Args: who: whom it is done for; "": the node itself.
        """
        change = _Change((still(row), *require), retract, assert_)
        async with self._turn(row):
            await self._until_known(row, why, who or self._me, change)

    async def _until_known(self, row: ActorRow, why: str, who: str, change: _Change) -> None:
        while True:
            try:
                await self._kb.commit(
                    why,
                    who=who,
                    require=change.require,
                    retract=change.retract,
                    assert_=change.assert_,
                )
            except NoSuchActor:
                return
            except ZactorError as error:
                log.warning("report_refused", actor=row.name, what=why, why=str(error))
                await asyncio.sleep(RETRY_S)
            else:
                return
            now = facts.actor(self._kb.theory, row.name)
            if now is None or now.uid != row.uid:
                return


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be committed of an actor."""

    require: tuple[Requirement, ...]
    retract: tuple[str, ...]
    assert_: tuple[str, ...]

    @classmethod
    def to(cls, row: ActorRow, state: str, reason: str, *, after: str) -> _Change:
        """It is in that state, unless it isn't `after` any more."""
        name = quote_atom(row.name)
        return cls(
            require=(
                still(row),
                (f"state({name}, {after}, _)", "NoSuchActor", f"{row.name} isn't {after}"),
            ),
            retract=(f"state({name}, _, _)",),
            assert_=(f"state({name}, {state}, {format_term(reason)})",),
        )
