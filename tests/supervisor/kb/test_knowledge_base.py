"""The knowledge base by itself: who waits for the same change, and how that ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from zactor.kernel import limits
from zactor.kernel.errors import NotPrimary
from zactor.kernel.ids import NodeId
from zactor.supervisor.kb.home_founding import HomeFounding
from zactor.supervisor.kb.knowledge_base import KnowledgeBase
from zactor.supervisor.kb.store import Store

SOON_S = 30.0


def alone(folder: Path, told: Callable[..., None]) -> tuple[KnowledgeBase, Store]:
    """A knowledge base that has never met anybody, and founds nothing."""
    store = Store(folder)
    kb = KnowledgeBase(
        NodeId("n1", 1),
        "node",
        store,
        send=told,
        all_in=lambda: False,
        is_eager=False,
        home=HomeFounding(folder),
        on_change=told,
        on_reset=told,
        on_primary=told,
        on_broken=told,
        tell=told,
    )
    return kb, store


def test_who_asks_for_the_same_change_is_told_though_the_first_to_ask_went_away(
    tmp_path: Path,
) -> None:
    async def play() -> list[object]:
        kb, store = alone(tmp_path, lambda *words: None)

        async def commit() -> object:
            return await kb.commit("a test", who="me", assert_=("p(1)",), id="c1")

        first = asyncio.create_task(commit())
        second = asyncio.create_task(commit())
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        third = asyncio.create_task(commit())
        await asyncio.sleep(0)
        kb.tick(0)
        kb.tick(limits.KB_REFUSE_MS)
        async with asyncio.timeout(SOON_S):
            ends = await asyncio.gather(second, third, return_exceptions=True)
        kb.close()
        store.close()
        return list(ends)

    ends = asyncio.run(play())
    assert [type(end) for end in ends] == [NotPrimary, NotPrimary]
