"""Actors for deaths of processes: some have one each and end it, others tell each other numbers."""

import ctypes
import os
import threading
import time

from zactor import Actor, ProcessOptions, action, signal

EVERY_S = 0.002


class Mortal(Actor, dispatcher="process", process=ProcessOptions(memory_max=64 << 20)):
    """Ends as it is told."""

    @action
    def leave(self):
        print("my last words")
        os._exit(3)

    @action
    def crash(self):
        ctypes.string_at(0)

    @action
    def eat(self):
        self.eaten = [bytearray(16 << 20) for _ in range(64)]


class Source(Actor):
    number = signal(int)

    def __init__(self):
        self.count = 0

    def on_start(self):
        self.every(EVERY_S, self.tell)

    def tell(self):
        self.count += 1
        self.number.emit(self.count)


class Noting:
    """Notes when each signal came, by time.monotonic()."""

    def __init__(self):
        self.times = []

    @action
    def number(self, count):
        self.times.append((count, time.monotonic()))

    @action
    def found(self):
        times, self.times = self.times, []
        return times


class SharedNoting(Noting, Actor):
    pass


class ThreadNoting(Noting, Actor, dispatcher="thread"):
    pass


def control():
    """What a process sees that only sleeps: when it was woken; printed when its input ends."""
    over = threading.Event()
    found = []

    def look():
        while not over.is_set():
            time.sleep(EVERY_S)
            found.append(time.monotonic())

    thread = threading.Thread(target=look)
    thread.start()
    os.read(0, 1)
    over.set()
    thread.join(10)
    print(*found)
