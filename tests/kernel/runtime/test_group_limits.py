"""Actors in groups: full mailboxes, too much at once, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from deadlines import DEADLINE_S
from group_guests import Guest, guests, seen, values

from zactor import GroupMessage, Service, action
from zactor.kernel import Kernel, limits
from zactor.kernel.errors import ActorError, AlreadyExists, MailboxFull, NoSuchAction, NoSuchThing


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as made:
        yield made


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
    monkeypatch.setattr(limits, "GROUP_QUEUE_HARD", 10)
    assert kernel.ask("a", "overdo", 15) == list(range(10))
    assert values(kernel, "a") == list(range(10))


def test_more_than_a_window_goes_through_in_order_whether_awaited_or_not(kernel: Kernel) -> None:
    count = 3 * limits.GROUP_QUEUE_SOFT
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

        async def on_message(self, message: GroupMessage) -> None:
            self.seen.append(message)
            if self.left:
                self.left -= 1
                await self.multicast("room", bytes(4_096))

    first = 2 * limits.GROUP_BACKLOG_MESSAGES  # beyond what is acknowledged, and beyond a window
    guests(kernel, "a", cls=Talker)
    kernel.ask("a", "flood", first)
    assert len(values(kernel, "a")) == first + 2_000


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
        kernel.ask("a", "say", bytes(limits.GROUP_PAYLOAD_BYTES_MAX + 1))
    kernel.ask("a", "say", bytes(limits.GROUP_PAYLOAD_BYTES_MAX))
    assert [len(value) for value in values(kernel, "a")] == [limits.GROUP_PAYLOAD_BYTES_MAX]


@pytest.mark.parametrize("service", ["agreed", "SAFE", Service.FIFO])
def test_a_service_may_be_named(kernel: Kernel, service: Any) -> None:
    guests(kernel, "a")
    kernel.ask("a", "say", 1, service=service)
    assert values(kernel, "a") == [1]


def test_a_service_that_is_none_is_refused(kernel: Kernel) -> None:
    guests(kernel, "a")
    with pytest.raises(ActorError, match="is no service level"):
        kernel.ask("a", "say", 1, service="urgent")


def test_what_is_left_of_a_stopped_actor_can_not_come_back(kernel: Kernel) -> None:
    kept: list[Guest] = []

    class Kept(Guest):
        def on_start(self) -> None:
            kept.append(self)

    guests(kernel, "a")
    guests(kernel, "b", cls=Kept)
    kernel.stop("b")
    with pytest.raises(ActorError, match="b has stopped"):
        kept[0].multicast("room", "still here")
    with pytest.raises(ActorError, match="b has stopped"):
        kept[0].join("room")
    assert values(kernel, "a") == []
    assert seen(kernel, "a")[-1].members == ("#a#local",)


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
        guest.enter().result(DEADLINE_S)
