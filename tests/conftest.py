"""Every test has a home of its own and leaves nothing behind: no thread, process, context or file.

What is left is named at the end of the test that left it, not found an hour later by another.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import itertools
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# What tests share, here and in their folders (`link_world.py` and the like), bears bare names.
sys.path.extend(
    sorted(
        {
            str(file.parent)
            for file in Path(__file__).parent.rglob("*.py")
            if not file.name.startswith(("test_", "conftest"))
        }
    )
)

from family import children_of, kill, processes_of
from slowness import Slowness
from time_limit import TimeLimit

GRACE_S = 3.0  # what is on its way to its end may take this long
_NUMBERS = itertools.count()


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in its background with Ctrl-C ignored, and children inherit that:
    # those that a test interrupts would run on.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(TimeLimit(config), "time-limit")


@pytest.fixture(scope="session", autouse=True)
def private_temp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Temporary files of tests and of their children go where only this run looks."""
    folder = tmp_path_factory.getbasetemp() / "temp"
    folder.mkdir()
    before = os.environ.get("TMPDIR"), tempfile.tempdir
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield folder
    tempfile.tempdir = before[1]
    _set_variable("TMPDIR", before[0])


@pytest.fixture(scope="session", autouse=True)
def dead_ports() -> Iterator[None]:
    """A daemon of Spread's port that was killed leaves its socket /tmp/PORT, as Spread's own does.

    Those that came while tests ran, and where nobody listens any more, are removed.
    """
    began = time.time()
    yield
    for path in Path("/tmp").glob("[0-9]*"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            found = path.stat()
            # One that is younger may be about to be listened at.
            is_of_then = began <= found.st_ctime < time.time() - GRACE_S
            is_ours = path.is_socket() and found.st_uid == os.geteuid()
            if is_of_then and is_ours and probe.connect_ex(str(path)) == errno.ECONNREFUSED:
                path.unlink()


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, private_temp: Path) -> Iterator[Path]:
    """A ZACTOR_HOME that nobody used before; a developer's own is never touched."""
    folder = tmp_path_factory.getbasetemp() / f"home{next(_NUMBERS)}"
    before = os.environ.get("ZACTOR_HOME")
    os.environ["ZACTOR_HOME"] = str(folder)
    watch = _Watch(folder, private_temp)
    yield folder
    _set_variable("ZACTOR_HOME", before)
    left = watch.left_behind()
    if left:
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def slowness() -> Iterator[Slowness]:
    """How slow the machine is during this test."""
    made = Slowness()
    yield made
    made.close()


class _Watch:
    """What was there when the test began."""

    def __init__(self, home: Path, temp: Path) -> None:
        self._home = home
        self._temp = temp
        self._threads = set(threading.enumerate())
        self._children = children_of()
        _within_grace(lambda: _context_threads() >= 0)
        self._contexts = _context_threads()
        self._files = set(temp.iterdir())

    def left_behind(self) -> list[str]:
        """Wait for what is ending, then name what is there and wasn't before."""
        left = []
        if not _within_grace(lambda: not self._new_threads()):
            names = ", ".join(sorted(thread.name for thread in self._new_threads()))
            left.append(f"threads {names}")
        if not _within_grace(lambda: not self._new_processes()):
            for pid, words in sorted(self._new_processes().items()):
                left.append(f"process {pid} ({words})")
                kill({pid})
        if not _within_grace(lambda: _context_threads() <= self._contexts, gc.collect):
            left.append(f"an open ZeroMQ context (its threads run on){_who_holds_it()}")
        files = set(self._temp.iterdir()) - self._files
        if files:
            left.append("temporary files " + ", ".join(sorted(file.name for file in files)))
        return left

    def _new_threads(self) -> list[threading.Thread]:
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self._threads and thread.is_alive()
        ]

    def _new_processes(self) -> dict[int, str]:
        found = {pid: words for pid, words in children_of().items() if pid not in self._children}
        # Who detached itself is nobody's child, but bears the home it was started with. Looking
        # at every process takes ms, and who has a home has written to it.
        return found | (processes_of(self._home) if self._home.exists() else {})


def _within_grace(is_good: Callable[[], bool], remedy: Callable[[], object] = int) -> bool:
    if is_good():
        return True
    remedy()
    deadline = time.monotonic() + GRACE_S
    while not is_good():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _context_threads() -> int:
    """How many threads libzmq runs for contexts: they end with them.

    Without those of pyzmq's own context, which begins with the first long frame and never ends.
    Below 0: they haven't named themselves yet.
    """
    names = []
    for file in Path("/proc/self/task").glob("*/comm"):
        with contextlib.suppress(OSError):
            names.append(file.read_text().strip())
    collector = getattr(sys.modules.get("zmq.utils.garbage"), "gc", None)
    of_pyzmq = 2 if getattr(collector, "_context", None) is not None else 0
    return len([name for name in names if name.startswith("ZMQbg")]) - of_pyzmq


def _who_holds_it() -> str:
    """Name what leads to the contexts that are open."""
    zmq = sys.modules.get("zmq")
    open_ones = [
        each
        for each in gc.get_objects()
        if zmq is not None and isinstance(each, zmq.Context) and not each.closed
    ]
    holders = {
        f"{type(holder).__module__}.{type(holder).__qualname__}"
        for each in open_ones
        for holder in gc.get_referrers(each)
        if holder is not open_ones
    }
    return f": {len(open_ones)} that Python knows, held by {', '.join(sorted(holders)) or 'nobody'}"


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
