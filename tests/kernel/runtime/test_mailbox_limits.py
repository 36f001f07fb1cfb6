"""Bounded mailboxes: what a full one does to senders here and elsewhere, and who waits for whom."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor import Actor, action, signal
from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, MailboxFull, NotDelivered, RemoteActionError


class Slow(Actor, dispatcher="thread"):
    """Handles a message for each permit."""

    def __init__(self, permits: threading.Semaphore, entered: threading.Semaphore) -> None:
        self.permits = permits
        self.entered = entered
        self.seen: list[int] = []

    @action
    def take(self, number: int) -> int:
        self.entered.release()
        assert self.permits.acquire(timeout=DEADLINE_S)
        self.seen.append(number)
        return number


class Source(Actor):
    take = signal(int)

    @action
    def emit(self, number: int) -> int:
        self.take.emit(number)
        return number


class ThreadSource(Source, dispatcher="thread"):
    pass


class Slows:
    """Slow actors of any policy, and their way to the end."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self.permits = threading.Semaphore(0)
        self.entered = threading.Semaphore(0)

    def __call__(self, policy: Any, mailbox_max: int = 3, world: Any = None) -> Any:
        class Chosen(Slow, mailbox_max=mailbox_max, mailbox_policy=policy):
            pass

        ref = (world or self.world).spawn(Chosen, "slow", self.permits, self.entered)
        return ref

    def fill(self, ref: Any, count: int = 4) -> list[Any]:
        """One message is being handled, the others wait."""
        replies = [ref.take(0)]
        assert self.entered.acquire(timeout=DEADLINE_S)
        return replies + [ref.take(number) for number in range(1, count)]

    def go(self) -> None:
        for _ in range(10_000):
            self.permits.release()


@pytest.fixture
def slows(world: Any) -> Any:
    made = Slows(world)
    yield made
    made.go()


def test_reject_fails_an_ask_and_raises_at_the_line_of_a_tell(slows: Slows) -> None:
    ref = slows("reject")
    waiting = slows.fill(ref)
    with pytest.raises(MailboxFull, match="mailbox of slow is full: 3 messages"):
        ref.take(4).result(DEADLINE_S)
    with pytest.raises(MailboxFull):
        ref.take.tell(4)
    slows.go()
    assert [reply.result(DEADLINE_S) for reply in waiting] == [0, 1, 2, 3]
    assert slows.world.dead == []


def test_reject_of_one_reactor_keeps_the_signal_from_no_other(slows: Slows, until: Any) -> None:
    world = slows.world
    ref = slows("reject")
    source = world.spawn(Source, "s")
    permits, entered = threading.Semaphore(10), threading.Semaphore(0)
    other = world.spawn(Slow, "other", permits, entered)
    world.runtime.connect("s", "take", ("slow", "other"))
    slows.fill(ref)
    with pytest.raises(RemoteActionError, match="mailbox of slow is full"):
        source.emit(9).result(DEADLINE_S)
    assert entered.acquire(timeout=DEADLINE_S)
    assert other is not None


def test_a_route_that_was_used_before_reaches_all_beyond_those_that_refuse(slows: Slows) -> None:
    world = slows.world
    full = slows("reject")
    source = world.spawn(Source, "s")
    permits, entered = threading.Semaphore(10), threading.Semaphore(0)

    class Small(Slow, mailbox_max=1, mailbox_policy="reject"):
        pass

    world.spawn(Small, "small", slows.permits, slows.entered)
    world.spawn(Slow, "other", permits, entered)
    world.runtime.connect("s", "take", ("slow", "small", "other"))
    source.emit(0).result(5)  # from now on it is the fast path
    assert slows.entered.acquire(timeout=5)
    assert slows.entered.acquire(timeout=5)
    assert entered.acquire(timeout=5)
    world.runtime.ref("small").take(1)
    for number in range(1, 4):
        full.take(number)
    with pytest.raises(RemoteActionError) as refused:
        source.emit(9).result(5)
    assert entered.acquire(timeout=5)
    text = str(refused.value)
    assert "mailbox of slow is full: 3 messages; " in text
    assert "mailbox of small is full: 1 messages" in text


