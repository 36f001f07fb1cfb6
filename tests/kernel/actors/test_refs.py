"""Replies in plain threads, in foreign loops and in the actors' own; refs on their way."""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest
from deadlines import DEADLINE_S, join

from zactor import Actor, action
from zactor.kernel.actors import refs
from zactor.kernel.actors.refs import GATEWAY, gateway_here, make_ref
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import NotReachable, TimedOut


class Recorder:
    """A gateway that notes what goes through it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.replies: list[Reply[Any]] = []

    def call(self, actor: str, action: str, args: Any, kwargs: Any, timeout: Any) -> Reply[Any]:
        self.calls.append((actor, action, args, kwargs, timeout))
        reply: Reply[Any] = Reply(timeout=timeout, what=(actor, action))
        self.replies.append(reply)
        return reply

    def tell(self, actor: str, action: str, args: Any, kwargs: Any) -> None:
        self.calls.append((actor, action, args, kwargs))


class Known(Actor):
    @action
    def inc(self, by: int = 1) -> int:
        return by


def test_a_ref_puts_calls_through_its_gateway() -> None:
    gateway = Recorder()
    ref = make_ref("c1", gateway)
    ref.inc(1, by=2)
    ref.inc.opts(timeout=3.0)(4)
    ref.inc.tell(5)
    assert gateway.calls == [
        ("c1", "inc", (1,), {"by": 2}, None),
        ("c1", "inc", (4,), {}, 3.0),
        ("c1", "inc", (5,), {}),
    ]


def test_a_ref_of_a_known_class_refuses_what_it_lacks() -> None:
    ref = make_ref("c1", Recorder(), Known)
    assert ref.inc is not None
    with pytest.raises(AttributeError, match="c1 is a Known, which has no action 'dec'"):
        _ = ref.dec


def test_what_cannot_be_written_as_utf8_is_no_action() -> None:
    ref = make_ref("c1", Recorder())
    assert getattr(ref, "größer") is not None  # noqa: B009  # the same way as the other
    with pytest.raises(AttributeError, match="is no name of an action"):
        getattr(ref, "\ud800")


def test_refs_travel_by_name_and_take_the_gateway_of_the_place() -> None:
    body = pickle.dumps(make_ref("c1", Recorder(), Known))
    here = Recorder()
    with gateway_here(here):
        ref = pickle.loads(body)
    assert GATEWAY.get() is None
    ref.inc.tell(1)
    assert here.calls == [("c1", "inc", (1,), {})]
    assert ref == make_ref("c1", Recorder())
    assert len({ref, make_ref("c1", here)}) == 1
    stray = pickle.loads(body)
    with pytest.raises(NotReachable, match="unpickled outside"):
        stray.inc(1)
    with pytest.raises(NotReachable):
        stray.inc.tell(1)


def test_the_first_end_of_a_reply_wins() -> None:
    reply: Reply[int] = Reply()
    seen: list[Any] = []
    reply.add_done_callback(lambda ended: seen.append(ended.done()))
    reply.set_result(1)
    reply.set_error(ValueError())
    reply.set_result(2)
    reply.add_done_callback(lambda _: seen.append("late"))
    assert reply.result() == 1
    assert seen == [True, "late"]


def test_a_callback_that_raises_stops_neither_who_answers_nor_who_else_listens() -> None:
    def raise_it(_: object) -> None:
        raise ValueError("a callback's own")

    reply: Reply[int] = Reply()
    seen: list[str] = []
    reply.add_done_callback(raise_it)
    reply.add_done_callback(lambda _: seen.append("early"))
    reply.set_result(1)
    reply.add_done_callback(raise_it)
    reply.add_done_callback(lambda _: seen.append("late"))
    assert seen == ["early", "late"]
    assert reply.result() == 1


def test_a_reply_is_awaited_in_any_loop(world: Any) -> None:
    ref = world.spawn(Known, "c1")

    async def ask() -> list[int]:
        return [await ref.inc(1), *await asyncio.gather(*[wait(n) for n in range(10)])]

    async def wait(number: int) -> int:
        return int(await ref.inc(number))

    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda: results.append(asyncio.run(ask()))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    join(*threads)
    assert results == [[1, *range(10)]] * 3


def test_an_awaited_reply_times_out() -> None:
    async def ask() -> None:
        reply: Reply[int] = Reply(timeout=0.01, what=("c1", "inc"))
        with pytest.raises(TimedOut, match=r"c1\.inc"):
            await reply
        reply.set_result(1)
        with pytest.raises(TimedOut):
            await reply

    asyncio.run(ask())


def test_who_stops_waiting_does_no_harm() -> None:
    async def ask() -> int:
        reply: Reply[int] = Reply()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(take(reply)), 0.01)
        reply.set_result(5)
        return await reply

    async def take(reply: Reply[int]) -> int:
        return await reply

    assert asyncio.run(ask()) == 5


def test_an_answer_to_a_loop_that_is_closed_does_no_harm() -> None:
    reply: Reply[int] = Reply()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.ensure_future(take()), 0.01)

    async def take() -> int:
        return await reply

    asyncio.run(give_up())
    reply.set_result(3)
    assert reply.result() == 3


def test_an_answer_that_cannot_be_read_is_an_error_of_the_asker() -> None:
    def convert(_: Any) -> Any:
        raise ValueError("unreadable")

    reply: Reply[int] = Reply()
    reply.set_result(b"", convert)
    for _ in range(2):
        with pytest.raises(ValueError, match="unreadable"):
            reply.result()


def test_many_threads_may_end_and_await_replies_at_once() -> None:
    for _ in range(200):
        reply: Reply[int] = Reply()
        seen: list[int] = []
        barrier = threading.Barrier(3)

        def end(value: int, reply: Reply[int] = reply, barrier: Any = barrier) -> None:
            barrier.wait(DEADLINE_S)
            reply.set_result(value)

        def listen(reply: Reply[int] = reply, seen: Any = seen, barrier: Any = barrier) -> None:
            barrier.wait(DEADLINE_S)
            reply.add_done_callback(lambda _: seen.append(1))

        threads = [threading.Thread(target=end, args=(1,)) for _ in range(2)]
        threads.append(threading.Thread(target=listen))
        for thread in threads:
            thread.start()
        join(*threads)
        assert reply.result(0) == 1
        assert seen == [1]


@pytest.fixture
def restless() -> Iterator[None]:
    """New threads change as often as can be, also where an interpreter without a debugger
    happens not to let them: between any two lines of a Reply.
    """

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        return trace if frame.f_code.co_filename == refs.__file__ else None

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-7)
    threading.settrace(trace)
    yield
    threading.settrace(None)  # type: ignore[arg-type]  # as its documentation has it
    sys.setswitchinterval(before)


def outcome_of(reply: Reply[Any]) -> object:
    """What it ended with, as whoever asks sees it."""
    try:
        return reply.result(0)
    except ValueError as error:
        return error


def in_threads(count: int, work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    join(*threads)


@pytest.mark.usefixtures("restless")
def test_a_reply_that_many_threads_end_at_once_has_one_end_for_all_who_look() -> None:
    count, rounds = 6, 300
    replies: list[Reply[Any]] = [Reply() for _ in range(rounds)]
    seen: list[list[object]] = [[] for _ in range(rounds)]
    heard: list[list[object]] = [[] for _ in range(rounds)]
    for reply, there in zip(replies, heard, strict=True):
        reply.add_done_callback(lambda ended, there=there: there.append(outcome_of(ended)))
    errors = [ValueError(number) for number in range(count)]
    start = threading.Barrier(count)

    def end_all(number: int) -> None:
        for reply, there in zip(replies, seen, strict=True):
            start.wait()
            if number % 3 == 0:
                reply.set_error(errors[number])
            elif number % 3 == 1:
                reply.set_result(number)
            else:  # one that is read by who looks, several at a time
                reply.set_result(number, lambda raw: f"read {raw}")
            there.append(outcome_of(reply))

    in_threads(count, end_all)
    allowed = {*errors, *range(count), *(f"read {number}" for number in range(count))}
    for there, told in zip(seen, heard, strict=True):
        assert len(there) == count
        assert len(told) == 1
        assert len({*there, *told}) == 1, (there, told)
        assert there[0] in allowed


def test_a_reply_that_nobody_wants_is_no_leak(world: Any) -> None:
    ref = world.spawn(Known, "c1")
    for _ in range(100):
        ref.inc(1)
    ref.inc(1).result()
    gc.collect()
    assert not [o for o in gc.get_objects() if type(o) is Reply and o._what == ("c1", "inc")]
