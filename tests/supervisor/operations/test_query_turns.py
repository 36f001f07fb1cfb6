"""Queries of several clients take turns, and leave the loop to others."""

from __future__ import annotations

import asyncio
from collections.abc import Generator

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.errors import Refused
from zactor.supervisor.operations.query_turns import QueryTurns


def work(log: list[str], name: str, steps: int) -> Generator[object, None, None]:
    """Yield a row after so many steps."""
    try:
        for _ in range(steps):
            log.append(name)
            yield None
        yield {"by": name}
    finally:
        log.append(f"{name} ends")


def reads(who: str) -> bool:
    return False


def decoded(found: list[msgspec.Raw]) -> list[object]:
    return [msgspec.msgpack.decode(row) for row in found]


def test_each_client_has_its_turn_and_its_queries_follow_each_other() -> None:
    async def story() -> list[str]:
        turns, log = QueryTurns[str](reads), list[str]()
        names = [("a", "a1"), ("a", "a2"), ("b", "b1")]
        rows = [turns.rows(who, work(log, name, 3)) for who, name in names]
        found = await asyncio.gather(*rows)
        assert [decoded(each) for each in found] == [[{"by": name}] for _, name in names]
        return log

    log = asyncio.run(story())
    assert log[:6] == ["a1", "b1"] * 3
    assert log.index("a1 ends") < log.index("a2")


def test_a_query_gives_the_loop_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUERY_SLICE_MS", 1)

    async def story() -> None:
        turns, log = QueryTurns[str](reads), list[str]()
        query = asyncio.ensure_future(turns.rows("a", work(log, "a1", 100_000)))
        seen = set()
        while not query.done():
            seen.add(len(log))
            await asyncio.sleep(0)
        assert len(seen) > 10

    asyncio.run(story())


def test_what_nobody_waits_for_any_more_leaves_nothing() -> None:
    async def story() -> None:
        turns, log = QueryTurns[str](reads), list[str]()
        endless = asyncio.ensure_future(turns.rows("a", work(log, "a1", 10**9)))
        behind = asyncio.ensure_future(turns.rows("a", work(log, "a2", 3)))
        while "a1" not in log:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0)
        endless.cancel()
        assert decoded(await behind) == [{"by": "a2"}]
        assert endless.cancelled()
        assert "a1 ends" in log
        assert not turns._lines

    asyncio.run(story())


def test_what_goes_wrong_is_told_to_who_asked_and_to_nobody_else() -> None:
    def bad() -> Generator[object, None, None]:
        yield None
        raise Refused("no")

    def unencodable() -> Generator[object, None, None]:
        yield object()

    async def story() -> None:
        turns, log = QueryTurns[str](reads), list[str]()
        good = asyncio.ensure_future(turns.rows("b", work(log, "b1", 9)))
        with pytest.raises(Refused, match="no"):
            await turns.rows("a", bad())
        with pytest.raises(TypeError):
            await turns.rows("a", unencodable())
        assert decoded(await good) == [{"by": "b1"}]

    asyncio.run(story())


def test_an_answer_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "QUERY_ANSWER_BYTES_MAX", 1_000)

    def endless() -> Generator[object, None, None]:
        while True:
            yield "a" * 90

    async def story() -> None:
        with pytest.raises(Refused, match="longer than 1000 bytes"):
            await QueryTurns[str](reads).rows("a", endless())

    asyncio.run(story())


def test_who_reads_no_answers_is_asked_to_wait_and_nobody_else() -> None:
    async def story() -> None:
        behind, log = {"a"}, list[str]()
        turns = QueryTurns[str](behind.__contains__)
        late = asyncio.ensure_future(turns.rows("a", work(log, "a1", 3)))
        assert decoded(await turns.rows("b", work(log, "b1", 3))) == [{"by": "b1"}]
        assert "a1" not in log
        behind.clear()
        assert decoded(await late) == [{"by": "a1"}]

    asyncio.run(story())


def test_a_query_that_has_begun_goes_on() -> None:
    async def story() -> None:
        behind, log = set[str](), list[str]()
        turns = QueryTurns[str](behind.__contains__)

        def falls_behind() -> Generator[object, None, None]:
            yield None
            behind.add("a")
            yield {"by": "a1"}

        assert decoded(await turns.rows("a", falls_behind())) == [{"by": "a1"}]
        late = asyncio.ensure_future(turns.rows("a", work(log, "a2", 1)))
        await turns.rows("b", work(log, "b1", 3))
        assert not late.done()
        late.cancel()

    asyncio.run(story())
