"""Actors in processes of their own: what slows them, what is told of them, what ends with them."""

from __future__ import annotations

import asyncio
import os
import signal as signals
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deadlines import DEADLINE_S, running

from zactor import Actor, action, signal
from zactor.kernel import limits
from zactor.kernel.actors.options import ProcessOptions
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import ActorDied, ConfigError, OutcomeUnknown, RemoteActionError
from zactor.kernel.messages.actor_process import (
    AnswerOutcome,
    AskFrom,
    GroupFrom,
    Handled,
    ProcessFailed,
)
from zactor.kernel.runtime.actor_process import ActorProcess
from zactor.kernel.runtime.askers import UnderWay
from zactor.kernel.runtime.orphans import Orphans
from zactor.kernel.runtime.posix_spawn import ChildProcess, spawn
from zactor.kernel.wire.process_frames import frame_of, to_process

SIGNALS = 5_000


class Apart(Actor, dispatcher="process"):
    """Has a process of its own, and does what it is told there."""

    number = signal(int)

    @action
    def emit(self, count: int) -> None:
        for number in range(count):
            self.number.emit(number)

    @action
    def tell(self, other: str, count: int) -> None:
        for number in range(count):
            self.ref(other).number.tell(number)

    @action
    async def ask(self, other: str, timeout: float) -> int:
        async with asyncio.timeout(timeout):
            found: int = await self.ref(other).number(1)
        return found

    @action
    def starts(self) -> int:
        return subprocess.Popen(["sleep", "300"]).pid

    @action
    def length(self, data: bytes) -> int:
        return len(data)

    @action
    def leave(self) -> None:
        os._exit(3)


class Dying(Apart):
    def on_stop(self, reason: str) -> None:
        print("my last words", flush=True)
        os._exit(5)


class Held(Actor, dispatcher="thread", mailbox_max=10):
    """Handles nothing until it is let."""

    def __init__(self, go: threading.Event) -> None:
        self.go = go
        self.seen: list[int] = []

    @action
    def number(self, number: int) -> int:
        assert self.go.wait(DEADLINE_S)
        self.seen.append(number)
        return number


class Full(Held, mailbox_policy="reject"):
    pass


@pytest.fixture
def go() -> Any:
    found = threading.Event()
    yield found
    found.set()


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# -- back-pressure ---------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["emit", "tell"])
def test_what_a_process_sends_waits_where_the_receiver_is_full(
    world: Any, until: Any, go: threading.Event, how: str
) -> None:
    ref = world.spawn(Apart, "x")
    world.spawn(Held, "held", go)
    world.runtime.connect("x", "number", ("held",))
    sent = ref.emit(SIGNALS) if how == "emit" else ref.tell("held", SIGNALS)
    until(lambda: world.row("held")["mailbox"] >= 10)
    longest = []
    for _ in range(100):
        longest.append(world.row("held")["mailbox"])
        threading.Event().wait(0.002)  # so that what isn't slowed would come
    assert max(longest) < 20
    assert not sent.done()
    go.set()
    sent.result(DEADLINE_S)
    until(lambda: world.row("held")["handled"] == SIGNALS)
    held = world.runtime.directory.local("held").actor
    assert held.seen == list(range(SIGNALS))


def test_the_death_of_who_is_slowed_is_noticed_at_once(
    world: Any, until: Any, go: threading.Event
) -> None:
    ref = world.spawn(Apart, "x")
    world.spawn(Held, "held", go)
    world.runtime.connect("x", "number", ("held",))
    sent = ref.emit(SIGNALS)
    cell = world.runtime.directory.local("x")
    until(lambda: cell.process._is_paused)
    os.kill(cell.process.pid, signals.SIGKILL)
    with pytest.raises(OutcomeUnknown, match="x was killed by SIGKILL"):
        sent.result(DEADLINE_S)  # though the receiver handles nothing
    assert world.row("held")["handled"] == 0


def test_a_tell_in_vain_is_told(world: Any, until: Any, go: threading.Event) -> None:
    ref = world.spawn(Apart, "x")
    ref.tell("nobody", 1).result(DEADLINE_S)
    until(lambda: [(letter.sender, letter.target) for letter in world.dead] == [("x", "nobody")])
    world.spawn(Full, "full", go)
    ref.tell("full", 15).result(DEADLINE_S)
    until(lambda: world.row("x")["failed"] >= 4)
    go.set()
    until(lambda: world.row("full")["handled"] >= 10)


class Recorder:
    """The owner of a process that is played here."""

    name, uid, type, node = "x", 1, "t", "n1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def emit_for(self, action: str, payload: bytes) -> None:
        raise AssertionError(action)

    def ask_for(self, actor: str, action: str, payload: bytes, done: Any) -> UnderWay:
        self.asked.append(action)
        return UnderWay(lambda: None)

    def waits_for_ask(self, ask: Any, *, lasts: bool) -> None:
        raise AssertionError(ask)

    def tell_for(self, actor: str, action: str, payload: bytes) -> None:
        raise AssertionError(action)

    def group_for(self, request: GroupFrom, value: Callable[[], Any]) -> Reply[None]:
        raise AssertionError(request)

    def is_muted(self) -> bool:
        return False

    def stop_itself(self) -> None:
        raise AssertionError

    def process_ended(self, why: ActorDied) -> None:
        raise AssertionError(why)


def test_who_takes_nothing_is_sent_nothing_more_and_asks_nothing_more() -> None:
    asyncio.run(played())


