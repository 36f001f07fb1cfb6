"""Peers that come and go leave nothing at the node that stays."""

from __future__ import annotations

import asyncio
import gc
import os
from collections import Counter
from pathlib import Path

from hubs import hub, signal

from zactor.kernel.transport.hub import Hub

FIRST = 10  # meetings, after which all that is kept once is there
MORE = 30


async def _meet(one: Hub, home: Path, life: int) -> None:
    """The next life of n2 is met, gets something, and ends without a word."""
    async with hub(home, "n2", life) as (two, user):
        await one.introduce(two.endpoint)
        await user.until(lambda: user.up == ["n1@1"])
        one.peers["n2"].put(signal(life))
        await user.until(lambda: bool(user.items))
    one.drop_peer("n2", "it ended")


def _held() -> Counter[str]:
    """Our objects and libzmq's by their class, and descriptors by what they are."""
    gc.collect()
    kinds = [type(each) for each in gc.get_objects()]
    found = Counter(
        str(kind) for kind in kinds if str(kind.__module__).startswith(("zactor", "zmq"))
    )
    for name in os.listdir("/proc/self/fd"):
        try:
            found[os.readlink(f"/proc/self/fd/{name}").partition(":")[0]] += 1
        except FileNotFoundError:  # that of the listing itself
            continue
    return found


def test_meetings_and_partings_leave_no_object_and_no_descriptor(tmp_path: Path) -> None:
    async def story() -> dict[str, int]:
        async with hub(tmp_path, "n1") as (one, user):
            for life in range(1, FIRST + 1):
                await _meet(one, tmp_path, life)
            user.gone.clear()
            before = _held()
            for life in range(FIRST + 1, FIRST + MORE + 1):
                await _meet(one, tmp_path, life)
            user.gone.clear()
            user.up.clear()
            after = _held()
            return {name: count - before[name] for name, count in after.items()}

    grown = asyncio.run(story())
    assert grown.keys() >= {"socket", str(Hub)}
    assert not {name: count for name, count in grown.items() if count >= MORE}
