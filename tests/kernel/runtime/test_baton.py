"""The kernel's loop is run by one thread at a time, and never waits for the code of users."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from deadlines import DEADLINE_S, join
from kernel_house import Held, House, who

from zactor.kernel import limits
from zactor.kernel.runtime import watchdog
from zactor.kernel.runtime.watchdog import Blockage, Watchdog

Until = Callable[..., Any]

give_way = partial(time.sleep, 0.0002)  # another thread has the interpreter meanwhile


@pytest.fixture
def house(until: Until) -> Iterator[House]:
    before = sys.getswitchinterval()
    house = House()
    until(house.is_guest, "the actors' thread has the baton")
    yield house
    house.close()
    assert sys.getswitchinterval() == before


def test_while_actors_sleep_their_thread_runs_the_kernel(house: House) -> None:
    assert house.do(who()) == "zactor-actors"
    assert not house.baton.takeovers


def test_its_timers_fire_in_order_and_none_too_early(house: House) -> None:
    async def sleep_all() -> list[int]:
        done: list[int] = []
        await asyncio.gather(*(sleep(done, ms) for ms in (30, 10, 20)))
        return done

    async def sleep(done: list[int], ms: int) -> None:
        due = time.monotonic() + ms / 1000
        await asyncio.sleep(ms / 1000)
        assert time.monotonic() >= due
        done.append(ms)

    assert house.do(sleep_all()) == [10, 20, 30]
    assert house.is_guest()


def test_timers_of_the_actors_fire_while_they_sleep_with_a_guest(house: House) -> None:
    fired = threading.Event()
    house.shared.later(0.02, fired.set)
    assert fired.wait(DEADLINE_S)


def test_while_an_action_blocks_the_keeper_runs_the_kernel_and_gives_it_back(
    house: House, until: Until
) -> None:
    held = Held().begin(house.shared)
    assert house.do(who()) == "keeper"
    assert sys.getswitchinterval() < 0.005
    held.end()
    until(house.is_guest)
    assert house.do(who()) == "zactor-actors"


def test_a_timer_that_was_set_by_the_keeper_fires_when_the_host_sleeps_again(
    house: House, until: Until
) -> None:
    fired = threading.Event()
    held = Held().begin(house.shared)
    until(lambda: not house.is_guest())

    async def set_timer() -> None:
        asyncio.get_running_loop().call_later(0.3, fired.set)

    house.do(set_timer())
    held.end()
    until(house.is_guest)
    assert fired.wait(DEADLINE_S)


def test_what_an_action_put_off_before_it_blocks_is_done_while_it_does(
    house: House, until: Until
) -> None:
    done: list[int] = []

    def put_off(number: int) -> Callable[[], None]:
        return lambda: house.shared.at_slice_end(lambda: done.append(number))

    first = Held(put_off(1)).begin(house.shared)
    until(lambda: done == [1])
    # The next is there when that ends: the loop doesn't sleep, and the keeper goes on.
    second = Held(put_off(2))
    house.shared.post(second)
    first.end()
    assert second.is_on.wait(DEADLINE_S)
    until(lambda: done == [1, 2])
    second.end()


def test_what_an_action_puts_off_long_after_it_began_is_done_while_it_goes_on(
    house: House, until: Until
) -> None:
    done = threading.Event()
    go = threading.Event()
    over = threading.Event()

    def action() -> None:
        assert go.wait(DEADLINE_S)
        house.shared.at_slice_end(done.set)
        over.set()
        assert done.wait(DEADLINE_S)

    house.shared.post(action)
    until(lambda: not house.is_guest())
    go.set()
    assert over.wait(DEADLINE_S)
    assert done.wait(DEADLINE_S)


@pytest.mark.parametrize("by", ["thread", "action"])
@pytest.mark.parametrize("to", ["kernel", "actors"])
def test_nothing_that_is_posted_is_overlooked_while_the_baton_goes_to_and_fro(
    house: House, until: Until, by: str, to: str
) -> None:
    for number in range(200):
        done = threading.Event()
        post = partial(house.kernel.call_soon_threadsafe, done.set)
        if to == "actors":
            post = partial(house.kernel.call_soon_threadsafe, house.shared.post, done.set)
        held = None
        if not number % 10:
            held = Held().begin(house.shared)
            until(lambda: not house.is_guest())
        if by == "action":
            house.shared.post(post)
        if held is not None:
            held.end()
        if by == "thread":
            post()
        # Nothing else wakes anybody: an overlooked call stays so.
        assert done.wait(DEADLINE_S), number
    assert house.baton.takeovers > 1


def test_many_threads_post_and_all_of_it_is_done(house: House, until: Until) -> None:
    done: list[int] = []

    def post() -> None:
        for number in range(400):
            house.kernel.call_soon_threadsafe(done.append, number)
            time.sleep(0.0005)

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        house.shared.post(lambda: time.sleep(0.012))
        time.sleep(0.02)
    join(*threads)
    until(lambda: len(done) == 1_200)


def test_two_threads_never_run_it_at_once(house: House) -> None:
    inside: list[int] = []
    together: list[int] = []
    names: set[str] = set()

    async def busy() -> None:
        while len(names) < 2 or house.baton.takeovers < 5:
            inside.append(1)
            give_way()
            together.extend(inside[1:])
            inside.pop()
            names.add(threading.current_thread().name)
            await asyncio.sleep(0.0003)

    running = asyncio.run_coroutine_threadsafe(busy(), house.kernel)
    end = time.monotonic() + DEADLINE_S
    while not running.done() and time.monotonic() < end:
        house.shared.post(lambda: time.sleep(0.008))
        time.sleep(0.01)
    running.result(0)
    assert not together


def test_the_keeper_waits_for_the_end_of_a_round_of_the_hosts(house: House, until: Until) -> None:
    seat = house.shared.seat
    assert seat is not None
    held = Held()
    ran: list[int] = []

    def run_rounds() -> None:  # as a loop within an action would; the keeper sees an action
        house.kernel.call_soon_threadsafe(held)
        while not held.is_on.is_set():
            house.baton.step(seat)

    house.shared.post(run_rounds)
    assert held.is_on.wait(DEADLINE_S)
    house.kernel.call_soon_threadsafe(ran.append, 1)
    time.sleep(10 * limits.KEEPER_LOOK_S)
    assert not ran
    held.end()
    until(lambda: ran)


def test_the_host_doesnt_run_it_while_the_keeper_does(house: House, until: Until) -> None:
    names: list[str] = []
    seat = house.shared.seat
    assert seat is not None

    def try_to_run_it() -> None:
        house.kernel.call_soon(lambda: names.append(threading.current_thread().name))
        house.baton.step(seat)

    held = Held().begin(house.shared)
    until(lambda: not house.is_guest())
    house.shared.post(try_to_run_it)
    kernel_held = Held()
    house.kernel.call_soon_threadsafe(kernel_held)
    assert kernel_held.is_on.wait(DEADLINE_S)
    held.end()
    until(lambda: house.shared.seat is seat and seat.inside)
    assert not names
    kernel_held.end()
    until(lambda: names)


def test_when_the_actors_loop_ends_the_keeper_goes_on(house: House) -> None:
    usual = sys.getswitchinterval()
    assert house.shared.close(DEADLINE_S)
    assert house.do(who()) == "keeper"
    assert sys.getswitchinterval() == usual  # it competes with nobody


def test_while_the_actors_thread_hangs_another_one_may_become_host(
    house: House, until: Until
) -> None:
    held = Held().begin(house.shared)
    assert not house.shared.close(0.0)
    assert house.do(who()) == "keeper"
    hung, house.shared = house.shared, house.move_in()
    until(house.is_guest)
    assert house.do(who()) == "zactor-actors"
    assert house.baton.owner is house.shared.seat
    held.end()
    assert hung.close(DEADLINE_S)
    assert house.do(who()) == "zactor-actors"
    assert house.baton.owner is house.shared.seat


def test_the_kernel_ends_though_the_actors_thread_hangs(house: House) -> None:
    held = Held().begin(house.shared)
    house.kernel.call_soon_threadsafe(house.end.set)
    join(house.keeper)
    held.end()


def test_what_ends_the_kernels_loop_ends_the_keeper_not_the_actors(house: House) -> None:
    def leave() -> None:
        raise SystemExit(3)

    house.kernel.call_soon_threadsafe(leave)
    join(house.keeper)
    assert isinstance(house.error, SystemExit)
    alive = threading.Event()
    house.shared.post(alive.set)
    assert alive.wait(DEADLINE_S)


def test_who_has_nothing_to_do_costs_nothing(house: House, until: Until) -> None:
    house.do(asyncio.sleep(0.01))
    until(lambda: house.baton.parked, "the keeper sleeps")
    visits = house.shared.seat.visits if house.shared.seat else 0
    # What the kernel does alone wakes nobody else.
    house.do(asyncio.sleep(0.01))
    assert house.baton.parked
    assert house.shared.seat is not None
    assert house.shared.seat.visits == visits
    held = Held().begin(house.shared)
    assert house.do(who()) == "keeper"
    held.end()


def test_a_forks_child_never_runs_the_kernel(house: House, until: Until) -> None:
    ran: list[int] = []
    told, tell = os.pipe()
    children: list[int] = []

    def fork() -> None:
        house.kernel.call_soon_threadsafe(lambda: ran.append(os.getpid()))
        child = os.fork()
        if child:
            children.append(child)
            return
        # The loop of the child goes on once more, and then tells what was done in it.
        house.shared.loop.call_later(0.05, lambda: (os.write(tell, bytes(ran)), os._exit(0)))

    house.shared.post(fork)
    until(lambda: children)
    os.waitpid(children[0], 0)
    os.close(tell)
    with os.fdopen(told, "rb") as file:
        assert file.read() == b""
    until(lambda: ran == [os.getpid()])
    assert house.do(who()) == "zactor-actors"


def test_what_the_kernel_holds_up_is_laid_to_no_actor(
    house: House, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []

    class Logged:
        def warning(self, event: str, **fields: Any) -> None:
            lines.append((event, fields))

    monkeypatch.setattr(watchdog, "log", Logged())
    begun: list[Blockage] = []
    dog = Watchdog(house.shared, warning_s=0.02, begun=begun.append)
    dog.start()
    held = Held()
    house.kernel.call_soon_threadsafe(held)
    until(lambda: lines)
    held.end()
    dog.close()
    ((event, fields),) = lines
    assert event == "kernel_slow"
    assert "kernel_house.py:" in fields["where"]
    assert not begun
