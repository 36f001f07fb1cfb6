"""Gathering: what each node knows alone, of all nodes, in one order."""

from __future__ import annotations

import asyncio
from typing import TypeVar

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import ZactorError
from zactor.kernel.messages.operations import Inspect, Subject
from zactor.supervisor.membership.members import Members
from zactor.supervisor.membership.peer_calls import PeerCalls
from zactor.supervisor.observe.events import ReportFailed, Tell
from zactor.supervisor.observe.journal import DeadLetterReport, FailureReport
from zactor.supervisor.operations.report_rows import CheckReport, HealthReport, RuntimeReport

Shared = TypeVar(
    "Shared", DeadLetterReport, FailureReport, RuntimeReport, CheckReport, HealthReport
)
"""What each node knows alone."""


class Gathering:
    """Asks the other members. Kernel's loop only."""

    def __init__(self, members: Members, calls: PeerCalls, tell: Tell) -> None:
        """`calls` asks the others; `tell` hears who does not answer."""
        self._members = members
        self._calls = calls
        self._tell = tell

    async def rows(self, what: Subject, of: type[Shared], own: list[Shared]) -> list[Shared]:
        """Return `own` and those of every other node that answers in time, by time and node.

        A node that is stuck isn't asked: each question would cost the time that it has.
        """
        peers = [
            peer for peer in self._members.peers() if peer.node.name not in self._members.stuck
        ]
        limit_s = limits.HELLO_MS / 1000
        answers = await asyncio.gather(
            *(self._calls.ask(peer, Inspect(what, ""), limit_s) for peer in peers),
            return_exceptions=True,
        )
        rows = list(own)
        for peer, answer in zip(peers, answers, strict=True):
            if isinstance(answer, ZactorError):
                self._tell(ReportFailed(peer.node.name, what.value, str(answer)))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                rows += msgspec.convert(answer, list[of])  # type: ignore[valid-type]
        return sorted(rows, key=_place)


_AnyRow = DeadLetterReport | FailureReport | RuntimeReport | CheckReport | HealthReport


def _place(row: _AnyRow) -> tuple[float, str]:
    return (row.at if isinstance(row, DeadLetterReport | FailureReport) else 0, row.node)
