"""Actors as people write them who use processes, threads, executors and logs inside."""

import asyncio
import atexit
import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal as signals
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

from zactor import Actor, ProcessOptions, action, signal

FORK = multiprocessing.get_context("fork")


def double(value):
    return value * 2


def told(queue):
    """What a forked child has of its node."""
    handlers = [
        signals.getsignal(number) in (signals.SIG_DFL, signals.default_int_handler)
        for number in (signals.SIGTERM, signals.SIGINT, signals.SIGHUP)
    ]
    kinds = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(fd))) as found:
                if found.family in (socket.AF_INET, socket.AF_INET6):
                    kinds.append(fd)
        except OSError:
            pass
    queue.put((all(handlers), kinds, kept_files()))


def kept_files():
    """Files among what the node keeps that this process could write to.

    But for SQLite's: its locks keep a copy from writing, as long as it sees them.
    """
    found = []
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            path = os.readlink(f"/proc/self/fd/{fd}")
            info = Path(f"/proc/self/fdinfo/{fd}").read_text()
            flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags"))
            if (
                "/state/" in path
                and "/kb.sqlite" not in path
                and int(flags, 8) & os.O_ACCMODE != os.O_RDONLY
            ):
                found.append(path)
    return found


def received(pipe):
    """What a child says, within ten seconds."""
    assert pipe._reader.poll(10), "the child says nothing"
    return pipe.get()


class Pools:
    """What actors of any dispatcher do with processes."""

    @action
    def pool(self):
        with FORK.Pool(2) as pool:
            return pool.map(double, [1, 2])

    @action
    def leave_pool(self):
        with FORK.Pool(2) as pool:
            pool.apply_async(time.sleep, (60,))
            return pool.map(double, [1, 2])

    @action
    def child(self):
        queue = FORK.SimpleQueue()
        child = FORK.Process(target=told, args=(queue,))
        child.start()
        found = received(queue)
        child.join(10)
        return [*found, child.exitcode]

    @action
    def terminated(self):
        child = FORK.Process(target=time.sleep, args=(60,))
        child.start()
        child.terminate()
        child.join(10)
        return child.exitcode

    @action
    def asks(self):
        """What a forked child gets that uses its parent's references."""
        queue = FORK.SimpleQueue()

        def use():
            try:
                queue.put(str(self.ref("other").pool().result(5)))
            except Exception as error:
                queue.put(f"{type(error).__name__}: {error}")

        child = FORK.Process(target=use)
        child.start()
        found = received(queue)
        child.join(10)
        return found

    @action
    def spawned(self, method):
        with multiprocessing.get_context(method).Pool(1) as pool:
            return pool.map(double, [1, 2])

    @action
    def executor(self):
        with ProcessPoolExecutor(1, mp_context=FORK) as pool:
            return pool.submit(double, 4).result()

    @action
    def prints(self):
        print("from the actor")
        print("no end", end="")
        thread = threading.Thread(target=print, args=("from a thread",))
        thread.start()
        thread.join(10)
        child = FORK.Process(target=print, args=("from a child",))
        child.start()
        child.join(10)
        subprocess.run(["echo", "from a program"], check=True, timeout=10)
        sys.stderr.write("on stderr\n")
        logging.getLogger("mine").warning("by %s", "logging")
        logging.getLogger("mine").info("told")
        try:
            raise ValueError("logged")
        except ValueError:
            logging.getLogger("mine").exception("caught")


class SharedPools(Actor, Pools):
    pass


class ThreadPools(Actor, Pools, dispatcher="thread"):
    pass


class Left(Actor, dispatcher="thread"):
    """Leaves everything open that can be left open."""

    async def on_start(self):
        self.job = asyncio.create_task(asyncio.to_thread(time.sleep, 300))
        self.threads = ThreadPoolExecutor(1)
        self.threads.submit(time.sleep, 300)
        self.processes = ProcessPoolExecutor(1, mp_context=FORK)
        self.processes.submit(time.sleep, 300)
        self.process = FORK.Process(target=time.sleep, args=(300,))
        self.process.start()
        atexit.register(time.sleep, 300)
        threading.Thread(target=time.sleep, args=(300,), daemon=True).start()

    def on_stop(self, reason):
        Path(f"stopped-{self.name}").write_text(reason)


