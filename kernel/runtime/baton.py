"""The baton: who runs the kernel's loop. Whoever has nothing better to do, one thread at a time.

There are two loops and two threads. The actors' thread, the *host*, alone runs the actors' loop.
Whenever that is about to sleep, and once in each of its rounds, the host also does a round of the
kernel's loop, its guest, and it sleeps on what either waits for: so what arrives is read, handled
by an actor and answered by one thread. The *keeper*, the thread "zactor-kernel", sleeps. It looks
every KEEPER_LOOK_S whether the host still is in the same action; then it takes the baton and runs
the kernel's loop itself, until the host is about to sleep and asks for it.

The rules a reader must not break. The kernel's loop runs only under `_lock`, and `owner` changes
only under it. Who posts a call looks who runs that loop after the call is in its queue; who takes
the baton says so before it looks into the queue: one of the two sees the other. The host never
waits for the lock: until it has the baton it works by pipes, as any thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
import weakref
from collections.abc import Callable, Coroutine, Iterable
from contextvars import Context
from typing import Protocol, TypeVar

from zactor.kernel import limits
from zactor.kernel.loops import GuestLoop, HostLoop
from zactor.kernel.runtime import switch_interval

T = TypeVar("T")

Call = Callable[[], None]

_VISITS_FEW = 3  # a host that has come inside no more often will sleep on: don't look for long
_EVENTS_MAX = 16  # looked at of one sleep; what is left over wakes again


class Sender(Protocol):
    """What actors of the host have sent, and what hasn't left yet."""

    def send_off(self) -> None:
        """Let it leave. Threads: the host, and the keeper while the host is in an action."""
        ...

    def send_before_sleep(self) -> None:
        """The same, unless more is about to come. Threads: the host."""
        ...


class Seat:
    """The host's side, for one actors' loop."""

    def __init__(self, baton: Baton, loop: HostLoop, sender: Sender) -> None:
        self.loop = loop
        self.sender = sender
        self.ident = threading.get_ident()
        self.inside = False  # it sleeps or serves its guest: it isn't in the code of users
        self.visits = 0  # how often it came inside
        self._last_visit = 0.0  # while another has the baton
        self.put_off: list[Call] = []  # until actors have had a slice, see ShortWay.after_actors
        self.epoll = select.epoll()  # of both loops, and of sockets that are read without a round
        self._own = loop.fileno()
        self._guest = baton.loop
        self._guest_fd = baton.loop.poller.fileno()
        self._baton = baton
        self.epoll.register(self._own, select.EPOLLIN)

    @property
    def has_baton(self) -> bool:
        """Whether this thread runs the kernel's loop."""
        return self._baton.owner is self

    def sleep(self, timeout: float | None) -> bool:
        """See Sleep: serve the guest until the host's own loop has something to do."""
        baton = self._baton
        self.visits += 1
        self.inside = True
        try:
            return self._serve(baton, timeout)
        finally:
            self.inside = False
            if baton.parked:
                baton.unpark()

    def _serve(self, baton: Baton, timeout: float | None) -> bool:
        guest = self._guest
        host = self.loop
        end = timeout and guest.time() + timeout
        while True:
            self.sender.send_before_sleep()
            self._do_put_off(baton)
            if baton.owner is self:
                due = guest.due_s()
                if guest.has_ready() or (due is not None and due <= guest.time()):
                    baton.step(self)
                    due = guest.due_s()
                pause = self._pause(end, due)
            else:
                pause = self._pause(end, None)
                absent_s = self._absent_s()
                if pause != 0 or absent_s < limits.KEEPER_LOOK_S:
                    baton.ask_back(self)
                else:  # actions go on and on: the keeper keeps it
                    pause = switch_interval.rest_s(absent_s)
            is_own = False
            for fd, _ in self.epoll.poll(pause, _EVENTS_MAX):
                if fd == self._own:
                    is_own = True
                elif fd == self._guest_fd:
                    baton.step(self)
                else:
                    baton.read(fd)
            if is_own or host.has_ready() or (end is not None and end <= guest.time()):
                return is_own

    def _absent_s(self) -> float:
        """How long ago it was here; if that is a moment, no action goes on for long any more."""
        last, self._last_visit = self._last_visit, self._guest.time()
        return self._last_visit - last

    def _do_put_off(self, baton: Baton) -> None:
        while (call := self.next_put_off()) is not None:
            if not baton.express(call):
                with contextlib.suppress(RuntimeError):  # closed: there is nothing left to read
                    self._guest.call_soon_threadsafe(call)

    def next_put_off(self) -> Call | None:
        """Take one of `put_off`, if there is one. Threads: the host, and the keeper."""
        try:
            return self.put_off.pop() if self.put_off else None
        except IndexError:  # the other one came first
            return None

    def _pause(self, end: float | None, due: float | None) -> float | None:
        """How long both may sleep, in seconds; None: for ever."""
        if end == 0 or self.loop.has_ready() or (self.has_baton and self._guest.has_ready()):
            return 0
        if due is not None and (end is None or due < end):
            end = due
        return None if end is None else max(0.0, end - self._guest.time())

    def take(self, readers: Iterable[int]) -> None:
        """Look after the guest's descriptors too, and after `readers`. With the baton."""
        for fd in (self._guest_fd, *readers):
            self.epoll.register(fd, select.EPOLLIN)

    def leave(self, readers: Iterable[int]) -> None:
        """Don't: else each would wake the host again and again. With the baton."""
        for fd in (self._guest_fd, *readers):
            with contextlib.suppress(OSError):
                self.epoll.unregister(fd)

    def forked(self) -> None:
        """In a fork's child: its parent goes on with the guest, and with what both sleep in."""
        self.loop.sleep_by(None)


