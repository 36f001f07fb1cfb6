"""Watching: what nodes count, what their actors show and say, for who looks on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Protocol

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import ZactorError
from zactor.kernel.messages.operations import LookAtPanels, Operation, ReadOutput, Watch
from zactor.supervisor.asker import Asker
from zactor.supervisor.membership.members import Members
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.observe.actor_output import ActorOutput
from zactor.supervisor.observe.metrics import Metrics, NodeCounts
from zactor.supervisor.observe.panels import Panels

_SLOWER_S = 0.5  # than this node another may be, until its counts come with the next answer


class AsksNodes(Protocol):
    """What carries out an operation at a node, which may be this one."""

    def __call__(self, node: str, operation: Operation) -> Awaitable[object]:
        """Return its result."""
        ...


class Watching:
    """Answers who looks on. Kernel's loop only."""

    def __init__(
        self,
        me: str,
        *,
        metrics: Metrics,
        panels: Panels,
        output: ActorOutput,
        members: Members,
        calls: PeerCalls,
        ask_node: AsksNodes,
    ) -> None:
        """`calls` and `ask_node` ask other nodes for what each knows alone."""
        self._me = me
        self._metrics = metrics
        self._panels = panels
        self._output = output
        self._members = members
        self._calls = calls
        self._ask_node = ask_node

    async def watch(self, op: Watch, asker: Asker) -> object:
        """Return what each node counted; a node that doesn't answer in time is left out."""
        if op.node not in ("", self._me):
            return await self._ask_node(op.node, op)
        wait_s = _bounded(op.wait_s)
        own = self._metrics.watch(op.after.get(self._me, 0), wait_s)
        if not asker.is_client or op.node:
            return [await own]
        peers = [
            peer for peer in self._members.peers() if peer.node.name not in self._members.stuck
        ]
        limit_s = wait_s + _SLOWER_S
        answers = await asyncio.gather(
            own,
            *(self._calls.ask(peer, _of_peer(op, peer.node.name), limit_s) for peer in peers),
            return_exceptions=True,
        )
        found: list[NodeCounts] = []
        for answer in answers:
            if isinstance(answer, NodeCounts):
                found.append(answer)
            elif isinstance(answer, BaseException):
                if not isinstance(answer, ZactorError):
                    raise answer
            else:
                found += msgspec.convert(answer, list[NodeCounts])
        return found

    async def look(self, op: LookAtPanels, asker: Asker) -> object:
        """Return what actors of a node show, where that has changed."""
        if op.node != self._me:
            return await self._ask_node(op.node, op)
        return await self._panels.look(op.after, _bounded(op.wait_s))

    async def read(self, op: ReadOutput, asker: Asker) -> object:
        """Return what actors of a node printed, logged and raised."""
        if op.node not in ("", self._me):
            return await self._ask_node(op.node, op)
        lines, after = await self._output.wait(op.actor, op.after, op.since, _bounded(op.wait_s))
        return {
            "node": self._me,
            "lines": lines,
            "next": after,
            "others": sorted(peer.node.name for peer in self._members.peers()),
        }


def _of_peer(op: Watch, node: str) -> Watch:
    return Watch({node: op.after.get(node, 0)}, op.wait_s, node)


def _bounded(wait_s: float) -> float:
    return min(max(wait_s, 0.0), limits.WATCH_WAIT_S)
