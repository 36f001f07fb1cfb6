"""A hub that is told to have nothing to do with some: as if their cables were pulled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hubs import first_heartbeat, linked, signal

from zactor.kernel.errors import NotReachable


def test_who_is_cut_off_is_neither_heard_nor_sent_to_and_nothing_is_lost(tmp_path: Path) -> None:
    """Also where one of the two was told only: what it doesn't take goes again afterwards."""

    async def story() -> None:
        async with linked(tmp_path) as ((one, mine), (two, user)):
            one.cut_off(frozenset({"n2"}))
            one.peers["n2"].put(signal(1))
            two.peers["n1"].put(signal(2))
            frames = one.peers["n2"].frames_in
            two.beat(first_heartbeat(two.me))
            with pytest.raises(NotReachable, match="n1 is cut off from n2"):
                await two.introduce(one.endpoint)
            with pytest.raises(NotReachable, match="n1 is cut off from n2"):
                await one.introduce(two.endpoint)
            assert (mine.items, user.items, mine.beats) == ([], [], [])
            assert "n2" in one.broken()
            assert one.peers["n2"].frames_in == frames
            one.cut_off(frozenset())
            await user.until(lambda: user.items == [signal(1)])
            await mine.until(lambda: mine.items == [signal(2)])
            assert one.peers["n2"].node == two.me

    asyncio.run(story())