class Baton:
    """The kernel's loop and who runs it: a seat's thread, or the keeper where `owner` is None."""

    def __init__(self, loop: GuestLoop) -> None:
        self.loop = loop
        self.owner: Seat | None = None
        self.seat: Seat | None = None  # who may be given it
        self.takeovers = 0
        self.parked = False  # the keeper sleeps until it is woken
        self._wanted = False
        self._lock = threading.Lock()
        self._alarm = threading.Lock()  # released by who wakes the keeper
        self._alarm.acquire()
        self._failure: BaseException | None = None  # what a callback ended the host's round with
        self._looking: asyncio.TimerHandle | None = None
        self._looked = -1
        self._context = Context()  # else what they make would inherit an actor's gateway
        self._readers: dict[int, Call] = {}  # by descriptor, see `watch`
        _batons.add(self)

    # -- the host ----------------------------------------------------------------------------
    def attach(self, loop: HostLoop, sender: Sender) -> Seat:
        """Let this thread, which runs `loop`, be the host from now on, when it first sleeps."""
        loop.belongs_to(threading.get_ident())
        seat = Seat(self, loop, sender)
        loop.sleep_by(seat.sleep)
        self.seat = seat
        return seat

    def detach(self, seat: Seat) -> None:
        """The host's loop is over. Doesn't wait for the lock: the keeper may have it for long."""
        seat.loop.sleep_by(None)
        if self.seat is seat:
            self.seat = None
            self.unpark()

    def is_at_work(self) -> bool:
        """Whether some thread runs the kernel's loop. Threads: any."""
        return self._lock.locked()

    def step(self, seat: Seat) -> None:
        """Do a round of the kernel's loop without sleeping. Threads: the host."""
        if not self._lock.acquire(False):
            return
        try:
            if self.owner is seat and self._failure is None:
                self._round()
        finally:
            self._lock.release()

    def _round(self) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self.loop)
        try:
            self.loop.run_round(wait=False)
        except BaseException as error:
            self._fail(error)
        finally:
            asyncio._set_running_loop(outer)

    def _fail(self, error: BaseException) -> None:
        """Ctrl-C, or an exit: the node ends, in its own thread."""
        self._failure = error
        self.unpark()

    # -- the short way -----------------------------------------------------------------------
    def express(self, call: Call) -> bool:
        """See ShortWay."""
        seat = self.owner
        if (
            seat is None
            or seat.ident != threading.get_ident()
            or not self._lock.acquire(False)  # or within another call of it
        ):
            return False
        try:
            if self.owner is not seat:
                return False
            self._context.run(self._do, call)
        finally:
            self._lock.release()
        return True

    def _do(self, call: Call) -> None:
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(self.loop)
        try:
            call()
        except Exception as error:
            self.loop.call_exception_handler({"message": f"{call} failed", "exception": error})
        except BaseException as error:
            self._fail(error)
        finally:
            asyncio._set_running_loop(outer)

    def watch(self, fd: int, read: Call) -> None:
        """See ShortWay. With the baton."""
        self._readers[fd] = read
        if self.owner is None:
            self.loop.add_reader(fd, read)
        else:
            self.owner.epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """See ShortWay. With the baton."""
        if self._readers.pop(fd, None) is None:
            return
        if self.owner is None:
            self.loop.remove_reader(fd)
        else:
            self.owner.epoll.unregister(fd)

    def after_actors(self, call: Call) -> bool:
        """See ShortWay. With the baton."""
        seat = self.owner
        if seat is None or not seat.loop.has_ready():
            return False
        if call not in seat.put_off:
            seat.put_off.append(call)
        return True

    def read(self, fd: int) -> None:
        """That descriptor is readable. Threads: the host."""
        read = self._readers.get(fd)
        if read is not None:
            self.express(read)

    def ask_back(self, seat: Seat) -> None:
        """Have the keeper hand over after its round. Threads: the host."""
        if self.seat is seat and not self._wanted:
            self._wanted = True
            self.loop.wake()

    def unpark(self) -> None:
        """Wake the keeper. Threads: any."""
        self.parked = False
        with contextlib.suppress(RuntimeError):  # somebody did already
            self._alarm.release()

    # -- the keeper --------------------------------------------------------------------------
    def run(self, main: Coroutine[object, object, T]) -> T:
        """Run `main` to its end and return what it returns. Threads: this is the keeper's.

        Raises:
            BaseException: what `main` raised, or a callback that ended the loop.
        """
        loop = self.loop
        task = loop.create_task(main)
        task.add_done_callback(lambda _: self.unpark())
        self._lock.acquire()
        self._begin()
        try:
            while not task.done():
                if self._wanted:
                    self._wanted = False
                    seat = self.seat
                    if seat is not None:
                        self._hand_over(seat)
                        self._keep_watch(seat, task)
                        self._take_over(seat)
                    continue
                loop.run_round(wait=True)
        finally:
            self._end()
            switch_interval.slower(self)
            self._lock.release()
        return task.result()

    def _begin(self) -> None:
        self.loop.run_by(threading.get_ident())
        asyncio._set_running_loop(self.loop)

    def _end(self) -> None:
        self.loop.run_by(0)
        asyncio._set_running_loop(None)

    def _hand_over(self, seat: Seat) -> None:
        if self._looking is not None:
            self._looking.cancel()
        switch_interval.slower(self)
        self._end()
        self.loop.run_by(seat.ident)
        self.owner = seat
        for fd in self._readers:
            self.loop.remove_reader(fd)
        seat.take(self._readers)
        self._lock.release()
        seat.loop.wake()  # it may sleep already, and for longer than it should

    def _take_over(self, seat: Seat) -> None:
        self._lock.acquire()
        self.owner = None
        self._begin()
        seat.leave(self._readers)
        for fd, read in self._readers.items():
            self.loop.add_reader(fd, read)
        while (call := seat.next_put_off()) is not None:
            self.loop.call_soon(call)
        if self._failure is not None:
            raise self._failure
        if self.seat is not seat:
            return
        self.takeovers += 1
        switch_interval.faster(self)
        seat.sender.send_off()
        self._look(seat)
        if seat.inside:  # it came back just now, and would like to have it
            self._wanted = True

    def _look(self, seat: Seat) -> None:
        """Let leave what an action put off that goes on and on, while the host never sleeps."""
        is_stuck = self._looked == seat.visits
        if is_stuck:
            seat.sender.send_off()
        self._looked = seat.visits
        delay_s = limits.KEEPER_LOOK_S * (4 if is_stuck else 1)
        self._looking = self.loop.call_later(delay_s, self._look, seat)

    def _keep_watch(self, seat: Seat, main: asyncio.Task[T]) -> None:
        """Return when the host doesn't run the kernel's loop any more."""
        since = seat.visits  # when it was woken
        visits, quiet = -1, 0  # as of the last look: -1 if the host was inside; looks since then
        while self.seat is seat and not main.done() and self._failure is None:
            if not seat.inside:
                if visits == seat.visits:
                    return
                visits, quiet = seat.visits, 0
            else:
                visits, quiet = -1, quiet + 1
            is_busy = seat.visits - since > _VISITS_FEW
            if quiet <= (limits.KEEPER_QUIET_LOOKS if is_busy else 1):
                self._alarm.acquire(timeout=limits.KEEPER_LOOK_S)
                continue
            quiet, self.parked = 0, True
            # Whoever comes out, or ends something, does so first and then looks at `parked`.
            if seat.inside and self.seat is seat and not main.done() and self._failure is None:
                self._alarm.acquire()
            self.parked = False
            since = seat.visits

    # -- fork --------------------------------------------------------------------------------
    def forked(self) -> None:
        """In a fork's child: nothing of the kernel runs there."""
        seat, self.owner, self.seat = self.owner or self.seat, None, None
        self.loop.run_by(0)
        if seat is not None:
            seat.forked()


_batons: weakref.WeakSet[Baton] = weakref.WeakSet()


def _forked() -> None:
    for baton in list(_batons):
        baton.forked()


os.register_at_fork(after_in_child=_forked)
