"""Forks: what a child that user code forks does not share with the node it comes from.

Such a child (of multiprocessing, of os.fork) has one thread, and a copy of all else: handlers of
signals that only set a flag of the parent's, sockets whose ports it would keep, a lock of a file
that it would hold when the node is long gone. Each child gives up what is said here to be private.
What is started by exec (subprocess, spawn, forkserver) has none of it anyway.

SQLite's files aren't given up: a child that closes its copy of a connection would find no locks at
/dev/null, take itself for the last one, and unlink the log of the parent's database.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_FDS = "/proc/self/fd"
_FDINFO = "/proc/self/fdinfo"

_private: set[int] = set()  # descriptors that are the node's alone
_handled: dict[int, object] = {}  # signals whose handlers are the node's -> what a child has
_owners: weakref.WeakKeyDictionary[object, Callable[[Any], None]] = weakref.WeakKeyDictionary()
_forks = 0
_node: set[int] = set()  # pid of a node: it has sockets of libzmq


def keep_private(fd: int) -> None:
    """Children don't share that descriptor. Threads: any."""
    _private.add(fd)


def shared_again(fd: int) -> None:
    """It is closed, or about to be. Threads: any."""
    _private.discard(fd)


def in_children(owner: T, call: Callable[[T], None]) -> None:
    """Have `call(owner)` done in each child, in the thread that forked, while `owner` lives.

    It must not wait: locks may be held by threads that the child hasn't got.
    """
    _owners[owner] = call


def handled(number: int) -> None:
    """The node handles that signal: a child does what a process does by default."""
    is_interrupt = number == signal.SIGINT
    _handled[number] = signal.default_int_handler if is_interrupt else signal.SIG_DFL


def is_node() -> None:
    """This is a node's process: children give up libzmq's sockets too, whoever made them."""
    _node.add(os.getpid())


def is_nodes_own() -> bool:
    """Whether this process is a node's, and not one of a program's in which a node runs too."""
    return os.getpid() in _node


def _before() -> None:
    """A signal that comes to the child at once waits until that has its defaults."""
    if _handled:
        signal.pthread_sigmask(signal.SIG_BLOCK, _handled.keys())


def count() -> int:
    """How often this process was forked so far. Threads: any."""
    return _forks


def _in_parent() -> None:
    global _forks  # noqa: PLW0603 - of this process, as what is below
    _forks += 1
    if _handled:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _handled.keys())


def _in_child() -> None:
    numbers = list(_handled)
    for number, default in _handled.items():
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, default)  # type: ignore[arg-type]  # one of signal's own
    _handled.clear()
    if numbers:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
    _give_up({*_private, *(_sockets_of_libzmq() if os.getppid() in _node else ())})
    _private.clear()
    for owner, call in list(_owners.items()):
        with contextlib.suppress(Exception):  # the child is user code's, and goes on
            call(owner)


def _give_up(descriptors: set[int]) -> None:
    """Let each lead nowhere. Not closed: whoever holds the number would close another's later."""
    if not descriptors:
        return
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
    except OSError:  # no descriptor is free: then rather closed than kept
        for fd in descriptors:
            with contextlib.suppress(OSError):
                os.close(fd)
        return
    for fd in descriptors:
        with contextlib.suppress(OSError):
            os.dup2(nowhere, fd, inheritable=False)
    os.close(nowhere)


def _sockets_of_libzmq() -> set[int]:
    """The sockets that libzmq's I/O threads watch: they have no thread here that could serve them.

    libzmq tells nobody its descriptors. Its threads' epolls are those that watch an eventfd (their
    mailbox); an event loop of Python's watches a pair of sockets instead.
    """
    found: set[int] = set()
    try:
        kinds = {int(fd): os.readlink(f"{_FDS}/{fd}") for fd in os.listdir(_FDS) if _is_open(fd)}
    except OSError:  # no /proc here
        return found
    for fd, kind in kinds.items():
        if kind != "anon_inode:[eventpoll]":
            continue
        watched = _watched(fd)
        if any(kinds.get(each) == "anon_inode:[eventfd]" for each in watched):
            found |= {each for each in watched if _is_network(each, kinds.get(each, ""))}
    return found


def _is_open(fd: str) -> bool:
    return os.path.lexists(f"{_FDS}/{fd}")


def _watched(epoll: int) -> set[int]:
    try:
        with open(f"{_FDINFO}/{epoll}") as file:
            return {int(line.split()[1]) for line in file if line.startswith("tfd:")}
    except (OSError, ValueError, IndexError):
        return set()


def _is_network(fd: int, kind: str) -> bool:
    if not kind.startswith("socket:"):
        return False
    try:
        with socket.socket(fileno=os.dup(fd)) as found:
            return found.family in (socket.AF_INET, socket.AF_INET6)
    except OSError:
        return False


os.register_at_fork(before=_before, after_in_parent=_in_parent, after_in_child=_in_child)
