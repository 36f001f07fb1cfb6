"""zactor/mailbox/mailbox.py at real nodes: who dies, who is slow, and what is written down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from deadlines import running
from mailbox_lab import WAIT_S, box, drain, members, regular, start
from slowness import Slowness

from zactor import (
    Mailbox,
    MembershipCause,
    MembershipMessage,
    NotReachable,
    RegularMessage,
    Service,
)
from zactor.kernel import limits
from zactor.lab.lab import Lab, until

CHILD = Path(__file__).with_name("mailbox_child.py")


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Three nodes that nobody kills."""
    lab = start(tmp_path_factory.mktemp("calm"))
    yield lab
    lab.close()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """Three nodes to be killed."""
    made = start(tmp_path)
    yield made
    made.close()


# -- deaths ----------------------------------------------------------------------------------
def test_when_a_client_is_killed_the_others_see_its_last_message_and_that_it_went(
    calm: Lab, slowness: Slowness
) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            await a.join("room")
            await members(a, "#a#n1")
            words = [sys.executable, str(CHILD), str(calm.home), calm.endpoint("n2"), "victim"]
            with running(words, stdout=subprocess.PIPE) as child:
                assert child.stdout is not None
                assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
                await members(a, "#a#n1", "#victim#n2")
                child.kill()
                killed = time.monotonic()
            assert (await regular(a)).payload == b"last words"
            gone = await members(a, "#a#n1")
            assert (gone.cause, gone.changed) == (MembershipCause.DISCONNECT, "#victim#n2")
            assert (
                slowness.quiet_s(time.monotonic() - killed) < 2
            )  # far below the silence of a host
            async with box(calm, "victim", "n2"):
                pass  # its name is free

    asyncio.run(story())


def test_when_a_node_is_killed_the_others_get_the_signal_then_the_membership_with_its_sets(
    lab: Lab,
) -> None:
    async def story() -> None:
        async with box(lab, "a", "n1") as a, box(lab, "b", "n1") as b, box(lab, "c", "n2") as c:
            d = await box(lab, "d", "n3").__aenter__()
            for each in (a, b, c, d):
                await each.join("room")
            everybody = ("#a#n1", "#b#n1", "#c#n2", "#d#n3")
            before = [await members(each, *everybody) for each in (a, b, c, d)]
            assert len(set(before)) == 1
            await a.join("local")  # of which nobody is lost: nobody is told
            assert (await receive_in(a, "local")).members == ("#a#n1",)
            await d.multicast("room", b"before")
            for each in (a, b, c, d):
                assert (await regular(each)).payload == b"before"
            lab.kill("n3")
            for each in (a, b, c):
                signal_ = await receive_in(each, "room")
                assert signal_ == MembershipMessage(
                    group="room",
                    transitional=True,
                    cause=MembershipCause.NETWORK,
                    members=(),
                    changed=None,
                    vs_sets=(),
                    own_set=-1,
                    id=before[0].id,
                )
                change = await each.receive(WAIT_S)
                assert isinstance(change, MembershipMessage)
                assert (change.cause, change.transitional) == (MembershipCause.NETWORK, False)
                assert change.members == everybody[:3]
                assert change.vs_sets == (everybody[:3],)
                assert change.own_set == 0
            with pytest.raises(NotReachable, match="went away, and mailbox 'd' with it"):
                await drain(d)
            for call in (d.join("x"), d.flush(), d.multicast("room", b"")):
                with pytest.raises(NotReachable, match="open another"):
                    await call
            await d.close()
            await a.multicast("room", b"after", service=Service.SAFE)
            for each in (a, b, c):
                assert (await regular(each)).payload == b"after"

    async def receive_in(here: Mailbox, group: str) -> MembershipMessage:
        message = await here.receive(WAIT_S)
        assert isinstance(message, MembershipMessage)
        assert message.group == group
        return message

    asyncio.run(story())


def test_what_had_arrived_when_the_node_died_is_read_first(lab: Lab) -> None:
    with box(lab, "a", "n3") as a:
        for number in range(100):
            a.multicast(a.private_group, b"%d" % number)
        a.flush()
        line = a.awaiting._client
        assert line is not None
        until("all have come", lambda: line._inbox.unread == 100)
        lab.kill("n3")
        until("it is noticed", lambda: line.broken is not None)
        found: list[object] = []
        with pytest.raises(NotReachable, match="went away"):
            found.extend(a)
        bodies = [message.payload for message in found if isinstance(message, RegularMessage)]
        assert bodies == [b"%d" % number for number in range(100)]


