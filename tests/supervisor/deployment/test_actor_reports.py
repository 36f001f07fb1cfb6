"""What a node says of actors that begin together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from zactor.kernel.errors import NoSuchActor
from zactor.kernel.ids import ORIGIN, Clock
from zactor.kernel.knowledge.theory import Theory
from zactor.supervisor.deployment.actor_reports import TOLD_AT_ONCE, ActorReports
from zactor.supervisor.kb.fact_patterns import Requirement
from zactor.supervisor.kb.facts import ActorRow


class Kb:
    """Takes changes, one after the other; refuses those about who was told to stop."""

    def __init__(self, *stopped: str) -> None:
        self.theory = Theory(())
        self.stopped = stopped
        self.taken: list[tuple[str, tuple[str, ...]]] = []

    async def commit(
        self,
        why: str,
        *,
        who: str,
        require: Sequence[Requirement],
        retract: Sequence[str],
        assert_: Sequence[str],
    ) -> Clock:
        assert who == "n1"
        assert len(require) == 2 * len(assert_) == 2 * len(retract)
        await asyncio.sleep(0)
        for goal, kind, words in require:
            if any(f"state({name}, " in goal for name in self.stopped):
                assert kind == "NoSuchActor"
                raise NoSuchActor(words)
        self.taken.append((why, tuple(assert_)))
        return ORIGIN


def row(number: int) -> ActorRow:
    return ActorRow(
        name=f"s{number}",
        type="sink",
        node="n1",
        uid=number,
        bundle="sha256:0",
        arguments="{}",
        deployment=f"d{number}",
        state="starting",
        reason="",
        since=ORIGIN,
        at=0.0,
    )


def tell(kb: Kb, count: int) -> None:
    async def story() -> None:
        reports = ActorReports("n1", kb)  # type: ignore[arg-type]  # what is used of it
        async with asyncio.timeout(10):
            await asyncio.gather(*(reports.runs(row(number)) for number in range(count)))

    asyncio.run(story())


def runs(number: int) -> str:
    return f'state(s{number}, running, "")'


def test_actors_that_begin_together_are_told_of_by_one_change() -> None:
    kb = Kb()
    tell(kb, 3)
    assert kb.taken == [("s0 and 2 more are running", (runs(0), runs(1), runs(2)))]


def test_one_alone_is_told_of_by_its_name() -> None:
    kb = Kb()
    tell(kb, 1)
    assert kb.taken == [("s0 is running", (runs(0),))]


def test_each_is_told_of_by_itself_where_one_was_told_to_stop() -> None:
    kb = Kb("s1")
    tell(kb, 3)
    assert sorted(kb.taken) == [
        ("s0 is running", (runs(0),)),
        ("s2 is running", (runs(2),)),
    ]


def test_no_change_tells_of_more_than_fit() -> None:
    kb = Kb()
    tell(kb, TOLD_AT_ONCE + 2)
    assert [len(said) for _, said in kb.taken] == [TOLD_AT_ONCE, 2]
