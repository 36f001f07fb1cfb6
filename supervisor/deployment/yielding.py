"""Yielding: a node says of which of its actors it knows that they may run elsewhere.

Those it ends when it is cut off (PROTOCOL.md, K6a), and only of those its silence proves anything.
It ends what it knows, and what it has said, so that between learning and saying, and between the
word on its way and the word heard, it is never believed to end what it doesn't.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import ZactorError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.writer import quote_atom
from zactor.supervisor.kb import facts, policies
from zactor.supervisor.kb.fact_patterns import Requirement, still
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership.departures import Sweep

log = structlog.get_logger()

RETRY_S = 0.2

Runs = Callable[[str, int], bool]
"""Whether the actor of that name and uid runs here, is on its way, or is stopping."""


def must_end(theory: Theory, name: str, me: str) -> bool:
    """Whether a node that was cut off for too long ends its actor `name`."""
    return policies.may_leave(theory, name, me) or policies.yields(theory, name)


def next_words(theory: Theory, me: str, names: Iterable[str], runs: Runs) -> Sweep | None:
    """Return what a node has to say of these actors; None: all is said."""
    require: list[Requirement] = []
    retract: list[str] = []
    assert_: list[str] = []
    for name in sorted(names):
        row, has_said = facts.actor(theory, name), policies.yields(theory, name)
        if row is None or row.node != me or not runs(name, row.uid):
            continue
        policy = policies.policy(theory, name)
        if (policy is not None and policy.names_others(me)) == has_said:
            continue
        # Here: elsewhere by then, it would be believed of a node that never said so.
        here = f"actor({quote_atom(name)}, _, {quote_atom(me)})"
        require += [still(row), (here, "NoSuchActor", f"{name} isn't here any more")]
        if has_said:
            retract.append(policies.yields_fact(name))
        else:  # who hears first that it may run nowhere else doesn't end it, until it hears this
            assert policy is not None, "it names others"
            require.append((policy.somehow(name), "NoSuchThing", f"{name} may run elsewhere now"))
            assert_.append(policies.yields_fact(name))
    if not require:
        return None
    return Sweep(
        why=f"{me} knows which of its actors may run elsewhere",
        require=tuple(require),
        retract=tuple(retract),
        assert_=tuple(assert_),
    )


class Yielding:
    """Says it, soon after it has changed. Kernel's loop only."""

    def __init__(
        self,
        me: str,
        kb: KnowledgeBase,
        runs: Runs,
        spawn_task: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        """Args: me: the name of this node. spawn_task: runs a coroutine."""
        self._me = me
        self._kb = kb
        self._runs = runs
        self._spawn_task = spawn_task
        self._due: set[str] = set()
        self._is_saying = False

    def look(self, name: str) -> None:
        """Something changed about this actor."""
        self._due.add(name)

    def keep(self) -> None:
        """Say what is due; called every HOUSEKEEPING_MS. What is refused is due still."""
        if self._due and not self._is_saying and self._kb.primary:
            self._is_saying = True
            self._spawn_task(self._say())

    async def _say(self) -> None:
        names: set[str] = set()
        try:
            while self._due:
                names = set(itertools.islice(self._due, limits.SWEPT_AT_ONCE))
                self._due -= names
                words = next_words(self._kb.theory, self._me, names, self._runs)
                if words is not None:
                    await self._kb.commit(
                        words.why,
                        who=self._me,
                        require=words.require,
                        retract=words.retract,
                        assert_=words.assert_,
                    )
                await asyncio.sleep(0)  # others have their turn
        except ZactorError as error:
            self._due |= names  # it changed meanwhile, or this node is cut off: looked at again
            log.debug("words_refused", node=self._me, why=str(error))
            await asyncio.sleep(RETRY_S)
        finally:
            self._is_saying = False