def ended() -> ChildProcess:
    """A process that is about to end."""
    return spawn([sys.executable, "-S", "-c", ""], os.environ, None, ())


async def played() -> None:
    """Play a process that takes nothing for a while."""
    loop = asyncio.get_running_loop()
    owner, options = Recorder(), ProcessOptions()
    process = ActorProcess(owner, lambda: b"", options, "pickle", loop, "m", Orphans())
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    transport, _ = await loop.create_unix_connection(lambda: process, sock=ours)
    try:
        process._send(AnswerOutcome(1, bytes(4 << 20)))  # more than a pair of sockets holds
        await loop.sock_sendall(theirs, frame_of(AskFrom(2, "y", "late", b"")))
        first = asyncio.create_task(process.handle("first", b""))
        await asyncio.sleep(0.05)  # a message that isn't held back would be taken by then
        assert owner.asked == []
        reader, found = to_process(), []
        while len(found) < 2:
            found += reader.feed(await loop.sock_recv(theirs, 1 << 16))
        assert [type(each).__name__ for each in found] == ["AnswerOutcome", "HandleMessage"]
        await loop.sock_sendall(theirs, frame_of(Handled(1, b"done")))
        assert await asyncio.wait_for(first, DEADLINE_S) == b"done"
        assert owner.asked == ["late"]
    finally:
        process._process = ended()
        theirs.close()
        await asyncio.wait_for(asyncio.shield(process._gone), DEADLINE_S)
        transport.close()


def test_a_message_that_is_too_long_is_refused_and_costs_nobody(
    world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = world.spawn(Apart, "x")
    monkeypatch.setattr(limits, "PROCESS_FRAME_BYTES_MAX", 100_000)
    with pytest.raises(RemoteActionError, match=r"a message of 200\d+ bytes .*at most 100000"):
        ref.length(bytes(200_000)).result(DEADLINE_S)
    assert ref.length(bytes(1_000)).result(DEADLINE_S) == 1_000
    with pytest.raises(ConfigError, match="at most 100000"):
        frame_of(Handled(1, bytes(100_001)))


# -- withdrawn -------------------------------------------------------------------------------
@pytest.mark.parametrize("nodes", [1, 2])
def test_an_ask_that_timed_out_in_the_process_is_not_done_later(
    worlds: Any, until: Any, go: threading.Event, nodes: int
) -> None:
    one, other = worlds.pair()
    host = one if nodes == 1 else other
    ref = one.spawn(Apart, "x")
    held = host.spawn(Held, "held", go)
    if nodes == 2:
        worlds.introduce(host, "held", one)
    busy = held.number(7)
    with pytest.raises(RemoteActionError, match="TimeoutError"):
        ref.ask("held", 0.05).result(DEADLINE_S)
    if nodes == 2:
        until(lambda: any(type(item).__name__ == "Withdrawn" for item in one.ports["n2"].items))
    go.set()
    assert busy.result(DEADLINE_S) == 7
    assert held.number(8).result(DEADLINE_S) == 8
    assert host.runtime.directory.local("held").actor.seen == [7, 8]


# -- what ends with it -----------------------------------------------------------------------
def test_what_its_process_has_started_ends_when_that_crashes(world: Any, until: Any) -> None:
    ref = world.spawn(Apart, "x")
    pid = ref.starts().result(DEADLINE_S)
    assert is_there(pid)
    ref.leave.tell()
    until(lambda: not is_there(pid))


NODE = """
import subprocess, threading
from zactor import Actor, action
from zactor.kernel.runtime.blueprint import blueprint_of
from zactor.kernel.runtime.runtime import Runtime

class Apart(Actor, dispatcher="process"):
    @action
    def starts(self):
        return subprocess.Popen(["sleep", "300"]).pid

runtime = Runtime(dead_letter=print)
runtime.start()
runtime.spawn(blueprint_of(Apart, name="x", uid=1)).result()
print(runtime.ref("x").starts().result(), flush=True)
threading.Event().wait()
"""


def test_what_actors_have_started_ends_when_their_node_is_killed(until: Any) -> None:
    with running([sys.executable, "-c", NODE], stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        pid = int(node.stdout.readline())
        assert is_there(pid)
        node.send_signal(signals.SIGKILL)
        until(lambda: not is_there(pid))


def test_a_process_that_dies_in_on_stop_says_how(world: Any) -> None:
    world.spawn(Dying, "x")
    with pytest.raises(
        ActorDied, match=r"(?s)x ended with exit code 5; it said last: .*my last words"
    ):
        world.stop("x").result(DEADLINE_S)


def test_who_ran_out_of_memory_before_it_was_to_end_has_ended_well() -> None:
    async def played_end() -> None:
        loop = asyncio.get_running_loop()
        options = ProcessOptions()
        process = ActorProcess(Recorder(), lambda: b"", options, "pickle", loop, "m", Orphans())
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        await loop.create_unix_connection(lambda: process, sock=ours)
        process._process = ended()
        ending = asyncio.create_task(process.end("destroyed"))
        await loop.sock_sendall(theirs, frame_of(ProcessFailed("out of memory")))
        await loop.sock_recv(theirs, 1 << 16)  # it is told to end, and can't any more
        theirs.close()
        await asyncio.wait_for(ending, DEADLINE_S)
        assert "out of memory" in str(process._gone.result())

    asyncio.run(played_end())
