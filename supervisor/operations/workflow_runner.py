"""The one interpreter of workflows: asks which step is due, and carries it out.

Nothing is remembered between two runs but what the knowledge base says. Kernel's loop only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol, TypeVar

from zactor.kernel.errors import TimedOut, ZactorError
from zactor.kernel.ids import Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.operations.crash_points import BEFORE, DURING, END, CrashAt
from zactor.supervisor.operations.workflow import (
    Effect,
    PeerCall,
    Transact,
    Wait,
    Workflow,
    next_step,
)

Parameters = TypeVar("Parameters")
T = TypeVar("T")

PeerCaller = Mapping[str, Callable[[], Awaitable[object]]]
"""What the steps that are a PeerCall do, by their names."""


class CommitLog(Protocol):
    """What is needed of the knowledge base: of the real one, or one of a simulation."""

    @property
    def theory(self) -> Theory:
        """The facts as they are here now."""
        ...

    async def commit(
        self,
        why: str,
        *,
        who: str,
        require: tuple[Requirement, ...] = (),
        retract: tuple[str, ...] = (),
        assert_: tuple[str, ...] = (),
        id: str = "",
    ) -> Clock:
        """Change the theory of every node, all of it or nothing."""
        ...

    async def until(self, find: Callable[[], T | None], timeout_s: float | None) -> T | None:
        """Return what `find` returns as soon as that is something; None when the time is over."""
        ...


class WorkflowRunner:
    """Runs operations at one node, any number at a time."""

    def __init__(self, kb: CommitLog, crash: CrashAt | None = None) -> None:
        """`crash` is where this process is to die, for tests."""
        self._kb = kb
        self._crash = crash

    async def run(
        self,
        workflow: Workflow[Parameters],
        parameters: Parameters,
        *,
        who: str,
        calls: PeerCaller | None = None,
        only: Collection[str] = (),
        begins: Callable[[str], None] = lambda step: None,
    ) -> dict[str, object]:
        """Take every step of `workflow` that is due, in order; return their outcomes by name.

        Args:
            who: is written into the changes.
            only: take just these steps; (): all.
            begins: is told the name of each step before it does anything.

        Raises:
            ZactorError: a step can't be done; those before it are.
        """
        outcomes: dict[str, object] = {}
        taken = {step.name for step in workflow.steps if only and step.name not in only}
        while (due := next_step(workflow, parameters, self._kb.theory, taken)) is not None:
            step, effect = due
            begins(step.name)
            place = f"{workflow.name}:{step.name}"
            outcomes[step.name] = await self._carry_out(place, effect, who, calls or {})
            taken.add(step.name)
        if not only or workflow.steps[-1].name in only:
            self._reach(f"{workflow.name}:{END}")
        return outcomes

    async def _carry_out(self, place: str, effect: Effect, who: str, calls: PeerCaller) -> object:
        self._reach(f"{place}.{BEFORE}")
        if self._crash is None or self._crash.point != f"{place}.{DURING}":
            return await self._do(effect, who, calls)
        task = asyncio.ensure_future(self._do(effect, who, calls))
        try:
            for _ in range(self._crash.turns):
                if not task.done():
                    await asyncio.sleep(0)
            self._reach(f"{place}.{DURING}")
            return await task
        finally:
            task.cancel()  # a simulated death; where the step ended it changes nothing

    def _reach(self, point: str) -> None:
        if self._crash is not None:
            self._crash.reach(point)

    async def _do(self, effect: Effect, who: str, calls: PeerCaller) -> object:
        match effect:
            case Transact():
                return await self._transact(effect, who)
            case Wait(over=over, limit_s=limit_s):
                found = await self._kb.until(lambda: over(self._kb.theory), limit_s)
                if found is None:
                    raise TimedOut(effect.late)
                return found
            case PeerCall(name=name):
                return await calls[name]()

    async def _transact(self, effect: Transact, who: str) -> Clock | None:
        try:
            return await self._kb.commit(
                effect.why,
                who=who,
                require=effect.require,
                retract=effect.retract,
                assert_=effect.assert_,
                id=effect.id,
            )
        except ZactorError as error:
            if type(error).__name__ not in effect.settled_by:
                raise
            return None
