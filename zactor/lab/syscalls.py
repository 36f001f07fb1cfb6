"""Namespaces and mounts, by the kernel's own calls: Python has none of them before 3.12.

Each call is for the calling thread only; a process that uses them has no other.
"""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

NEW_MOUNTS = 0x0002_0000
NEW_HOST_NAME = 0x0400_0000
NEW_IPC = 0x0800_0000
NEW_USER = 0x1000_0000
NEW_PROCESSES = 0x2000_0000
NEW_NETWORK = 0x4000_0000

READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x4_0000
_LAZILY = 0x2
_DIES_WITH_PARENT = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare(kinds: int) -> None:
    """Go on in new namespaces of these kinds; of processes: only children do.

    Raises:
        OSError: this user, or this kernel, may not.
    """
    _check(_libc.unshare(ctypes.c_int(kinds)), "unshare")


def enter(descriptor: int, kind: int) -> None:
    """Go on in a namespace that a descriptor stands for."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def become_root_of_own_users() -> None:
    """Enter a user namespace in which we are root: what root may do, we may do to what is ours."""
    user, group = os.getuid(), os.getgid()
    unshare(NEW_USER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount; the words are those of mount(2)."""
    words = [text.encode() or None for text in (source, target, kind)]
    done = _libc.mount(*words, ctypes.c_ulong(flags), data.encode() or None)
    _check(done, f"mount {source or kind} at {target}")


def unmount(target: str) -> None:
    """Take a mount away, now or when the last who uses it has gone."""
    _check(_libc.umount2(target.encode(), _LAZILY), f"umount {target}")


def keep_mounts_to_ourselves() -> None:
    """What is mounted from here on is seen in our mount namespace only."""
    mount("", "/", "", RECURSIVE | PRIVATE)


def mount_over(folder: str, source: str, shared: list[str], data: str = "") -> None:
    """Put the folder `source` in the place of `folder`; what is `shared` of it stays seen.

    Args:
        source: "tmpfs": a new file system, with `data`.
        shared: folders in `folder`, by their whole paths; those that aren't there are left out.
    """
    kept = [(path, os.open(path, os.O_PATH)) for path in shared if os.path.isdir(path)]
    if source == "tmpfs":
        mount(source, folder, source, 0, data)
    else:
        mount(source, folder, "", BIND | RECURSIVE)
    for path, descriptor in kept:
        os.makedirs(path, exist_ok=True)
        mount(f"/proc/self/fd/{descriptor}", path, "", BIND | RECURSIVE)
        os.close(descriptor)


def sync_file_system(folder: str) -> None:
    """Have all that was written to the file system of `folder` on its disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        _check(_libc.syncfs(descriptor), f"sync {folder}")
    finally:
        os.close(descriptor)


def die_with_parent() -> None:
    """Be killed when the process that began us is gone."""
    _check(_libc.prctl(_DIES_WITH_PARENT, signal.SIGKILL, 0, 0, 0), "prctl")
