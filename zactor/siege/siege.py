"""One siege: a lab at work, faults from a plan, samples of what nodes use, and the audit."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zactor.kernel.errors import NoSuchThing, NotReachable, TimedOut, ZactorError
from zactor.lab.lab_client import LabClient
from zactor.lab.topology import counted
from zactor.siege.audit import Audit, audit, with_deaths
from zactor.siege.fault_plan import FaultPlan, PlannedFault
from zactor.siege.report import FaultBar, Plot, grown_up, median, page, slope, slope_of_lives
from zactor.testing.group_sim.history import Line

SAMPLE_S = 1.0
FORMED_S = 60.0  # after healing; what is promised is less, and the report says how long it took
STARTED_S = 60.0  # a node, until it has a view
ENDS_S = 60.0  # clients, when told to stop
SAME_S = 60.0  # facts, at the end
COMMAND_S = 60.0
GROWN_UP_S = (
    60.0  # a node's first minute: it imports, meets the others and takes over what they know
)
CLIENT = "client"
_MS = 1e9
_LINE = msgspec.json.Decoder(dict[str, Any])
_REPEATED = ("k", "p", "to", "from", "mid", "service", "op", "session", "reason", "sig")


class Siege:
    """Runs once."""

    def __init__(self, lab: LabClient, home: Path, hosts: int, seed: int) -> None:
        """`home` is the lab's."""
        self._lab, self._home, self._seed = lab, home, seed
        self._topology = counted(hosts)
        self._hosts = self._topology.names
        self._plan = FaultPlan(self._hosts, seed)
        self._faults: list[tuple[int, int, str]] = []  # begin, end, what
        self._deaths: list[tuple[int, str]] = []
        self._formed_s: list[float] = []  # after healing
        self._samples: list[tuple[int, list[dict[str, Any]], list[dict[str, Any]]]] = []
        self._traces: dict[str, bytes] = {}
        self._journal: list[dict[str, Any]] = []
        self._began_ns = 0
        self._gaps: dict[str, list[tuple[float, float]]] = {}
        self.found = Audit()
        self.figures: dict[str, object] = {}

    def close(self) -> None:
        """End the lab."""
        self._lab.close()

    # -- the run -----------------------------------------------------------------------------
    def run(self, seconds: float, tell: Callable[[str], None]) -> None:
        """Besiege for so long, then heal everything and look at what is left."""
        self._lab.begin(self._topology, seed=self._seed)
        took_s = self._lab.wait_formed()
        tell(f"seed {self._seed}: {len(self._hosts)} hosts are one after {took_s:.1f} s")
        self._began_ns = time.monotonic_ns()
        for host in self._hosts:
            self._start_client(host)
        self._pass(5.0)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            fault = self._plan.draw()
            left_s = until - time.monotonic()
            tell(f"{left_s:6.0f} s left: {', '.join(fault.begin)} for {fault.lasts_s:.1f} s")
            self._befall(fault)
            self._pass(fault.pause_s)
            if fault.ends_round:
                self._heal(tell)
        self._heal(tell)
        tell("auditing")
        self._end_clients()
        facts = self._facts()
        read_ns = time.monotonic_ns()
        self._collect()
        lines = self._lines()
        spans = [(begin, end) for begin, end, _ in self._faults]
        done = audit(lines, self._journal, facts, spans, read_ns)
        for name, wrong in self.found.complaints.items():
            done.add(name, wrong)
        self.found = done
        self._gaps = self._gaps_of(lines)
        self._sum_up()

    def _start_client(self, host: str) -> None:
        following = self._hosts[(self._hosts.index(host) + 1) % len(self._hosts)]
        words = (sys.executable, "-P", "-m", "zactor.siege.workload_client", host, following)
        self._lab.spawn(host, CLIENT, *words)

    def _befall(self, fault: PlannedFault) -> None:
        if fault.kind in ("disk", "kill", "freeze"):
            self._await_start(fault.begin[0].split()[1])
        begin = time.monotonic_ns()
        for line in fault.begin:
            words = line.split()
            if words[0] in ("kill", "crash"):
                self._deaths.append((time.monotonic_ns(), words[1]))
            self._lab.obey(*words)
        self._pass(fault.lasts_s)
        for line in fault.end:
            self._lab.obey(*line.split())
        if fault.kind == "crash":
            self._start_client(fault.begin[0].split()[1])
        self._faults.append((begin, time.monotonic_ns(), ", ".join(fault.begin)))

    def _await_start(self, host: str) -> None:
        """Wait until the host's node has a view: one that begins on a full disk ends, as it says.

        On a busy machine it may still be starting after the fault before.
        """
        until = time.monotonic() + STARTED_S
        while time.monotonic() < until:
            self._start_ended()
            if any(row["host"] == host and row["view"] for row in self._lab.hosts()):
                return
            self._pass(SAMPLE_S / 5)
        self.found.add("starts", [f"the node of {host} has no view after {STARTED_S:g} s"])

    def _start_ended(self) -> None:
        """Start again whose node ended by itself, which none may."""
        for row in self._lab.hosts():
            if row["node"].startswith("ended"):
                self.found.add("ended", [f"the node of {row['host']} {row['node']}"])
                with contextlib.suppress(ZactorError):
                    self._lab.obey("start", row["host"])

    def _heal(self, tell: Callable[[str], None]) -> None:
        """Heal all; the hosts are to be one again."""
        self._lab.obey("heal")
        self._start_ended()
        try:
            took_s = self._lab.wait_formed(FORMED_S)
        except (TimedOut, NotReachable) as error:
            self.found.add("L3 one view after healing", [str(error)])
            tell(f"         healed, but not one view: {error}")
        else:
            self._formed_s.append(took_s)
            tell(f"         healed: one view after {took_s:.2f} s")

    def _pass(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            usage: list[dict[str, Any]] = self._lab.ask("usage")["rows"]
            self._samples.append((time.monotonic_ns(), self._lab.hosts(), usage))
            self._read_journal()
            time.sleep(min(SAMPLE_S, max(0.0, left_s)))

    def _read_journal(self) -> None:
        rows, _ = self._lab.seen(self._journal[-1]["n"] + 1 if self._journal else 0)
        self._journal += rows

    # -- the end -----------------------------------------------------------------------------
    def _end_clients(self) -> None:
        for host in self._hosts:
            with contextlib.suppress(NoSuchThing):
                self._lab.type(host, CLIENT, "stop")
        until = time.monotonic() + ENDS_S
        while any(CLIENT in row["processes"] for row in self._lab.hosts()):
            if time.monotonic() > until:
                self.found.add("clients", ["a client goes on though it was told to stop"])
                return
            time.sleep(SAMPLE_S / 5)

    def _facts(self) -> dict[str, list[str]]:
        """Return the facts of each node, when they are the same at all or were long enough not."""
        until = time.monotonic() + SAME_S
        while True:
            found = {host: self._facts_at(host) for host in self._hosts}
            facts = {host: each for host, each in found.items() if not isinstance(each, str)}
            copies = {tuple(sorted(each)) for each in facts.values()}
            if len(facts) == len(found) and len(copies) == 1:
                return facts
            if time.monotonic() > until:
                unread = [f"{host}: {why}" for host, why in found.items() if host not in facts]
                self.found.add("facts can't be read", unread)
                return facts
            time.sleep(SAMPLE_S)

    def _facts_at(self, host: str) -> list[str] | str:
        """Return them, or why they can't be had."""
        try:
            done = self.zactor(host, "kb", "facts", "--json")
        except subprocess.TimeoutExpired:
            return f"no answer in {COMMAND_S:g} s"
        if done.returncode:
            return f"exit code {done.returncode}: {done.stderr.strip()}"
        return [row["fact"] for row in json.loads(done.stdout)]

    def zactor(self, host: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on a host."""
        lab = [sys.executable, "-P", "-m", "zactor", "lab", "--home", str(self._home)]
        return subprocess.run(
            [*lab, "exec", host, "zactor", *words],
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def _collect(self) -> None:
        self._read_journal()
        for host in self._hosts:
            self._traces |= self._lab.traces(host)

    def _lines(self) -> list[Line]:
        """All event lines by time; what kill -9 tore is left out."""
        lines: list[Line] = []
        words: dict[str, str] = {}  # each once: half an hour has five million lines
        for content in self._traces.values():
            for text in content.split(b"\n")[:-1]:
                with contextlib.suppress(msgspec.DecodeError):
                    line = _LINE.decode(text)
                    for key in _REPEATED:
                        if isinstance(value := line.get(key), str):
                            line[key] = words.setdefault(value, value)
                    lines.append(line)
        lines.sort(key=lambda line: int(line["t"]))
        return with_deaths(lines, self._deaths)

    # -- what is told ------------------------------------------------------------------------
    def _s(self, at_ns: int) -> float:
        return (at_ns - self._began_ns) / _MS

    def _curves(self, field: str) -> dict[str, list[tuple[float, float]]]:
        found: dict[str, list[tuple[float, float]]] = {host: [] for host in self._hosts}
        for at, _, usage in self._samples:
            for row in usage:
                found[row["host"]].append((self._s(at), float(row[field])))
        return found

    def _settled_slope(self, field: str) -> float:
        """How much nodes grow each hour, in the second half: by then what is kept is all there.

        Changes, events and dead letters are kept up to their limits, which takes some minutes.
        """
        points = [
            (self._s(at), int(row["pid"]), float(row[field]))
            for at, _, usage in self._samples
            for row in usage
        ]
        half_s = self._s(self._samples[-1][0]) / 2
        return slope_of_lives(grown_up(points, half_s, GROWN_UP_S))

    def _sum_up(self) -> None:
        memory, descriptors = self._curves("memory_kb"), self._curves("descriptors")
        most_kb = max((kb for curve in memory.values() for _, kb in curve), default=0.0)
        self.figures = {
            "minutes": round(self._s(self._samples[-1][0]) / 60, 1),
            "faults": len(self._faults),
            "one view after healing, median s": round(median(self._formed_s), 2),
            "one view after healing, worst s": round(max(self._formed_s, default=0.0), 2),
            "memory, most of a node, MB": round(most_kb / 1024, 1),
            "memory slope in a life, second half, MB/h": round(
                self._settled_slope("memory_kb") / 1024, 1
            ),
            "descriptor slope in a life, second half, 1/h": round(
                self._settled_slope("descriptors"), 1
            ),
            "memory slope, worst node, MB/h": round(
                max((slope(curve) for curve in memory.values()), default=0.0) / 1024, 1
            ),
            "descriptor slope, worst node, 1/h": round(
                max((slope(curve) for curve in descriptors.values()), default=0.0), 1
            ),
        }

    def page(self) -> str:
        """Return the report."""
        views = {
            host: [
                (self._s(at), float(len(row["view"])))
                for at, rows, _ in self._samples
                for row in rows
                if row["host"] == host
            ]
            for host in self._hosts
        }
        return page(
            f"Siege, seed {self._seed}",
            self.found,
            self.figures,
            [
                Plot(title="Members of each view", unit="", curves=views, is_stepped=True),
                Plot(title="Memory", unit="kB", curves=self._curves("memory_kb")),
                Plot(title="Descriptors", unit="", curves=self._curves("descriptors")),
                Plot(title="Longest gap between group deliveries", unit="s", curves=self._gaps),
            ],
            [
                FaultBar(begin_s=self._s(begin), end_s=self._s(end), text=what)
                for begin, end, what in self._faults
            ],
            self._s(self._samples[-1][0]),
        )

    def _gaps_of(self, lines: Sequence[Line]) -> dict[str, list[tuple[float, float]]]:
        """The longest pause between two deliveries at each host, in each s."""
        found: dict[str, dict[int, float]] = {host: {} for host in self._hosts}
        last: dict[str, int] = {}
        for line in lines:
            host = line["p"].partition("@")[0]
            if line["k"] == "deliver" and host in found and line["t"] > self._began_ns:
                gap_s = (line["t"] - last.get(host, line["t"])) / _MS
                second = int(self._s(line["t"]))
                found[host][second] = max(found[host].get(second, 0.0), gap_s)
                last[host] = line["t"]
        return {
            host: [(float(second), gap_s) for second, gap_s in sorted(each.items())]
            for host, each in found.items()
        }

    def write_out(self, folder: Path) -> None:
        """Write all event logs and the journal into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self._traces.items():
            (folder / name).write_bytes(content)
        rows = "\n".join(json.dumps(row) for row in self._journal)
        (folder / "journal.json").write_text(f"{rows}\n")
        (folder / "faults.json").write_text(
            json.dumps({"faults": self._faults, "deaths": self._deaths})
        )
