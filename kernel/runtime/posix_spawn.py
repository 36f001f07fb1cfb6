"""posix_spawn: a program begins as a child of this process, and other threads go on meanwhile.

`subprocess` and `os.posix_spawn` hold the interpreter until the child has left our memory by exec:
on a busy machine, where the child waits for a processor like any other, that stops all threads
of the node for tens of milliseconds. The C library's own call is made without the interpreter.
Where it lacks what is needed, `subprocess` does it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_SETSIGDEF = 0x04  # of glibc and musl, as the next
_SETSID = 0x80
_ROOM_BYTES = 1_024  # for each of the C library's structs, none of which is half as long
_FREE_FROM = 64  # descriptors are moved beyond those that they are to become
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores them, programs don't expect that
_NUMBERS = """
import os, signal, sys
for number, file in enumerate(map(int, sys.argv[1].split(",")), 3):
    os.dup2(file, number)
    os.close(file)
for number in (signal.SIGPIPE, signal.SIGXFSZ):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[2], sys.argv[2:])
"""
_NEEDED = (
    "posix_spawn",
    "posix_spawn_file_actions_init",
    "posix_spawn_file_actions_destroy",
    "posix_spawn_file_actions_adddup2",
    "posix_spawn_file_actions_addchdir_np",
    "posix_spawn_file_actions_addclosefrom_np",
    "posix_spawnattr_init",
    "posix_spawnattr_destroy",
    "posix_spawnattr_setflags",
    "posix_spawnattr_setsigdefault",
    "sigemptyset",
    "sigaddset",
)


class ChildProcess:
    """A child that leads a session and a group of its own. One thread waits for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None  # as of subprocess; None: it isn't reaped

    def has_exited(self) -> bool:
        """Whether it has; it isn't reaped by that, so its number stays its own and its group's."""
        if self.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.pid, flags) is not None
        except ChildProcessError:  # user code has waited for any child, and got this one
            return True

    def reap(self) -> int:
        """Wait for its end, and return that: its exit code, or -N for signal N."""
        if self.returncode is None:
            try:
                _, status = os.waitpid(self.pid, 0)
            except ChildProcessError:  # as above; nobody knows any more
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode


def spawn(
    words: Sequence[str], env: Mapping[str, str], folder: str | None, files: Sequence[int]
) -> ChildProcess:
    """Begin a program. Threads: any; the child's PDEATHSIG is about the thread that calls.

    Args:
        words: the path of the program, and its arguments.
        folder: where it works; None: where this process does.
        files: descriptors, which it has as its 0, 1, 2 …, and no others.

    Raises:
        OSError: it can't begin; `filename` says what is missing.
    """
    library = _library()
    if library is None:
        return _spawn_by_subprocess(words, env, folder, files)
    with contextlib.ExitStack() as stack:
        moved = []
        for file in files:
            moved.append(fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _FREE_FROM))
            stack.callback(os.close, moved[-1])
        actions, attributes = (ctypes.create_string_buffer(_ROOM_BYTES) for _ in range(2))
        _done(library.posix_spawn_file_actions_init(actions))
        stack.callback(library.posix_spawn_file_actions_destroy, actions)
        for number, file in enumerate(moved):
            _done(library.posix_spawn_file_actions_adddup2(actions, file, number))
        _done(library.posix_spawn_file_actions_addclosefrom_np(actions, len(moved)))
        if folder is not None:
            place = os.fsencode(folder)
            _done(library.posix_spawn_file_actions_addchdir_np(actions, place))
        _done(library.posix_spawnattr_init(attributes))
        stack.callback(library.posix_spawnattr_destroy, attributes)
        restored = ctypes.create_string_buffer(_ROOM_BYTES)
        _done(library.sigemptyset(restored))
        for signal_number in _RESTORED:
            _done(library.sigaddset(restored, int(signal_number)))
        _done(library.posix_spawnattr_setsigdefault(attributes, restored))
        _done(library.posix_spawnattr_setflags(attributes, ctypes.c_short(_SETSIGDEF | _SETSID)))
        pid = ctypes.c_int(0)
        program = os.fsencode(words[0])
        arguments = _texts(list(map(os.fsencode, words)))
        surroundings = _texts(
            [os.fsencode(name) + b"=" + os.fsencode(value) for name, value in env.items()]
        )
        failed = library.posix_spawn(
            ctypes.byref(pid), program, actions, attributes, arguments, surroundings
        )
    if failed:
        raise _missing(failed, words[0], folder)
    return ChildProcess(pid.value)


def _spawn_by_subprocess(
    words: Sequence[str], env: Mapping[str, str], folder: str | None, files: Sequence[int]
) -> ChildProcess:
    """The same with what Python has: other threads wait for the child's exec.

    Popen gives a file beyond the first three no number: an interpreter in between does.
    """
    beyond = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, _FREE_FROM) for file in files[3:]]
    first = dict(enumerate(files[:3]))
    between = [sys.executable, "-I", "-S", "-c", _NUMBERS, ",".join(map(str, beyond))]
    try:
        process = subprocess.Popen(
            [*(between if beyond else ()), *words],
            stdin=first.get(0, subprocess.DEVNULL),
            stdout=first.get(1, subprocess.DEVNULL),
            stderr=first.get(2, subprocess.DEVNULL),
            pass_fds=beyond,
            env=env,
            cwd=folder,
            start_new_session=True,
        )
    finally:
        for file in beyond:
            os.close(file)
    process.returncode = 0  # nobody but the one that is returned waits for it
    return ChildProcess(process.pid)


@functools.cache
def _library() -> Any:
    """The C library, if it has all of it: glibc from 2.34 on; else None."""
    try:
        library = ctypes.CDLL(None)
    except OSError:
        return None
    return library if all(hasattr(library, name) for name in _NEEDED) else None


def _texts(texts: list[bytes]) -> Any:
    """As C has an array of texts; a text with a zero byte in it would be another one there."""
    for text in texts:
        if b"\0" in text:
            raise OSError(errno.EINVAL, "a zero byte", text)
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def _done(failed: int) -> None:
    if failed:
        raise OSError(failed, os.strerror(failed))


def _missing(failed: int, program: str, folder: str | None) -> OSError:
    """What the C library says by a number alone."""
    which = program if folder is None or os.path.isdir(folder) else folder
    return OSError(failed, os.strerror(failed), which)