def test_drop_newest_makes_a_dead_letter_of_it(slows: Slows) -> None:
    ref = slows("drop_newest")
    waiting = slows.fill(ref)
    ref.take.tell(4)
    with pytest.raises(NotDelivered, match="newest was dropped"):
        ref.take(5).result(DEADLINE_S)
    slows.go()
    assert [reply.result(DEADLINE_S) for reply in waiting] == [0, 1, 2, 3]
    (letter,) = slows.world.dead
    assert "newest was dropped" in letter.reason


def test_drop_oldest_makes_room(slows: Slows) -> None:
    ref = slows("drop_oldest")
    waiting = slows.fill(ref)
    newest = ref.take(4)
    with pytest.raises(NotDelivered, match="oldest was dropped"):
        waiting[1].result(DEADLINE_S)
    slows.go()
    assert newest.result(DEADLINE_S) == 4
    assert waiting[0].result(DEADLINE_S) == 0


@pytest.mark.parametrize("policy", ["reject", "drop_newest"])
def test_a_remote_sender_hears_of_a_full_mailbox(
    worlds: Any, slows: Slows, until: Any, policy: str
) -> None:
    other = worlds("n2")
    worlds.join(slows.world, other)
    ref = slows(policy)
    worlds.introduce(slows.world, "slow", other)
    slows.fill(ref)
    far = other.runtime.ref("slow")
    with pytest.raises(MailboxFull if policy == "reject" else NotDelivered, match="is full"):
        far.take(7).result(DEADLINE_S)
    far.take.tell(8)
    until(lambda: len(other.dead) == 1)
    assert "is full" in other.dead[0].reason
    assert slows.world.ports["n2"].consumed_count == 2
    assert slows.world.dead == []


def test_a_dropped_remote_signal_gives_its_credit_back(
    worlds: Any, slows: Slows, until: Any
) -> None:
    other = worlds("n2")
    worlds.join(slows.world, other)
    ref = slows("drop_oldest")
    worlds.introduce(slows.world, "slow", other)
    far = other.runtime.ref("slow")
    slows.fill(ref, 1)
    for number in range(1, 5):
        far.take.tell(number)
    until(lambda: [letter.action for letter in other.dead] == ["take"])
    assert slows.world.ports["n2"].consumed_count == 1


def test_block_takes_a_links_messages_and_keeps_their_credits(
    worlds: Any, slows: Slows, until: Any
) -> None:
    other = worlds("n2")
    worlds.join(slows.world, other)
    ref = slows("block")
    worlds.introduce(slows.world, "slow", other)
    far = other.runtime.ref("slow")
    slows.fill(ref, 1)
    for number in range(10):
        far.take.tell(number)
    until(lambda: slows.world.row("slow")["mailbox"] == 10)
    assert slows.world.ports["n2"].consumed_count == 0
    slows.go()
    until(lambda: slows.world.ports["n2"].consumed_count == 10)
    assert ref is not None


@pytest.mark.parametrize("kind", [Source, ThreadSource])
def test_block_holds_the_sender_between_its_messages(
    slows: Slows, until: Any, kind: type[Source]
) -> None:
    world = slows.world
    ref = slows("block")
    source = world.spawn(kind, "s")
    world.runtime.connect("s", "take", ("slow",))
    slows.fill(ref, 1)
    replies = [source.emit(number) for number in range(1, 9)]
    # Three find room, the fourth is accepted and holds the source, the rest wait in its mailbox.
    assert [reply.result(DEADLINE_S) for reply in replies[:4]] == [1, 2, 3, 4]
    until(lambda: world.row("s")["mailbox"] == 4)
    assert world.row("slow")["mailbox"] == 4
    slows.go()
    assert [reply.result(DEADLINE_S) for reply in replies[4:]] == [5, 6, 7, 8]
    until(lambda: world.row("slow")["handled"] == 9)


@pytest.mark.parametrize("kind", [Source, ThreadSource])
def test_a_congested_link_holds_the_sender(
    worlds: Any, slows: Slows, until: Any, kind: type[Source]
) -> None:
    other = worlds("n2")
    worlds.join(slows.world, other)
    slows("block")
    worlds.introduce(slows.world, "slow", other)
    port = other.ports["n1"]
    source = other.spawn(kind, "s")
    other.runtime.connect("s", "take", ("slow",))
    port.congested = True
    replies = [source.emit(number) for number in range(3)]
    assert replies[0].result(DEADLINE_S) == 0
    until(lambda: other.row("s")["mailbox"] == 2)
    assert len(port.items) == 1
    port.congested = False
    assert [reply.result(DEADLINE_S) for reply in replies[1:]] == [1, 2]