class Busy:
    """Blocks, or takes no cancellation."""

    @action
    def block(self):
        time.sleep(300)

    @action
    def spin(self):
        while True:
            time.sleep(0.01)

    @action
    async def cling(self):
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(300)

    @action
    def number(self):
        return 7


class SharedBusy(Actor, Busy):
    pass


class ThreadBusy(Actor, Busy, dispatcher="thread"):
    pass


class ProcessBusy(Actor, Busy, dispatcher="process"):
    pass


OWN = ProcessOptions(memory_max=256 << 20, env={"MINE": "1"}, folder="/")


class Apart(Actor, dispatcher="process", process=OWN):
    """Has a process of its own."""

    number = signal(int)

    def __init__(self, start=0):
        self.value = start
        self.ticks = 0

    def on_start(self):
        self.every(0.02, self.tick)
        self.heard = []
        self.views = 0

    def on_message(self, message):
        self.heard.append([message.sender, message.value])

    def on_view(self, view):
        self.views += 1

    @action
    async def in_group(self, value):
        await self.join("room")
        await self.multicast("room", value)

    @action
    def of_group(self):
        return [self.heard, self.views > 0]

    @action
    def length(self, data):
        return [len(data), data]

    def tick(self):
        self.ticks += 1

    @action
    def add(self, by=1):
        self.value += by
        self.number.emit(self.value)
        return self.value

    @action
    def emit_names(self, count):
        for number in range(count):
            self.send_signal(f"s{number}")

    @action
    def about(self):
        return [os.getpid(), os.environ.get("MINE"), os.getcwd(), self.name, self.node, self.ticks]

    @action
    async def through(self, other):
        return await self.ref(other).number()

    @action
    def fail(self):
        raise ValueError("boom")

    @action
    def eat(self):
        self.eaten = [bytearray(16 << 20) for _ in range(64)]

    @action
    def leave(self):
        print("my last words")
        os._exit(3)

    @action
    def crash(self):
        ctypes.string_at(0)

    @action
    def halt(self):
        self.stop()


class Names(Actor):
    """Has attributes of its own that the runtime has too."""

    def __init__(self):
        self.log = logging.getLogger("names")
        self.name = "mine"
        self.node = "too"
        self.state = {"a": 1}
        self.loop = self.mailbox = self.cell = self._cell = self.handlers = self.uid = 5
        self.every = self.after = self.spawn = self.ref = self.join = "taken"

    def stop(self):
        return "not that"

    @action
    def all(self):
        return [self.name, self.node, self.state["a"], self.loop, self.every, self.stop()]


class Strict(Actor):
    """Looks at each attribute that is set, before it has what it needs for that."""

    def __init__(self):
        self.__dict__["seen"] = []
        self.colour = "red"

    def __setattr__(self, name, value):
        self.seen.append(name)
        super().__setattr__(name, value)

    @action
    def what(self):
        return self.seen


class Inside(Actor):
    """Cancels what is its own."""

    @action
    async def cancelled(self):
        task = asyncio.create_task(asyncio.sleep(60))
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        await task

    @action
    async def cancels_itself(self):
        asyncio.current_task().cancel()
        await asyncio.sleep(60)

    @action
    async def timed_out(self):
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    @action
    def raised(self):
        raise asyncio.CancelledError

    @action
    async def fine(self):
        async with asyncio.timeout(30):
            await asyncio.sleep(0.001)
        return "fine"


class Full(Actor, dispatcher="thread", mailbox_max=1, mailbox_policy="reject"):
    """Has no room as long as a file isn't there."""

    def __init__(self, until):
        self.until = until

    @action
    def number(self, value):
        while not os.path.exists(self.until):
            time.sleep(0.01)
