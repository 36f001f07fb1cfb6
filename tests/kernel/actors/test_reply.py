"""A Reply is awaited in any loop, as asyncio's own things are, and ended by any thread."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from deadlines import DEADLINE_S, join

from zactor import Actor, action
from zactor.kernel.actors.reply import Reply
from zactor.kernel.errors import TimedOut
from zactor.kernel.runtime.dispatcher import SharedLoop

Run = Callable[[Coroutine[Any, Any, Any]], Any]
VARIABLE: contextvars.ContextVar[int] = contextvars.ContextVar("VARIABLE", default=0)


@pytest.fixture(params=["asyncio", "shared", "driven"])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a coroutine in a loop of asyncio, in the actors', and in one that somebody drives."""
    if request.param == "asyncio":
        yield asyncio.run
        return
    shared = SharedLoop()
    if request.param == "shared":
        shared.start()
        yield lambda work: asyncio.run_coroutine_threadsafe(work, shared.loop).result(DEADLINE_S)
    else:
        yield shared.loop.run_until_complete
    assert shared.close(DEADLINE_S)


async def answer(reply: Reply[int], value: int) -> None:
    await asyncio.sleep(0)
    reply.set_result(value)


def in_a_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def test_it_is_awaited_before_and_after_its_end(run: Run) -> None:
    async def story() -> list[int]:
        reply: Reply[int] = Reply()
        answering = asyncio.create_task(answer(reply, 7))
        found = [await reply, await reply]
        await answering
        return found

    assert run(story()) == [7, 7]


def test_another_thread_ends_it(run: Run) -> None:
    async def story() -> int:
        total = 0
        for number in range(200):
            reply: Reply[int] = Reply()
            thread = in_a_thread(lambda reply=reply, number=number: reply.set_result(number))
            async with asyncio.timeout(DEADLINE_S):
                total += await reply
            join(thread)
        return total

    assert run(story()) == sum(range(200))


def test_who_waits_gets_the_error(run: Run) -> None:
    async def story() -> None:
        reply: Reply[int] = Reply()
        asyncio.get_running_loop().call_soon(reply.set_error, ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await reply

    run(story())


def test_many_wait_for_one_and_each_goes_on(run: Run) -> None:
    async def wait(reply: Reply[int]) -> int:
        return await reply

    async def story() -> list[int]:
        reply: Reply[int] = Reply()
        waiting = [asyncio.create_task(wait(reply)) for _ in range(5)]
        await asyncio.sleep(0)
        reply.set_result(3)
        return await asyncio.gather(*waiting)

    assert run(story()) == [3] * 5


def test_gather_and_wait_for_take_it(run: Run) -> None:
    async def story() -> tuple[list[int], int]:
        one, two, three = Reply[int](), Reply[int](), Reply[int]()
        loop = asyncio.get_running_loop()
        for number, reply in enumerate((one, two, three)):
            loop.call_later(0.001 * number, reply.set_result, number)
        return await asyncio.gather(one, two), await asyncio.wait_for(three, DEADLINE_S)

    assert run(story()) == ([0, 1], 2)


def test_wait_for_gives_up_and_the_reply_goes_on(run: Run) -> None:
    async def story() -> int:
        reply: Reply[int] = Reply()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reply, 0.005)
        reply.set_result(1)
        return await reply

    assert run(story()) == 1


def test_its_own_timeout_ends_it(run: Run) -> None:
    async def story() -> None:
        with pytest.raises(TimedOut):
            await Reply[int](timeout=0.005)

    run(story())


@pytest.mark.parametrize("ends", [False, True])
def test_a_task_that_waits_is_cancelled_once_whether_or_not_it_ends_just_then(
    run: Run, ends: bool
) -> None:
    went_on: list[object] = []

    async def wait(reply: Reply[int]) -> None:
        try:
            went_on.append(await reply)
        except asyncio.CancelledError:
            went_on.append("cancelled")
            raise

    async def story() -> bool:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: went_on.append(context))
        reply: Reply[int] = Reply()
        task = asyncio.create_task(wait(reply))
        await asyncio.sleep(0)
        if ends:
            reply.set_result(1)
        task.cancel()
        await asyncio.wait([task])
        reply.set_result(1)
        await asyncio.sleep(0.002)
        return task.cancelled()

    assert run(story())
    assert went_on == ["cancelled"]


def test_it_goes_on_in_the_context_of_the_task(run: Run) -> None:
    async def wait(reply: Reply[int], number: int) -> int:
        VARIABLE.set(number)
        await reply
        return VARIABLE.get()

    async def story() -> list[int]:
        reply: Reply[int] = Reply()
        waiting = [asyncio.create_task(wait(reply, number)) for number in range(3)]
        await asyncio.sleep(0)
        VARIABLE.set(99)
        reply.set_result(0)
        return await asyncio.gather(*waiting)

    assert run(story()) == [0, 1, 2]


def test_whoever_waits_says_for_what(run: Run) -> None:
    """Debuggers and asyncio's own messages print a task with what it waits for."""

    async def story() -> str:
        reply: Reply[int] = Reply(what=("c1", "inc"))
        task = asyncio.ensure_future(asyncio.wait_for(reply, DEADLINE_S))
        inner = asyncio.create_task(wait(reply))
        await asyncio.sleep(0)
        said = repr(inner)
        reply.set_result(1)
        await asyncio.gather(task, inner)
        return said

    async def wait(reply: Reply[int]) -> int:
        return await reply

    assert "wait_for=<Waiter" in run(story())


def test_who_ends_it_after_the_loop_was_closed_hears_nothing_of_that() -> None:
    reply: Reply[int] = Reply()
    loop = asyncio.new_event_loop()

    async def wait() -> int:
        return await reply

    task = loop.create_task(wait())
    loop.run_until_complete(asyncio.sleep(0))
    task.cancel()
    loop.run_until_complete(asyncio.wait([task]))
    loop.close()
    reply.set_result(1)
    assert reply.result() == 1


class Link(Actor):
    """Of a chain: asks the next, and answers what that says, and one more."""

    def __init__(self, next_: str) -> None:
        self.next_ = next_

    @action
    async def count(self) -> int:
        if not self.next_:
            return 0
        reply: int = await self.ref(self.next_).count()
        return reply + 1


def test_a_chain_of_many_asks_doesnt_recurse(world: Any) -> None:
    length = 10_000
    begun = [world.begin(Link, f"c{n}", f"c{n + 1}") for n in range(length)]
    begun.append(world.begin(Link, f"c{length}", ""))
    for each in begun:
        each.result(DEADLINE_S)
    assert world.runtime.ref("c0").count().result(DEADLINE_S) == length
