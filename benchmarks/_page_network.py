"""Networks for the rows about the page: many actors in few transactions."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from zactor import BlockingMaster
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedFactory, WishedWire

ACTORS = Path(__file__).with_name("_page_actors.py")
PART = 500  # actors of one transaction
READY_S = 480.0


def declare(m: BlockingMaster) -> None:
    """Say where the code is."""
    for kind in ("Beat", "Ear", "Firehose"):
        m.declare_factory(kind.lower(), ACTORS)


def deploy(m: BlockingMaster, nodes: list[str], count: int, beating: int, rate: float) -> None:
    """Deploy `count` actors over the nodes; `beating` of them emit `rate` times a second, each to
    another. Return when all run."""
    types = {str(row["type"]): str(row["bundle"]) for row in m.factories()}
    for part in range(0, count, PART):
        actors, wires = [], []
        for number in range(part, min(part + PART, count)):
            beats = number % 2 == 0 and number // 2 < beating
            actors.append(
                WishedActor(
                    name=f"a{number}",
                    type="beat" if number % 2 == 0 else "ear",
                    on=(nodes[number % len(nodes)],),
                    arguments=f'{{"rate":{rate}}}' if beats else "{}",
                )
            )
            if beats:
                wires.append(
                    WishedWire(emitter=f"a{number}", action="beat", reactor=f"a{number + 1}")
                )
        wish = Wish(
            name=f"part{part}",
            keep=False,
            factories=tuple(WishedFactory(type=t, bundle=types[t]) for t in ("beat", "ear")),
            actors=tuple(actors),
            wires=tuple(wires),
        )
        m.apply(wish.to_text())
    until(lambda: sum(row["state"] == "running" for row in m.actors()) >= count, f"{count} actors")


def until(condition: Callable[[], object], what: str, within_s: float = READY_S) -> None:
    """Wait until it holds."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not in {within_s:g} s: {what}")
        time.sleep(0.1)