@pytest.mark.parametrize("kind", [Source, ThreadSource])
def test_a_held_actor_can_be_stopped_at_once(slows: Slows, until: Any, kind: type[Source]) -> None:
    world = slows.world
    ref = slows("block", 1)
    source = world.spawn(kind, "s")
    world.runtime.connect("s", "take", ("slow",))
    slows.fill(ref, 2)
    source.emit(2).result(DEADLINE_S)
    waiting = source.emit(3)
    until(lambda: world.row("s")["mailbox"] == 1)
    world.stop("s", 0).result(DEADLINE_S)
    with pytest.raises(NotDelivered):
        waiting.result(DEADLINE_S)


def test_two_that_would_wait_for_each_other_for_ever_do_not(world: Any, until: Any) -> None:
    class Echo(Actor, mailbox_max=5):
        ping = signal()
        pong = signal()
        left = 200

        @action
        def begin(self) -> None:
            for _ in range(20):
                self.ping.emit()

    class Ping(Echo):
        @action
        def pong(self) -> None:  # type: ignore[override]
            self.left -= 1
            if self.left > 0:
                self.send_signal("ping")

    class Pong(Echo):
        @action
        def ping(self) -> None:  # type: ignore[override]
            self.left -= 1
            for _ in range(2):
                self.send_signal("pong")

    one = world.spawn(Ping, "one")
    world.spawn(Pong, "other")
    world.runtime.connect("one", "ping", ("other",))
    world.runtime.connect("other", "pong", ("one",))
    one.begin.tell()
    until(lambda: world.row("one")["handled"] >= 200)


def test_an_actor_does_not_wait_for_itself(world: Any) -> None:
    class Selfish(Actor, mailbox_max=2):
        again = signal(int)

        @action
        def start(self) -> None:
            for number in range(10):
                self.send_signal("note", number)

        @action
        def note(self, number: int) -> None:
            self.last = number

        @action
        def get(self) -> int:
            return self.last

    ref = world.spawn(Selfish, "s")
    world.runtime.connect("s", "note", ("s",))
    ref.start().result(DEADLINE_S)
    assert ref.get().result(DEADLINE_S) == 9


def test_one_action_may_overshoot_up_to_the_hard_limit(
    slows: Slows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAILBOX_MESSAGES_HARD", 50)
    ref = slows("block")
    slows.fill(ref, 51)
    with pytest.raises(MailboxFull):
        ref.take.tell(51)


def test_wrong_options_are_refused_where_they_are_written() -> None:
    with pytest.raises(ConfigError, match="'green' must be one of shared, thread, process"):
        type("A", (Actor,), {}, dispatcher="green")
    with pytest.raises(ConfigError, match="mailbox_policy"):
        type("A", (Actor,), {}, mailbox_policy="wait")
    with pytest.raises(ConfigError, match="mailbox_max=0"):
        type("A", (Actor,), {}, mailbox_max=0)


def test_options_are_inherited() -> None:
    class Base(Actor, dispatcher="thread", mailbox_max=7):
        pass

    class Derived(Base, mailbox_policy="reject"):
        pass

    options = Derived.__zactor_options__
    assert (options.dispatcher, options.mailbox_max, options.mailbox_policy) == (
        "thread",
        7,
        "reject",
    )


def test_what_answers_passes_a_full_link(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Source, "t")
    worlds.introduce(other, "t", one)
    other.ports["n1"].full = True
    assert one.runtime.ref("t").emit(1).result(DEADLINE_S) == 1
    with pytest.raises(RemoteActionError):
        one.runtime.ref("t").emit().result(DEADLINE_S)
    other.stop("t").result(DEADLINE_S)
    one.runtime.ref("t").emit.tell(2)
    until(lambda: [letter.action for letter in one.dead] == ["emit"])
    with pytest.raises(NotDelivered):
        one.runtime.ref("t").emit(3).result(DEADLINE_S)
