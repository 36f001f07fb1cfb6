"""Drain and resume: no actor is to run on a node for a while; those there move, or are set aside.

The word is a fact, and the acting node does the rest (supervisor/membership/draining.py), so it is
done though who asked goes. Here it is waited for, and hurried when its time is over.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from zactor.kernel.errors import AlreadyExists, NoSuchThing, TimedOut
from zactor.kernel.knowledge.writer import quote_atom
from zactor.kernel.messages.desired import DrainNode, ResumeNode
from zactor.supervisor.kb import facts, node_marks, orders, policies
from zactor.supervisor.kb.facts import ActorRow
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.membership import draining
from zactor.supervisor.operations.changes import Asked

HURRIED_S = 15.0  # in which actors are down that were told to stop at once, see STOP_HOOK_S


class Draining:
    """Carries out an operator's words about nodes. Kernel's loop only."""

    def __init__(self, kb: KnowledgeBase) -> None:
        """Args: kb: of this node."""
        self._kb = kb

    async def drain(self, op: DrainNode, asked: Asked) -> object:
        """Say that a node is drained, and wait until no actor runs there.

        Returns {"node", "actors"}: rows of name, done (moved | stopped | ended | failed), node.

        Raises:
            NoSuchThing: there is no such node. TimedOut: actors there don't end; it goes on.
        """
        self._check(op.node)
        before = [row for row in self._on(op.node) if row.state != "stopping"]
        with contextlib.suppress(AlreadyExists):  # it goes on where it is
            await self._kb.commit(
                f"drain({op.node})",
                who=asked.who,
                require=(self._is_not_drained(op.node), _is_node(op.node)),
                assert_=(node_marks.drained_fact(op.node),),
                id=asked.id,
            )
        limit_s = None if op.deadline_s < 0 else op.deadline_s
        if await self._empty(op.node, limit_s) is None:
            await self._hurry(op.node, asked)
        return {"node": op.node, "actors": [self._what_became_of(row) for row in before]}

    def _check(self, node: str) -> None:
        known = facts.nodes(self._kb.theory)
        if node not in known:
            raise NoSuchThing(f"no node {node} (there are: {', '.join(known)})")

    def _is_not_drained(self, node: str) -> tuple[str, str, str]:
        goal = f"\\+ {node_marks.drained_fact(node)}"
        return goal, "AlreadyExists", f"{node} is drained already"

    def _on(self, node: str) -> list[ActorRow]:
        rows = facts.actors(self._kb.theory, node)
        return [row for row in rows if row.state in draining.BUSY]

    async def _empty(self, node: str, limit_s: float | None) -> bool | None:
        return await self._kb.until(lambda: None if self._on(node) else True, limit_s)

    async def _hurry(self, node: str, asked: Asked) -> None:
        """Its time is over: what is left stops at once."""
        while (step := draining.at_once(self._kb.theory, node)) is not None:
            with contextlib.suppress(NoSuchThing):  # it ended, or moved, in this very moment
                await self._kb.commit(
                    step.why,
                    who=asked.who,
                    require=step.require,
                    retract=step.retract,
                    assert_=step.assert_,
                )
            if await self._empty(node, HURRIED_S) is None:
                names = ", ".join(row.name for row in self._on(node)[:10])
                raise TimedOut(
                    f"{names} on {node} didn't stop within {HURRIED_S:g} s; they may yet"
                )

    def _what_became_of(self, row: ActorRow) -> Mapping[str, str]:
        theory = self._kb.theory
        now, lost = facts.actor(theory, row.name), orders.lost(theory, row.name)
        if now is not None:
            done = "moved" if now.node != row.node else now.state
            return {"name": row.name, "done": done, "node": now.node}
        done = "stopped" if lost is not None else "ended"
        return {"name": row.name, "done": done, "node": row.node}

    async def resume(self, op: ResumeNode, asked: Asked) -> object:
        """Let actors run on a node again; what is kept for it comes back by itself.

        Returns {"node", "back", "lost"}: names of those that come back, and of those that don't.

        Raises:
            NoSuchThing: it isn't drained.
        """
        drained = node_marks.drained_fact(op.node)
        words = ", ".join(node_marks.drained(self._kb.theory)) or "none"
        await self._kb.commit(
            f"resume({op.node})",
            who=asked.who,
            require=((drained, "NoSuchThing", f"{op.node} isn't drained (drained: {words})"),),
            retract=(drained,),
            id=asked.id,
        )
        theory = self._kb.theory
        lost = [row.name for row in orders.all_lost(theory, op.node)]
        kept = [
            name
            for name in lost
            if (policy := policies.policy(theory, name)) is not None and op.node in policy.on
        ]
        return {
            "node": op.node,
            "back": kept,
            "lost": [name for name in lost if name not in kept],
        }


def _is_node(node: str) -> tuple[str, str, str]:
    return f"node({quote_atom(node)}, _)", "NoSuchThing", f"node {node} is gone"
