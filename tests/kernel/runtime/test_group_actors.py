"""Actors in groups and signals in group order, in one process on the real engine."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from zactor import Actor, MembershipCause, MembershipMessage, RoomMessage, Service, action, signal
from zactor.kernel import Kernel, config
from zactor.kernel.errors import ActorError, AlreadyExists, MailboxFull, NoSuchAction, NoSuchThing


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as made:
        yield made


class Guest(Actor):
    """Does in groups what it is told to, and notes all that it sees."""

    def __init__(self) -> None:
        self.seen: list[RoomMessage | MembershipMessage] = []
        self.threads: set[str] = set()

    def on_message(self, message: RoomMessage) -> None:
        self.threads.add(threading.current_thread().name)
        self.seen.append(message)

    def on_view(self, view: MembershipMessage) -> None:
        self.seen.append(view)

    @action
    async def enter(self, group: str = "room") -> None:
        await self.join(group)

    @action
    async def quit(self, group: str = "room") -> None:
        await self.leave(group)

    @action
    async def say(self, *values: Any, to: Any = "room", **options: Any) -> None:
        for value in values:
            await self.multicast(to, value, **options)

    @action
    def shout(self, count: int, to: str = "room") -> None:
        for number in range(count):
            self.multicast(to, number)

    @action
    def all(self) -> list[RoomMessage | MembershipMessage]:
        return self.seen

    @action
    def where(self) -> set[str]:
        return self.threads


class Silent(Actor):
    """A member without hooks."""

    async def on_start(self) -> None:
        await self.join("room")


def guests(kernel: Kernel, *names: str, cls: type[Guest] = Guest) -> None:
    for name in names:
        kernel.spawn(cls, name=name)
        kernel.ask(name, "enter")


def seen(kernel: Kernel, name: str) -> list[Any]:
    kernel.run_until_idle(10)
    found: list[Any] = kernel.ask(name, "all")
    return found


def values(kernel: Kernel, name: str) -> list[Any]:
    return [event.value for event in seen(kernel, name) if isinstance(event, RoomMessage)]


# -- members ---------------------------------------------------------------------------------
def test_a_member_sees_itself_come_then_what_follows_in_one_order(kernel: Kernel) -> None:
    guests(kernel, "a", "b")
    kernel.ask("b", "say", 1)
    kernel.ask("a", "say", 2)
    both = ("#a#local", "#b#local")
    mine, hers = seen(kernel, "a"), seen(kernel, "b")
    assert [(v.members, v.cause, v.changed) for v in mine[:2]] == [
        (("#a#local",), MembershipCause.JOIN, "#a#local"),
        (both, MembershipCause.JOIN, "#b#local"),
    ]
    assert mine[1:] == hers
    assert hers[1] == RoomMessage(
        sender="#b#local", groups=("room",), value=1, service=Service.AGREED, transitional=False
    )
    assert hers[2].sender == "#a#local"


def test_a_member_that_discards_gets_no_copy_of_its_own(kernel: Kernel) -> None:
    guests(kernel, "a", "b")
    kernel.ask("a", "say", 1, discard=True)
    assert (values(kernel, "a"), values(kernel, "b")) == ([], [1])


def test_a_message_to_several_groups_comes_once_with_all_their_names(kernel: Kernel) -> None:
    guests(kernel, "a")
    kernel.ask("a", "enter", "other")
    kernel.spawn(Guest, name="outside")
    kernel.ask("outside", "say", 1, to=("room", "other", "nobody"), service=Service.SAFE)
    (message,) = [event for event in seen(kernel, "a") if isinstance(event, RoomMessage)]
    assert message.groups == ("room", "other", "nobody")
    assert message.service is Service.SAFE
    assert values(kernel, "outside") == []


def test_any_value_travels_and_bytes_stay_what_they_are(kernel: Kernel) -> None:
    guests(kernel, "a")
    for value in ({1: "x"}, b"raw", b"", b"\x00zv\x00", b"D", None, (1, 2)):
        kernel.ask("a", "say", value)
    kernel.ask("a", "say", np.arange(100_000))
    found = values(kernel, "a")
    assert found[:-1] == [{1: "x"}, b"raw", b"", b"\x00zv\x00", b"D", None, (1, 2)]
    assert found[-1].sum() == sum(range(100_000))


def test_a_sender_is_answered_over_its_private_group(kernel: Kernel) -> None:
    guests(kernel, "a", "b")
    kernel.ask("a", "say", "who?", discard=True)
    (question,) = [event for event in seen(kernel, "b") if isinstance(event, RoomMessage)]
    kernel.ask("b", "say", "me", to=question.sender)
    assert (values(kernel, "a"), values(kernel, "b")) == (["me"], ["who?"])


def test_who_left_hears_no_more(kernel: Kernel) -> None:
    guests(kernel, "a", "b")
    kernel.ask("b", "quit")
    kernel.ask("a", "say", 1)
    last = seen(kernel, "b")[-1]
    assert (last.cause, last.members, last.changed) == (MembershipCause.SELF_LEAVE, (), "#b#local")
    rest = seen(kernel, "a")[-2]
    assert (rest.cause, rest.members, rest.changed) == (
        MembershipCause.LEAVE,
        ("#a#local",),
        "#b#local",
    )


def test_joining_and_leaving_without_waiting_ends_every_reply(kernel: Kernel) -> None:
    class Hasty(Guest):
        @action
        async def rush(self) -> int:
            replies = [
                self.join("room"),
                self.leave("room"),
                self.join("room"),
                self.leave("room"),
            ]
            for reply in replies:
                await reply
            return len(replies)

    kernel.spawn(Hasty, name="a")
    assert kernel.ask("a", "rush", timeout=10) == 4
    causes = [(view.cause, len(view.members)) for view in seen(kernel, "a")]
    assert causes == [(MembershipCause.JOIN, 1), (MembershipCause.SELF_LEAVE, 0)] * 2


def test_a_stopped_actor_is_disconnected_and_the_next_of_its_name_is_new(kernel: Kernel) -> None:
    guests(kernel, "a", "b")
    kernel.ask("b", "shout", 10)
    kernel.stop("b")
    guests(kernel, "b")
    kernel.ask("a", "say", "hello")
    mine = seen(kernel, "a")
    assert values(kernel, "a") == [*range(10), "hello"]
    changes = [
        (view.cause, view.changed) for view in mine[2:] if isinstance(view, MembershipMessage)
    ]
    assert changes == [(MembershipCause.DISCONNECT, "#b#local"), (MembershipCause.JOIN, "#b#local")]
    assert values(kernel, "b") == ["hello"]
    assert not kernel.dead_letters


def test_what_a_stopping_actor_says_last_is_heard(kernel: Kernel) -> None:
    class Polite(Guest):
        def on_stop(self, reason: str) -> None:
            self.multicast("room", "bye")

    guests(kernel, "a")
    guests(kernel, "b", cls=Polite)
    kernel.stop("b")
    last = seen(kernel, "a")[-2:]
    assert last[0].value == "bye"
    assert last[1].cause is MembershipCause.DISCONNECT


def test_what_waits_in_the_mailbox_of_who_stops_at_once_is_a_dead_letter(kernel: Kernel) -> None:
    class Tired(Guest):
        def on_message(self, message: RoomMessage) -> None:
            self.stop()

    guests(kernel, "a")
    guests(kernel, "b", cls=Tired)
    kernel.ask("a", "shout", 5)
    assert values(kernel, "a") == [0, 1, 2, 3, 4]
    letters = [(letter.sender, letter.target, letter.action) for letter in kernel.dead_letters]
    assert letters == [("#a#local", "b", "on_message")] * 4


def test_a_hook_that_raises_costs_one_message_only(kernel: Kernel) -> None:
    class Moody(Guest):
        def on_message(self, message: RoomMessage) -> None:
            if message.value == 1:
                raise ZeroDivisionError("no")
            super().on_message(message)

    guests(kernel, "a", cls=Moody)
    kernel.ask("a", "say", 0, 1, 2)
    assert values(kernel, "a") == [0, 2]


def test_hooks_may_be_async_and_come_one_at_a_time(kernel: Kernel) -> None:
    class Slow(Guest):
        async def on_message(self, message: RoomMessage) -> None:
            self.seen.append(message)
            await asyncio.sleep(0.001)
            self.seen.append(message)

        async def on_view(self, view: MembershipMessage) -> None:
            await asyncio.sleep(0.001)

    guests(kernel, "a", cls=Slow)
    kernel.ask("a", "shout", 5)
    assert values(kernel, "a") == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]


def test_an_actor_in_a_thread_of_its_own_is_a_member_like_any_other(kernel: Kernel) -> None:
    class Apart(Guest, dispatcher="thread"):
        @action
        def block(self, value: Any) -> None:
            self.multicast("room", value).result(10)

    guests(kernel, "a")
    guests(kernel, "b", cls=Apart)
    kernel.ask("b", "say", 1)
    kernel.ask("b", "block", 2)
    kernel.ask("a", "say", 3)
    assert values(kernel, "a") == [1, 2, 3]
    assert values(kernel, "b") == [1, 2, 3]
    assert kernel.ask("b", "where") == {"zactor-actor-b"}
    assert kernel.ask("a", "where") == {threading.current_thread().name}


def test_a_member_without_hooks_is_no_trouble(kernel: Kernel) -> None:
    kernel.spawn(Silent, name="mute")
    guests(kernel, "a")
    kernel.ask("a", "say", 1)
    assert seen(kernel, "a")[0].members == ("#a#local", "#mute#local")
    assert not kernel.dead_letters


def test_an_actor_may_join_before_it_has_started(kernel: Kernel) -> None:
    class Early(Guest):
        def __init__(self) -> None:
            super().__init__()
            self.join("room")
            self.multicast("room", "I am")

    kernel.spawn(Early, name="a")
    assert values(kernel, "a") == ["I am"]


def test_a_full_mailbox_drops_messages_of_groups_as_its_policy_says(kernel: Kernel) -> None:
    class Small(Guest, mailbox_max=3, mailbox_policy="drop_newest"):
        pass

    guests(kernel, "a")
    guests(kernel, "b", cls=Small)
    kernel.ask("a", "shout", 10)
    assert values(kernel, "a") == list(range(10))
    kept = values(kernel, "b")
    assert len(kept) < 10
    assert kept == list(range(len(kept)))
    assert len(kernel.dead_letters) == 10 - len(kept)
    assert "the newest was dropped" in kernel.dead_letters[0].reason
    kernel.ask("a", "say", "more")
    assert values(kernel, "b")[-1] == "more"


def test_a_full_mailbox_that_refuses_costs_the_sender_nothing(kernel: Kernel) -> None:
    class Strict(Guest, mailbox_max=2, mailbox_policy="reject"):
        pass

    guests(kernel, "a")
    guests(kernel, "b", cls=Strict)
    kernel.ask("a", "shout", 6)
    assert values(kernel, "a") == list(range(6))
    assert len(values(kernel, "b")) + len(kernel.dead_letters) == 6
    assert "the mailbox of b is full" in kernel.dead_letters[0].reason


def test_beyond_the_hard_limit_a_message_is_refused_at_its_line(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bold(Guest):
        @action
        def overdo(self, count: int) -> list[int]:
            taken = []
            for number in range(count):
                try:
                    self.multicast("room", number)
                except MailboxFull:
                    continue
                taken.append(number)
            return taken

    guests(kernel, "a", cls=Bold)
    monkeypatch.setattr(config, "GROUP_QUEUE_HARD", 10)
    assert kernel.ask("a", "overdo", 15) == list(range(10))
    assert values(kernel, "a") == list(range(10))


def test_a_signal_beyond_the_hard_limit_is_refused_at_its_line(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = wired(kernel, h=Service.AGREED)
    kernel.run_until_idle(10)
    monkeypatch.setattr(config, "GROUP_QUEUE_HARD", 10)
    with pytest.raises(ActorError, match="10 messages to groups wait") as caught:
        kernel.ask("t1", "burst", 15)
    assert caught.value.fields()["remote_type"] == MailboxFull.__name__
    kernel.run_until_idle(10)
    assert kernel.ask(name, "all") == [("t1", number) for number in range(10)]


def test_more_than_a_window_goes_through_in_order_whether_awaited_or_not(kernel: Kernel) -> None:
    count = 3 * config.GROUP_QUEUE_SOFT
    guests(kernel, "a")
    kernel.ask("a", "shout", count)
    assert values(kernel, "a") == list(range(count))
    kernel.ask("a", "say", *range(count))
    assert values(kernel, "a") == [*range(count), *range(count)]


def test_an_actor_that_is_far_behind_itself_goes_on(kernel: Kernel) -> None:
    """Its node gives no credit meanwhile, to itself neither: only this actor can change that."""

    class Talker(Guest):
        left = 2_000

        @action
        def flood(self, count: int) -> None:
            for _ in range(count):
                self.multicast("room", bytes(4_096))

        async def on_message(self, message: RoomMessage) -> None:
            self.seen.append(message)
            if self.left:
                self.left -= 1
                await self.multicast("room", bytes(4_096))

    first = 2 * config.GROUP_BACKLOG_MESSAGES  # beyond what is acknowledged, and beyond a window
    guests(kernel, "a", cls=Talker)
    kernel.ask("a", "flood", first)
    assert len(values(kernel, "a")) == first + 2_000


# -- what is refused -------------------------------------------------------------------------
@pytest.mark.parametrize("group", ["", "a#b", "zactor.kb", "x" * 129])
def test_a_name_that_is_none_can_not_be_joined(kernel: Kernel, group: str) -> None:
    kernel.spawn(Guest, name="a")
    with pytest.raises(ActorError, match=r"name|zactor"):
        kernel.ask("a", "enter", group)
    with pytest.raises(ActorError):
        kernel.ask("a", "say", 1, to=group)
    assert seen(kernel, "a") == []


@pytest.mark.parametrize("to", [(), "#a", "##x", "#zactor.wires#local", ("room", "")])
def test_a_message_to_nobody_or_to_zactor_itself_is_refused(kernel: Kernel, to: Any) -> None:
    kernel.spawn(Guest, name="a")
    with pytest.raises(ActorError) as caught:
        kernel.ask("a", "say", 1, to=to)
    assert caught.value.fields()["remote_type"] == "ConfigError"


def test_joining_twice_and_leaving_what_was_not_joined_are_told(kernel: Kernel) -> None:
    kernel.spawn(Guest, name="a")
    with pytest.raises(ActorError) as missing:
        kernel.ask("a", "quit")
    kernel.ask("a", "enter")
    with pytest.raises(ActorError) as twice:
        kernel.ask("a", "enter")
    assert missing.value.fields()["remote_type"] == NoSuchThing.__name__
    assert twice.value.fields()["remote_type"] == AlreadyExists.__name__


def test_a_message_that_is_too_long_is_refused_at_its_line(kernel: Kernel) -> None:
    guests(kernel, "a")
    with pytest.raises(ActorError, match="the limit is 1048576"):
        kernel.ask("a", "say", bytes(config.GROUP_PAYLOAD_BYTES_MAX + 1))
    kernel.ask("a", "say", bytes(config.GROUP_PAYLOAD_BYTES_MAX))
    assert [len(value) for value in values(kernel, "a")] == [config.GROUP_PAYLOAD_BYTES_MAX]


def test_an_actor_made_by_hand_has_no_groups() -> None:
    with pytest.raises(ActorError, match="made by hand"):
        Guest().join("room")


def test_a_hook_can_not_be_called_from_outside(kernel: Kernel) -> None:
    guests(kernel, "a")
    with pytest.raises(NoSuchAction, match="no action 'on_message'"):
        kernel.ask("a", "on_message", 1)
    assert values(kernel, "a") == []


def test_a_runtime_without_an_engine_says_so(worlds: Any) -> None:
    world = worlds()
    guest = world.spawn(Guest, "a")
    with pytest.raises(ActorError, match="can't use groups"):
        guest.enter().result(10)


# -- signals in group order ------------------------------------------------------------------
class Teller(Actor):
    said = signal(str, int)

    @action
    def burst(self, count: int, what: Any = None) -> None:
        for number in range(count):
            self.said.emit(self.name, number if what is None else what)


class Hearer(Actor):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    @action
    def said(self, who: str, number: Any) -> None:
        self.heard.append((who, number))

    @action
    def all(self) -> list[Any]:
        return self.heard


def wired(kernel: Kernel, **services: Service) -> list[str]:
    """Hearers of these names, wired to the tellers t1 and t2 with these services."""
    for teller in ("t1", "t2"):
        kernel.spawn(Teller, name=teller)
    for name, service in services.items():
        kernel.spawn(Hearer, name=name)
        for teller in ("t1", "t2"):
            kernel.react_interaction(name, teller, "said", service=service)
    return list(services)


def test_reactors_of_two_emitters_hear_one_order(kernel: Kernel) -> None:
    names = wired(kernel, h1=Service.AGREED, h2=Service.AGREED, h3=Service.AGREED)
    for _ in range(20):
        kernel.tell("t1", "burst", (10,), {})
        kernel.tell("t2", "burst", (10,), {})
    kernel.run_until_idle(10)
    heard = [kernel.ask(name, "all") for name in names]
    assert heard[0] == heard[1] == heard[2]
    assert len(heard[0]) == 400


def test_one_signal_serves_reactors_of_every_service(kernel: Kernel) -> None:
    names = wired(kernel, f=Service.FIFO, c=Service.CAUSAL, a=Service.AGREED, s=Service.SAFE)
    assert kernel.send_signal("t1", "said", "t1", 7) == 4
    kernel.run_until_idle(10)
    assert [kernel.ask(name, "all") for name in names] == [[("t1", 7)]] * 4


def test_the_service_of_an_interaction_can_be_changed_and_it_can_end(kernel: Kernel) -> None:
    wired(kernel, h=Service.AGREED)
    kernel.react_interaction("h", "t1", "said", service=Service.FIFO)
    kernel.ask("t1", "burst", 1)
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t1", 0)]
    kernel.react_interaction("h", "t1", "said", service=Service.SAFE)
    kernel.remove_interaction("h", "t1", "said")
    kernel.ask("t1", "burst", 1)
    kernel.ask("t2", "burst", 1)
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t1", 0), ("t2", 0)]


def test_a_reactor_that_is_gone_leaves_dead_letters(kernel: Kernel) -> None:
    class Ender(Hearer):
        @action
        def said(self, who: str, number: Any) -> None:
            self.stop()

    kernel.spawn(Teller, name="t1")
    kernel.spawn(Ender, name="h")
    kernel.react_interaction("h", "t1", "said", service=Service.AGREED)
    kernel.ask("t1", "burst", 4)
    kernel.run_until_idle(10)
    letters = [(letter.sender, letter.target, letter.action) for letter in kernel.dead_letters]
    assert letters == [("t1", "h", "said")] * 3


def test_a_signal_too_long_for_group_order_is_refused_and_nobody_has_it(kernel: Kernel) -> None:
    names = wired(kernel, f=Service.FIFO, a=Service.AGREED)
    with pytest.raises(ActorError, match="connect with service fifo"):
        kernel.ask("t1", "burst", 1, bytes(config.GROUP_PAYLOAD_BYTES_MAX))
    kernel.run_until_idle(10)
    assert [kernel.ask(name, "all") for name in names] == [[], []]


def test_reactors_in_group_order_get_a_snapshot(kernel: Kernel) -> None:
    class Careless(Teller):
        @action
        def go(self) -> None:
            mine = [1]
            self.said.emit("t", mine)  # type: ignore[arg-type]  # a list where an int is declared
            mine.append(2)

    kernel.spawn(Careless, name="t")
    kernel.spawn(Hearer, name="h")
    kernel.react_interaction("h", "t", "said", service=Service.AGREED)
    kernel.ask("t", "go")
    kernel.run_until_idle(10)
    assert kernel.ask("h", "all") == [("t", [1])]
