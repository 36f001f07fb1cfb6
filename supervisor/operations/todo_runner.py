"""Carries out the clauses of the knowledge base that are this node's: see todo_assignment.py.

Whoever begins a destruction writes the clause and then leaves it to what is here, so an operation
that is finished for a dead node takes the same way as one whose owner lives. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

import structlog

from zactor.kernel.errors import ZactorError
from zactor.kernel.ids import ORIGIN, NodeId
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts
from zactor.supervisor.kb.changed_facts import ChangedFacts, ClauseFact, ErrandFact
from zactor.supervisor.kb.facts import TodoRow
from zactor.supervisor.membership.members import Roles, is_there
from zactor.supervisor.observe.events import Tell, TodoState
from zactor.supervisor.operations.destroy import DESTROY_TODO, of_clause, todo_fact
from zactor.supervisor.operations.todo_assignment import (
    choose_assignee,
    is_mine,
    is_orphan,
    witness,
)
from zactor.supervisor.operations.workflow_runner import CommitLog, WorkflowRunner

log = structlog.get_logger()

RETRY_S = 0.2  # before what was refused is tried again
_RUN = tuple(step.name for step in DESTROY_TODO.steps if step.name != "write")


class ActingCommitLog(CommitLog, Protocol):
    """The knowledge base, which also knows who acts for the cluster."""

    @property
    def acting(self) -> bool:
        """Whether this node does."""
        ...


class TodoRunner:
    """The clauses that this node runs."""

    def __init__(
        self,
        me: NodeId,
        *,
        kb: ActingCommitLog,
        runner: WorkflowRunner,
        roles: Callable[[], Roles],
        spawn: Callable[[Coroutine[Any, Any, object]], None],
        tell: Tell,
    ) -> None:
        """`roles` gives the members of the view; `tell` brings an event to whoever wants it."""
        self._me = me
        self._kb = kb
        self._runner = runner
        self._roles = roles
        self._spawn = spawn
        self._tell = tell
        self._running: dict[str, asyncio.Event] = {}  # set when the run is over
        self._unsure: set[str] = set()  # clauses of ours that may not be everywhere yet
        self._due = asyncio.Event()

    # -- what happened -----------------------------------------------------------------------
    def nudge(self) -> None:
        """The view or the clauses may be different."""
        for todo in facts.todos(self._kb.theory):
            busy = todo.id in self._running or todo.id in self._unsure
            if not busy and is_mine(todo, self._me, self._roles()):
                self._running[todo.id] = asyncio.Event()
                self._spawn(self._carry(todo.id))
        self._due.set()

    def on_change(self, changed: ChangedFacts) -> None:
        """These facts were taken away and brought."""
        errands = {fact.id: fact for fact in changed.retracted if isinstance(fact, ErrandFact)}
        for fact in changed.retracted:
            if isinstance(fact, ClauseFact) and fact.id in errands:
                self._tell_done(facts.todo_of(fact, errands[fact.id], ORIGIN))
        if any(isinstance(fact, ClauseFact | ErrandFact) for fact in changed.asserted):
            self.nudge()

    @contextlib.contextmanager
    def writing(self, id_: str) -> Iterator[None]:
        """In the block a clause is written: nothing is done for it before that is sure."""
        self._unsure.add(id_)
        try:
            yield
        finally:
            self._unsure.discard(id_)
            self.nudge()

    async def finished(self, id_: str) -> None:
        """Return when the clause is no more, whoever did what it says, and our part is over."""
        kb = self._kb
        await kb.until(lambda: True if facts.todo(kb.theory, id_) is None else None, None)
        if (over := self._running.get(id_)) is not None:
            await over.wait()

    def assignee(self, name: str) -> tuple[str, str]:
        """Return who is to finish it if we die while we destroy the actor `name`.

        And words where that is no good one.
        """
        row = facts.actor(self._kb.theory, name)
        return choose_assignee(
            self._roles(),
            actor_node=row.node if row is not None else "",
            owner=self._me.name,
            others=facts.todos(self._kb.theory),
        )

    # -- running them ------------------------------------------------------------------------
    async def _carry(self, id_: str) -> None:
        """Take every step, again and again, until the clause is no more, or another's."""
        kb = self._kb
        try:
            while (todo := self._mine(id_)) is not None:
                try:
                    await self._run(todo)
                except ZactorError as error:
                    log.warning("todo_refused", id=id_, why=str(error))
                    await asyncio.sleep(RETRY_S)
                else:  # it may not have come here yet that it is done
                    await kb.until(lambda: None if self._mine(id_) else True, RETRY_S)
        finally:
            self._running.pop(id_).set()

    def _mine(self, id_: str) -> TodoRow | None:
        todo = facts.todo(self._kb.theory, id_)
        return todo if todo is not None and is_mine(todo, self._me, self._roles()) else None

    async def _run(self, todo: TodoRow) -> None:
        if todo.owner != self._me:
            log.info("todo_taken_over", id=todo.id, actor=todo.name, owner=str(todo.owner))
        self._tell(TodoState(todo.id, "pending"))

        def begins(step: str) -> None:
            number = DESTROY_TODO.number(step)
            self._tell(TodoState(todo.id, f"step:{number}"))

        await self._runner.run(
            DESTROY_TODO, of_clause(todo), who=self._me.name, only=_RUN, begins=begins
        )

    def _tell_done(self, todo: TodoRow) -> None:
        log.info("todo_done", id=todo.id, actor=todo.name)
        nodes = facts.nodes(self._kb.theory)
        lives = {name: row.incarnation for name, row in nodes.items()}
        if witness(todo, lives) == self._me.name:
            self._tell(TodoState(todo.id, "done"))

    # -- for the cluster ---------------------------------------------------------------------
    async def run(self) -> None:
        """Name another assignee where one is out of the view, while this node acts."""
        while True:
            await self._due.wait()
            self._due.clear()
            if not self._kb.acting:
                continue
            try:
                await self._reassign()
            except ZactorError as error:
                log.warning("todo_not_reassigned", why=str(error))
                await asyncio.sleep(RETRY_S)
                self._due.set()

    async def _reassign(self) -> None:
        for todo in facts.todos(self._kb.theory):
            roles = self._roles()
            if not is_orphan(todo, roles):
                continue
            actor = facts.actor(self._kb.theory, todo.name)
            assignee, remark = choose_assignee(
                roles,
                actor_node=actor.node if actor is not None else "",
                owner=todo.owner.name if is_there(todo.owner, roles) else "",
                others=facts.todos(self._kb.theory),
            )
            before, after = (
                todo_fact(todo.id, todo.name, quote_atom(todo.owner.name), quote_atom(name))
                for name in (todo.assignee, assignee)
            )
            await self._kb.commit(
                f"{todo.assignee} is gone: {assignee} is to finish todo {todo.id}{remark}",
                who=self._me.name,
                require=((before, "NoSuchThing", f"todo {todo.id} is another's already"),),
                retract=(before,),
                assert_=(after,),
            )
