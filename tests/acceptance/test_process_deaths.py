"""Processes of actors begin and die beside others, whose signals go on as if nothing were.

`-s` shows the gaps between signals, beside those of a process that only sleeps.
"""

from __future__ import annotations

import itertools
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S, running

from zactor import OutcomeUnknown, ZactorError, connect
from zactor.lab.lab import Lab, until

ACTORS = Path(__file__).with_name("killed_actors.py")
LISTENERS = ("SharedNoting", "ThreadNoting")
WAYS = {
    "leave": r"ended with exit code 3; it said last: .*my last words",
    "crash": "was killed by SIGSEGV; it said last: Fatal Python error: Segmentation fault",
    "eat": "out of memory: it may have 64 MiB",
}
GAP_S = 0.02
EVERY_S = 0.1

pytestmark = pytest.mark.slow


def gaps(times: list[float], begun: float, over: float) -> list[tuple[float, float]]:
    """From one to the next, where both are between."""
    return [(one, two) for one, two in itertools.pairwise(times) if begun <= one and two <= over]


def in_pairs(names: list[str]) -> list[list[str]]:
    return [names[at : at + 2] for at in range(0, len(names), 2)]


def words(what: str, found: list[tuple[float, float]]) -> str:
    lengths = [(two - one) * 1e3 for one, two in found]
    return (
        f"{what}: {len(lengths)} gaps, median {statistics.median(lengths):.2f} ms, worst"
        f" {max(lengths):.2f} ms, {sum(each > GAP_S * 1e3 for each in lengths)} over 20 ms"
    )


@contextmanager
def controlled() -> Iterator[Future[list[float]]]:
    """Have a process that only sleeps note when it is woken; told after the block."""
    found: Future[list[float]] = Future()
    script = f"import sys; sys.path.insert(0, {str(ACTORS.parent)!r}); import killed_actors as k"
    with running(
        [sys.executable, "-c", f"{script}; k.control()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        yield found
        out, _ = process.communicate(b"x", timeout=DEADLINE_S)
        found.set_result([float(each) for each in out.split()])


def die(master: Any, name: str, way: str) -> str:
    """Have an actor die that way; what is wrong with what is told of it."""
    try:
        master.ask(name, way, timeout=DEADLINE_S)
    except ZactorError as error:
        if way == "eat" and "MemoryError" in str(error):  # that was still answered
            return ""
        right = isinstance(error, OutcomeUnknown) and re.search(WAYS[way], str(error), re.DOTALL)
        return "" if right else f"{way}: {error!r}"
    return f"{way} was answered"


@pytest.mark.parametrize(
    "deaths", [9, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.limit(600)])]
)
def test_processes_that_begin_and_die_hold_up_nobody(lab: Lab, slowness: Any, deaths: int) -> None:
    lab.start("n1")
    names = [f"x{number}" for number in range(deaths)]
    spans: dict[str, tuple[float, float]] = {}
    with controlled() as control, connect(lab.endpoint("n1"), home=lab.home) as m:
        for kind in ("Mortal", "Source", *LISTENERS):
            m.declare_factory(kind, ACTORS)
        m.deploy_actor("Source", "s", "n1")
        for kind in LISTENERS:
            m.deploy_actor(kind, kind.lower(), "n1")
            m.react_interaction(kind.lower(), "s", "number")
        m.deploy_actor("Mortal", "first", "n1")  # what is loaded once is loaded
        with ThreadPoolExecutor(deaths) as threads:

            def span(what: str, begun: float) -> None:
                spans[what] = (begun, time.monotonic())

            began = time.monotonic()
            threading.Event().wait(deaths * EVERY_S)  # nothing happens, as long as they will die
            span("quiet", began)
            began = time.monotonic()
            for some in in_pairs(names):
                list(threads.map(lambda name: m.deploy_actor("Mortal", name, "n1"), some))
            span("births", began)
            began = time.monotonic()
            dying = []
            for number, (name, way) in enumerate(zip(names, itertools.cycle(WAYS), strict=False)):
                threading.Event().wait(max(0.0, began + number * EVERY_S - time.monotonic()))
                dying.append(threads.submit(die, m, name, way))
            wrong = [said for said in (each.result(DEADLINE_S) for each in dying) if said]
            span("deaths", began)
        until(
            "all stand as failed",
            lambda: sum(row["state"] == "failed" for row in m.actors()) == deaths,
        )
        assert wrong == []
        assert {row["state"] for row in m.actors() if row["name"] not in names} == {"running"}
        heard = {kind: m.ask(kind.lower(), "found", timeout=DEADLINE_S) for kind in LISTENERS}
    late = []
    for what, (begun, over) in spans.items():
        print(words(f"{what}, one that sleeps", gaps(control.result(), begun, over)))
        for kind, noted in heard.items():
            numbers = [number for number, _ in noted]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            found = gaps([at for _, at in noted], begun, over)
            print(words(f"{what}, {kind}", found))
            late += [
                f"{what}, {kind}: {two - one:.3f} s"
                for one, two in found
                if slowness.quiet_s(two - one) > GAP_S
            ]
    assert late == []
