"""Faults on a lab of five hosts: until every survivor has the new view, until deployments work.

    python benchmarks/lab_faults.py [--rounds 10] [--only "kill -9,cable out"] [--json]
    python benchmarks/lab_faults.py --corosync      the same of corosync, with Debian's defaults

Wants root, or user namespaces, and a quiet machine. Prints median and worst of the rounds, in s.
Corosync (apt-get install corosync; root) deploys nothing: its column is the views'.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _corosync

from zactor import ZactorError, connect
from zactor.lab.lab_client import LabClient
from zactor.lab.topology import counted

ALL = ("n1", "n2", "n3", "n4", "n5")
BEGIN_PAUSE_S = 1.0
LIMIT_S = 60.0
PROBER = "prober"


@dataclass(frozen=True)
class Fault:
    """What is done, and who is to have which view then."""

    lines: tuple[str, ...]
    views: tuple[tuple[str, ...], ...]  # each: members, who all have just that view
    before: tuple[str, ...] = ()  # lines that prepare it
    has_deployments: bool = True  # n1 is on the side that takes changes


MOST = ("n1", "n2", "n3", "n4")
FAULTS = {
    "kill -9": Fault(("kill n5",), (MOST,)),
    "power loss": Fault(("crash n5",), (MOST,)),
    "SIGSTOP": Fault(("freeze n5",), (MOST,)),
    "cable out": Fault(("cable n5 out",), (MOST, ("n5",))),
    "one way in": Fault(tuple(f"one-way {name} n5" for name in MOST), (MOST,)),
    "one way out": Fault(tuple(f"one-way n5 {name}" for name in MOST), (MOST,)),
    "split in two": Fault(("cut n1,n2,n3 / n4,n5",), (("n1", "n2", "n3"), ("n4", "n5"))),
    "split in three": Fault(
        ("cut n1,n2 / n3,n4 / n5",),
        (("n1", "n2"), ("n3", "n4"), ("n5",)),
        has_deployments=False,
    ),
    "heal": Fault(("heal",), (ALL,), before=("cut n1,n2,n3 / n4,n5",)),
}


# -- on a host: a client that deploys all the time ---------------------------------------------
async def probe() -> None:
    """Print a line for each deployment that was acknowledged: when it was asked for, and done."""
    number = 0
    actor = Path(tempfile.gettempdir()) / "probe_actor.py"
    actor.write_text("from zactor import Actor\n\n\nclass Probe(Actor):\n    pass\n")
    while True:
        with contextlib.suppress(ZactorError, OSError):
            async with connect(timeout=2.0) as master:
                with contextlib.suppress(ZactorError):
                    await master.declare_factory("probe", actor)
                while True:
                    number += 1
                    asked = time.monotonic_ns()
                    await master.deploy_actor("probe", f"p{number}", "n1")
                    done = time.monotonic_ns()
                    await master.destroy_actor(f"p{number}")
                    print(json.dumps({"asked": asked, "done": done}), flush=True)
        await asyncio.sleep(0.02)


# -- outside -----------------------------------------------------------------------------------
def until(what: str, found: Callable[[], float | None]) -> float:
    limit = time.monotonic() + LIMIT_S
    while (value := found()) is None:
        if time.monotonic() > limit:
            raise SystemExit(f"not within {LIMIT_S:g} s: {what}")
        time.sleep(0.01)
    return value


class Bench:
    """One lab, all faults."""

    def __init__(self, lab: LabClient) -> None:
        self._lab = lab

    def _rows(self, since: int) -> list[dict[str, Any]]:
        return self._lab.seen(since)[0]

    def works(self) -> float | None:
        """Say so when the prober deploys."""
        told = any(row.get("name") == PROBER and row["what"] == "said" for row in self._rows(0))
        return 0.0 if told else None

    def measure(self, fault: Fault) -> tuple[float, float | None]:
        """Return (s to the last view, s to the first deployment that was asked for after it)."""
        for line in fault.before:
            self._lab.obey(*line.split())
            time.sleep(2 * BEGIN_PAUSE_S)
        time.sleep(BEGIN_PAUSE_S)
        _, since = self._lab.seen()
        began = time.monotonic_ns()
        for line in fault.lines:
            self._lab.obey(*line.split())

        def views() -> float | None:
            last: dict[str, tuple[int, set[str]]] = {}
            for row in self._rows(since):
                if row["what"] == "node" and row["kind"] == "view":
                    last[row["host"]] = (row["t"], set(row["text"].split()))
            wanted = {host: set(side) for side in fault.views for host in side}
            if any(last.get(host, (0, set()))[1] != side for host, side in wanted.items()):
                return None
            return (max(last[host][0] for host in wanted) - began) / 1e9

        def deployed() -> float | None:
            for row in self._rows(since):
                if row.get("name") == PROBER and row["what"] == "said" and row["text"][:1] == "{":
                    told = json.loads(row["text"])
                    if told["asked"] > began:
                        return float(told["done"] - began) / 1e9
            return None

        view_s = until(f"the views of {fault.lines}", views)
        return view_s, until("a deployment", deployed) if fault.has_deployments else None


def corosync_measured(name: str) -> tuple[float, None]:
    """The same of corosync: s to the last view."""
    fault = FAULTS[name]
    with tempfile.TemporaryDirectory() as folder:
        lab = LabClient(Path(folder))
        try:
            lab.begin(counted(len(ALL), are_bare=True))
            addresses = {str(row["host"]): str(row["address"]) for row in lab.hosts()}
            for host in ALL:
                lab.spawn(host, _corosync.PROCESS, *_corosync.words_of(addresses))

            def views(sides: tuple[tuple[str, ...], ...], since: int) -> float | None:
                last: dict[str, tuple[int, set[str]]] = {}
                for row in lab.seen(since)[0]:
                    members = _corosync.members_in(row.get("text", ""), ALL)
                    if members is not None:
                        last[row["host"]] = (row["t"], members)
                wanted = {host: set(side) for side in sides for host in side}
                if any(last.get(host, (0, set()))[1] != side for host, side in wanted.items()):
                    return None
                return float(max(last[host][0] for host in wanted))

            until("one view of all", lambda: views((ALL,), 0))
            for line in fault.before:
                _, since = lab.seen()
                lab.obey(*line.split())
                split = functools.partial(views, (ALL[:3], ALL[3:]), since)
                until(f"the views of {line}", split)
            time.sleep(BEGIN_PAUSE_S)
            _, since = lab.seen()
            began = time.monotonic_ns()
            for line in fault.lines:
                words = line.split()
                lab.obey(*words, *([_corosync.PROCESS] if words[0] == "kill" else []))
            at = until(f"the views of {fault.lines}", lambda: views(fault.views, since))
            return (at - began) / 1e9, None
        finally:
            lab.close()


def measured(name: str) -> tuple[float, float | None]:
    """Measure a fault once, in a lab of its own: who flaps again and again is trusted later."""
    with tempfile.TemporaryDirectory() as folder:
        lab = LabClient(Path(folder))
        try:
            lab.begin(counted(len(ALL)))
            try:
                lab.wait_formed()
            except ZactorError as error:  # on a busy machine n1's door is late, and others give up
                print(f"no lab, once more: {error}", file=sys.stderr)
                return measured(name)
            words = (sys.executable, str(Path(__file__).resolve()), "--probe")
            lab.spawn("n1", PROBER, *words)
            bench = Bench(lab)
            until("the first deployment", bench.works)
            return bench.measure(FAULTS[name])
        finally:
            lab.close()


def middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default=",".join(FAULTS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--corosync", action="store_true", help="measure corosync")
    parser.add_argument("--probe", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.probe:
        asyncio.run(probe())
        return
    found = []
    for name in given.only.split(","):
        pairs: list[tuple[float, float | None]] = []
        for number in range(given.rounds):
            if sys.stderr.isatty():
                print(f"{name}: {number + 1} of {given.rounds}", file=sys.stderr)
            pairs.append((corosync_measured if given.corosync else measured)(name))
        views = [view_s for view_s, _ in pairs]
        works = [works_s for _, works_s in pairs if works_s is not None]
        found.append(
            {
                "fault": name,
                "view_median_s": round(middle(views), 3),
                "view_worst_s": round(max(views), 3),
                "deploy_median_s": round(middle(works), 3) if works else None,
                "deploy_worst_s": round(max(works), 3) if works else None,
            }
        )
    if given.json:
        print(json.dumps(found))
        return
    print("| fault | view, median | worst | deployments, median | worst |")
    print("|---|---|---|---|---|")
    for row in found:
        print(
            "| " + " | ".join("-" if value is None else str(value) for value in row.values()) + " |"
        )


if __name__ == "__main__":
    main()
