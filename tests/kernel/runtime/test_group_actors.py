"""Actors in groups, in one process on the real engine."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from deadlines import DEADLINE_S, run_to_end
from group_guests import Guest, guests, seen, values

from zactor import Actor, GroupMessage, MembershipCause, MembershipMessage, Service, action
from zactor.kernel import Kernel


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with Kernel() as made:
        yield made


class Silent(Actor):
    """A member without hooks."""

    async def on_start(self) -> None:
        await self.join("room")


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
    assert hers[1] == GroupMessage(
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
    (message,) = [event for event in seen(kernel, "a") if isinstance(event, GroupMessage)]
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
    (question,) = [event for event in seen(kernel, "b") if isinstance(event, GroupMessage)]
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
    assert kernel.ask("a", "rush", timeout=DEADLINE_S) == 4
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
        def on_message(self, message: GroupMessage) -> None:
            self.stop()

    guests(kernel, "a")
    guests(kernel, "b", cls=Tired)
    kernel.ask("a", "shout", 5)
    assert values(kernel, "a") == [0, 1, 2, 3, 4]
    letters = [(letter.sender, letter.target, letter.action) for letter in kernel.dead_letters]
    assert letters == [("#a#local", "b", "on_message")] * 4


def test_a_hook_that_raises_costs_one_message_only(kernel: Kernel) -> None:
    class Moody(Guest):
        def on_message(self, message: GroupMessage) -> None:
            if message.value == 1:
                raise ZeroDivisionError("no")
            super().on_message(message)

    guests(kernel, "a", cls=Moody)
    kernel.ask("a", "say", 0, 1, 2)
    assert values(kernel, "a") == [0, 2]


def test_hooks_may_be_async_and_come_one_at_a_time(kernel: Kernel) -> None:
    class Slow(Guest):
        async def on_message(self, message: GroupMessage) -> None:
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
            self.multicast("room", value).result(DEADLINE_S)

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


def test_the_example_of_the_readme_works(
    kernel: Kernel, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (Path(__file__).parents[3] / "README.md").read_text()
    (text,) = re.findall(r"```python\n# guest.py\n(.*?)```", readme, re.DOTALL)
    module = types.ModuleType("guest")
    monkeypatch.setitem(sys.modules, "guest", module)
    exec(text, module.__dict__)
    for name in ("ann", "bob"):
        kernel.spawn(module.__dict__["Guest"], name=name)
    kernel.ask("ann", "say", "hello")
    kernel.run_until_idle(10)
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "#ann#local says hello",
        "#ann#local says hello",
        "join: #ann#local",
        "join: #ann#local, #bob#local",
        "join: #ann#local, #bob#local",
    ]


def test_a_kernel_with_groups_loads_no_zeromq() -> None:
    code = """
import sys
from zactor import Actor
from zactor.kernel import Kernel

class Guest(Actor):
    async def on_start(self):
        await self.join("room")

with Kernel() as kernel:
    kernel.spawn(Guest, name="a")
print("zmq" in sys.modules)
"""
    done = run_to_end([sys.executable, "-c", code], check=True)
    assert done.stdout == "False\n"