def test_after_a_stop_in_good_order_the_members_there_are_lost_as_well(lab: Lab) -> None:
    async def story() -> None:
        async with box(lab, "a", "n1") as a, box(lab, "b", "n2") as b:
            await a.join("room")
            await b.join("room")
            await members(a, "#a#n1", "#b#n2")
            os.kill(lab.pid("n2"), signal.SIGTERM)
            lost = await members(a, "#a#n1")
            assert lost.cause is MembershipCause.NETWORK
            with pytest.raises(NotReachable):
                await drain(b)

    asyncio.run(story())


# -- event log -------------------------------------------------------------------------------
def test_with_a_trace_folder_a_mailbox_writes_what_it_delivers(
    calm: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZACTOR_TRACE", str(tmp_path))

    async def story() -> list[RegularMessage]:
        async with box(calm, "a/b ü", "n1") as a:
            for number in range(3):
                await a.multicast(a.private_group, b"%d" % number, service=Service.SAFE)
            return [await regular(a) for _ in range(3)]

    got = asyncio.run(story())
    (file,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    name, _, incarnation = file.name.removesuffix(".jsonl").rpartition("@")
    assert name == "#a~b~~#n1"  # no node is called so
    assert int(incarnation) > 1 << 20
    times = [line.pop("t") for line in lines]
    assert times == sorted(times)
    epoch, _, coordinator = got[0].view.partition(".")
    assert lines == [
        {
            "k": "deliver",
            "p": f"{name}@{incarnation}",
            "mid": message.id,
            "v": [int(epoch), coordinator],
            "trans": False,
            "service": "safe",
            "groups": ["#a/b ü#n1"],
        }
        for message in got
    ]


# -- pace ------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_slow_reader_slows_its_senders_and_memory_stays_bounded(calm: Lab) -> None:
    body = bytes(1_000)

    async def story() -> None:
        async with box(calm, "fast", "n1") as fast, box(calm, "slow", "n2") as slow:
            await slow.join("room")
            await slow.receive(WAIT_S)
            sent = 0

            async def flood() -> None:
                nonlocal sent
                while True:
                    await fast.multicast("room", body)
                    sent += 1

            flooding = asyncio.create_task(flood())
            held = await standstill(lambda: sent)
            # What the reader's node and the sender's hold, and both clients.
            nodes = limits.GROUP_BACKLOG_MESSAGES + limits.GROUP_WINDOW_MESSAGES
            queues = limits.GROUP_QUEUE_SOFT + limits.GROUP_OUTGOING_MESSAGES
            spare = 4 * limits.BATCH_ITEMS_MAX + limits.GROUP_WINDOW_MESSAGES
            assert held <= nodes + queues + spare
            memory = rss_kib(calm, "n1"), rss_kib(calm, "n2")
            for _ in range(20):
                await slow.receive(WAIT_S)
                await asyncio.sleep(0.05)
            assert sent - held <= 20 + limits.GROUP_TELL_MESSAGES
            now = rss_kib(calm, "n1"), rss_kib(calm, "n2")
            assert max(now[0] - memory[0], now[1] - memory[1]) < 10_000
            got = 20
            while got < held:  # and nothing is lost
                await slow.receive(WAIT_S)
                got += 1
            flooding.cancel()

    async def standstill(count: Callable[[], int]) -> int:
        before, since = -1, time.monotonic()
        while time.monotonic() - since < 0.5:
            if count() != before:
                before, since = count(), time.monotonic()
            await asyncio.sleep(0.01)
        return before

    def rss_kib(lab: Lab, name: str) -> int:
        status = Path(f"/proc/{lab.pid(name)}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmRSS")]
        return int(line.split()[1])

    asyncio.run(story())


def test_an_error_within_the_block_is_what_comes_out_of_it(calm: Lab) -> None:
    async def story() -> None:
        async with box(calm, "a", "n1") as a:
            await a.join("room")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        asyncio.run(story())
    with box(calm, "a", "n1"):
        pass  # it said goodbye all the same
