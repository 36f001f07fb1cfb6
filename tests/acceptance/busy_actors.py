"""Actors that keep to themselves what they can, and one that notes what it does to their kernel."""

from __future__ import annotations

import asyncio
import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

from zactor import Actor, action, signal
from zactor.kernel import limits
from zactor.kernel.link.link import Link
from zactor.kernel.messages.frames import Heartbeat, LinkFrame
from zactor.kernel.transport.heartbeats import Heartbeats

SLEEP_S = 5.0
HOLD_S = 0.3
SPIN_S = 0.5
CONTROL_S = 0.005
NOTED_S = 0.001  # the control thread's own lateness is noted from here on

usleep = ctypes.PyDLL(None).usleep  # of a PyDLL: it keeps the interpreter to itself meanwhile


def sleep() -> None:
    time.sleep(SLEEP_S)


def hold() -> None:
    usleep(int(HOLD_S * 1e6))


def spin() -> None:
    end = time.monotonic() + SPIN_S
    while time.monotonic() < end:
        pass


class Busy(Actor):
    """Does one thing again and again until it is to end."""

    do: Callable[[], None]

    @action
    def work(self, until: float) -> None:
        type(self).do()
        if time.monotonic() < until:
            self.ref(self.name).work.tell(until)


class Sleeper(Busy):
    do = staticmethod(sleep)


class Holder(Busy):
    do = staticmethod(hold)


class Spinner(Busy):
    do = staticmethod(spin)


class OwnHolder(Busy, dispatcher="thread"):
    do = staticmethod(hold)


class OwnSpinner(Busy, dispatcher="thread"):
    do = staticmethod(spin)


class Source(Actor):
    """Sends a signal every now and then."""

    number = signal(int)

    @action
    async def run(self, count: int) -> None:
        for number in range(count):
            self.number.emit(number)
            await asyncio.sleep(0.01)


class Probe(Actor, dispatcher="thread"):
    """Takes the signals, and notes when the kernel of its node did what it has to do in time."""

    def __init__(self) -> None:
        self.count = 0
        self.beats: list[float] = []
        self.acks: list[tuple[float, float]] = []
        self.control: list[tuple[float, float]] = []
        self.is_over = False

    @action
    def number(self, number: int) -> None:
        self.count += 1

    @action
    def begin(self, look_s: float) -> None:
        """Args: look_s: how often the keeper looks whether an action goes on."""
        limits.KEEPER_LOOK_S = look_s
        self._note_beats()
        self._note_acks()
        threading.Thread(target=self._control, name="control", daemon=True).start()

    def _note_beats(self) -> None:
        beat = Heartbeats.beat

        def noted(heartbeats: Heartbeats, heartbeat: Heartbeat) -> None:
            beat(heartbeats, heartbeat)
            self.beats.append(time.monotonic())

        self.beats.append(time.monotonic())  # the last was before, so the next is due by then
        Heartbeats.beat = noted  # type: ignore[method-assign]

    def _note_acks(self) -> None:
        receive, make = Link.receive, Link._frame
        since: dict[Link, float] = {}

        def received(link: Link, frame: LinkFrame, now_ms: int) -> Any:
            if frame.items:
                since.setdefault(link, time.monotonic())
            return receive(link, frame, now_ms)

        def made(link: Link, *arguments: Any, **options: Any) -> LinkFrame:
            if link in since:
                self.acks.append((since.pop(link), time.monotonic()))
            return make(link, *arguments, **options)

        Link.receive = received  # type: ignore[method-assign]
        Link._frame = made  # type: ignore[method-assign]

    def _control(self) -> None:
        """How late is a thread that asks for nothing but to be woken?"""
        while not self.is_over:
            due = time.monotonic() + CONTROL_S
            time.sleep(CONTROL_S)
            at = time.monotonic()
            if at - due > NOTED_S:
                self.control.append((due, at))

    @action
    def found(self) -> dict[str, Any]:
        self.is_over = True
        names = ("count", "beats", "acks", "control")
        return {name: getattr(self, name) for name in names}
