"""Feed: what the page shows, kept up to date from one door, and told to all who read.

All pages share one client: what a page more costs is its own stream. While no page is open nothing
is watched. The node that is asked may go: the connection goes on at another.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import Any

import msgspec
import structlog

from zactor.client.event_stream import Seen
from zactor.client.master import Master
from zactor.client.panel import look_at_panels
from zactor.client.rates import ActorRate, NodeRate, Rates
from zactor.kernel.errors import NotReachable, ZactorError
from zactor.kernel.printable import printable_json
from zactor.web import picture
from zactor.web.happenings import happening
from zactor.web.replay import Replay, StreamEvent

log = structlog.get_logger()

Row = dict[str, object]

GATHER_S = 0.05  # changes of facts that come together are read once
READ_S = 5.0  # a node that doesn't answer by then is given up for another
REFRESH_S = 5.0  # facts are read again though nothing is said to have changed
AGAIN_S = 0.5  # after an answer that didn't come
HAPPENINGS_KEPT = 200
PULSE_KEPT = 240  # samples of two minutes
FEW_ACTORS = 300  # beyond it rates come once a second
PANELS_SHOWN = 150  # actors, up to which all panels are on the page
WATCH_S = 2.0
PANEL_WAIT_S = 2.0
HEARTBEAT_S = 10.0


class Feed:
    """One for all pages. One loop's."""

    def __init__(self, master: Master) -> None:
        """Nothing is asked before `run`."""
        self._master = master
        self._rates = Rates()
        self._status: Row = {}
        self._picture = picture.Picture()
        self._lost: Row = {}  # wire -> letters since it is down
        self._letters = -1
        self._panels: dict[str, Row] = {}
        self._shown: dict[str, list[object]] = {}  # rates as they were last told
        self._events: deque[Row] = deque(maxlen=HAPPENINGS_KEPT)
        self._pulse: deque[float] = deque(maxlen=PULSE_KEPT)
        self._seen: Seen = {}
        self._answers = 0
        self._problem = "no node has answered yet"
        self.replay = Replay(time.time_ns() // 1_000_000)
        self._reset: StreamEvent | None = None
        self._news = asyncio.Event()
        self._rows_stale = asyncio.Event()
        self._status_stale = asyncio.Event()
        self._readers = 0
        self._wanted: Counter[str] = Counter()  # panels that pages name
        self._woken = asyncio.Event()  # somebody reads

    # -- reading -----------------------------------------------------------------------------
    def state(self) -> Row:
        """Return all of it."""
        return {
            "sequence": self.replay.last,
            "problem": self._problem,
            "status": self._status,
            **self._picture.rows,
            "lost": self._lost,
            "kinds": self._kinds(self._rates.actors),
            "rates": self._shown_rates(whole=True),
            "pulse": list(self._pulse),
            "panels": self._panels,
            "events": list(self._events),
            "now": time.time(),
        }

    @contextlib.contextmanager
    def reading(self, panels: tuple[str, ...]) -> Iterator[None]:
        """Count a reader for the time of the block."""
        self._readers += 1
        self._wanted.update(panels)
        self._woken.set()
        try:
            yield
        finally:
            self._readers -= 1
            self._wanted.subtract(panels)
            self._wanted += Counter()  # without those that nobody wants
            if not self._readers:
                self._woken.clear()

    async def events(self, sequence: int) -> AsyncIterator[StreamEvent | None]:
        """Yield what happens after `sequence`; None now and then, that the line is seen to live.

        A reader that is too far behind, or comes from before, gets the whole state.
        """
        while True:
            news = self._news
            found = self.replay.since(sequence)
            if found is None:
                whole = self._whole()
                sequence = whole.sequence
                yield whole
                continue
            for event in found:
                yield event
                sequence = event.sequence
            if found:
                continue
            try:
                await asyncio.wait_for(news.wait(), HEARTBEAT_S)
            except TimeoutError:
                yield None

    def _whole(self) -> StreamEvent:
        """Return all of it as an event. Who comes at the same time shares it: it may be long."""
        if self._reset is None or self._reset.sequence != self.replay.last:
            text = _json(self.state())
            self._reset = StreamEvent(self.replay.last, self._clock(), "reset", text)
        return self._reset

    # -- keeping it up to date -----------------------------------------------------------------
    async def run(self) -> None:
        """Go on until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for work in (
                self._keep_events,
                self._keep_rows,
                self._keep_status,
                self._keep_rates,
                self._keep_panels,
            ):
                tasks.create_task(self._again(work))

    async def _again(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        answers, went_s = -1, -math.inf
        while True:
            try:
                await work()
            except ZactorError as error:
                # A node that goes while it is asked is no trouble of ours: the next is asked now.
                is_first = self._answers != answers and time.monotonic() - went_s > AGAIN_S
                answers, went_s = self._answers, time.monotonic()
                if not (isinstance(error, NotReachable) and is_first):
                    self._tell_problem(str(error))
                    await asyncio.sleep(AGAIN_S)
            except Exception:
                log.exception("feed_failed")  # the page goes on with what it has
                await asyncio.sleep(REFRESH_S)

    async def _keep_events(self) -> None:
        seen = self._seen  # who begins again hears nothing twice
        async for event in self._master.events(True, last=HAPPENINGS_KEPT, seen=seen):
            row = happening(event)
            self._events.append(row)
            if event.get("event") == "node_gone":
                name, life = str(event.get("name")), event.get("incarnation")
                self._tell_facts(self._picture.lose(name, life, time.monotonic()))
            self._rows_stale.set()
            self._status_stale.set()
            self._tell("happened", row)

    async def _keep_rows(self) -> None:
        while True:
            await self._read_rows()
            await _until_news(self._rows_stale)

    async def _read_rows(self) -> None:
        m = self._reader()
        nodes, actors, wires, groups = await asyncio.gather(
            m.nodes(), m.actors(), m.wires(), m.look("groups")
        )
        self._answers += 1
        self._tell_problem("")
        now = {
            "nodes": picture.keyed("nodes", nodes),
            "actors": picture.keyed("actors", actors),
            "wires": picture.keyed("wires", wires),
            "groups": picture.keyed("groups", msgspec.convert(groups, list[Row])),
        }
        there = [name for name, row in now["nodes"].items() if row["state"] != "gone"]
        self._rates.forget(there)
        told = self._picture.take(now, time.monotonic())
        if "wires" in told:
            self._letters = -1
        self._tell_facts(told)

    async def _keep_status(self) -> None:
        """Apart from the rows: it waits for what each node says of itself, if one is silent."""
        while True:
            await self._read_status()
            await _until_news(self._status_stale)

    async def _read_status(self) -> None:
        m = self._reader()
        status = await m.status()
        if status != self._status:
            self._status = status
            self._tell_facts({"status": status})
        if status["dead_letters"] != self._letters:
            self._letters = int(str(status["dead_letters"]))
            try:
                self._lost = await self._count_lost(m)
            except ZactorError:
                self._letters = -1
                raise
            self._tell_facts({"lost": self._lost})

    def _reader(self) -> Master:
        limit_s = min(READ_S, self._master.timeout or READ_S)
        return Master(self._master.connection, timeout=limit_s)

    async def _count_lost(self, m: Master) -> Row:
        counts: Counter[str] = Counter()
        wires = self._picture.rows["wires"]
        keys = {picture.ends_of(row): key for key, row in wires.items()}
        for letter in await m.dead_letters():
            wire = keys.get((letter["sender"], str(letter["action"]), letter["target"]), "")
            of_it = wires.get(wire)
            since = of_it.get("since") if of_it else None
            at = letter["at"]
            assert isinstance(at, float | int), letter
            if of_it and of_it["state"] == "down" and isinstance(since, float) and at >= since - 5:
                counts[wire] += 1
        return dict(counts)

    async def _keep_rates(self) -> None:
        while True:
            await self._woken.wait()
            begun = self._rates.take(await self._master.watch(self._rates.after, WATCH_S))
            if begun:
                self._tell("kinds", self._kinds({n: self._rates.actors[n] for n in begun}))
            total = sum(actor.sent_rate for actor in self._rates.actors.values())
            self._pulse.append(round(total, 1))
            self._tell("rates", {**self._shown_rates(whole=False), "total": round(total, 1)})
            if len(self._rates.actors) > FEW_ACTORS:
                await asyncio.sleep(0.6)

    async def _keep_panels(self) -> None:
        asking: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                await self._woken.wait()
                for node, names in self._panels_by_node().items():
                    if node not in asking or asking[node].done():
                        asking[node] = asyncio.create_task(self._look(node, names))
                await asyncio.sleep(0.05)
        finally:
            for task in asking.values():
                task.cancel()
            await asyncio.gather(*asking.values(), return_exceptions=True)

    def _panels_by_node(self) -> dict[str, list[str]]:
        show_all = len(self._rates.actors) <= PANELS_SHOWN
        found: dict[str, list[str]] = {}
        for actor in self._rates.actors.values():
            if actor.has_panel and (show_all or actor.name in self._wanted):
                found.setdefault(actor.node, []).append(actor.name)
        for name in self._panels.keys() - {name for each in found.values() for name in each}:
            del self._panels[name]
        return found

    async def _look(self, node: str, names: list[str]) -> None:
        versions = {name: int(str(self._panels.get(name, {}).get("version", 0))) for name in names}
        try:
            rows = await look_at_panels(self._master, node, versions, PANEL_WAIT_S)
        except ZactorError:
            await asyncio.sleep(AGAIN_S)
            return
        for row in rows:
            self._panels[str(row["name"])] = row
            self._tell("panel", row)

    # -- telling -----------------------------------------------------------------------------
    def panel(self, actor: str) -> Row:
        """Return the panel of an actor as it was last seen; {}: none was."""
        return self._panels.get(actor, {})

    def _tell(self, kind: str, data: object) -> None:
        if self._readers or kind in ("facts", "happened"):
            self.replay.add(self._clock(), kind, _json(data))
            self._news.set()
            self._news = asyncio.Event()

    def _tell_facts(self, told: Mapping[str, object]) -> None:
        if told:
            self._tell("facts", told)

    def _tell_problem(self, why: str) -> None:
        if why != self._problem:
            self._problem = why
            self._tell("link", {"problem": why})

    def say_goodbye(self, why: str) -> None:
        """Tell all readers that the page ends."""
        self._tell("bye", {"why": why})

    def _clock(self) -> tuple[int, int]:
        clock = self._status.get("clock")
        return (int(clock[0]), int(clock[1])) if isinstance(clock, list | tuple) else (0, 0)

    def _kinds(self, actors: dict[str, ActorRate]) -> Row:
        return {
            name: {
                "signals": actor.signals,
                "actions": actor.actions,
                "panel": actor.has_panel,
            }
            for name, actor in actors.items()
        }

    def _shown_rates(self, *, whole: bool) -> Row:
        """Return the numbers that differ from those that were told last, or all."""
        now: dict[str, list[object]] = {}
        for name, node in self._rates.nodes.items():
            now[f"n {name}"] = _of_node(node)
        for name, actor in self._rates.actors.items():
            now[f"a {name}"] = _of_actor(actor)
            for signal, rate in actor.sent_rates.items():
                now[f"s {name}.{signal}"] = [_short(rate)]
        differs = {key: row for key, row in now.items() if whole or self._shown.get(key) != row}
        if not whole:
            self._shown = now
        parts: Row = {"nodes": {}, "actors": {}, "signals": {}}
        names = {"n": "nodes", "a": "actors", "s": "signals"}
        for key, row in differs.items():
            kind, _, name = key.partition(" ")
            part = parts[names[kind]]
            assert isinstance(part, dict)
            part[name] = row if kind != "s" else row[0]
        return parts


async def _until_news(stale: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stale.wait(), REFRESH_S)
    await asyncio.sleep(GATHER_S)
    stale.clear()


def _of_node(node: NodeRate) -> list[object]:
    return [
        round(node.cpu * 100),
        node.memory_bytes >> 20,
        node.late_ms,
        node.pid,
        round(node.up_s, -1),
        node.failed_actions,
    ]


def _of_actor(actor: ActorRate) -> list[object]:
    return [
        _short(actor.received_rate),
        _short(actor.sent_rate),
        actor.waiting,
        round(actor.busy * 100, 1),
        actor.handled,
        actor.failed,
    ]


def _short(rate: float) -> float:
    return round(rate, 1) if rate < 100 else float(round(rate))


def _json(value: object) -> str:
    return printable_json(msgspec.json.encode(value).decode())
