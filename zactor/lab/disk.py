"""The disk of a host: a file system in memory, or a real one that a power cut takes by surprise.

A real one is ext4 in a file. At a power cut it is shut down as it is (EXT4_IOC_SHUTDOWN without a
flush of its journal), then mounted anew: what a program had not synced is gone, as after a real
one. That wants root and loop devices; they go with the mount.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import time
from pathlib import Path

from zactor.lab import syscalls

COMMAND_S = 20.0
RELEASED_S = 10.0  # until nobody has the file system any more, after all processes are gone
_PAGE = 4096
_SHUTDOWN, _NO_FLUSH = 0x8004587D, 2
_FILL = ".full"


class MemoryDisk:
    """A file system in memory. A power cut loses nothing of it."""

    def __init__(self, folder: Path, size: int) -> None:
        """Make it and mount it."""
        self.folder, self._size = folder, size
        folder.mkdir(parents=True)
        syscalls.mount("lab", str(folder), "tmpfs", 0, f"mode=1777,size={size}")

    def sync(self) -> None:
        """There is nothing to be lost."""

    def cut_power(self) -> None:
        """Lose nothing."""

    def release(self) -> None:
        """Stay: it is in memory only."""

    def restore(self) -> None:
        """There is nothing to restore."""

    def fill(self, is_full: bool) -> None:
        """Hold no byte more than now, or as much as it is to hold again."""
        size = self._size
        if is_full:
            now = os.statvfs(self.folder)
            size = max(_PAGE, (now.f_blocks - now.f_bfree) * now.f_frsize)
        syscalls.mount("lab", str(self.folder), "", syscalls.REMOUNT, f"mode=1777,size={size}")


class RealDisk:
    """ext4 in a file."""

    def __init__(self, folder: Path, size: int) -> None:
        """Make it and mount it.

        Raises:
            OSError: this isn't root, or there are no loop devices, or no ext4.
        """
        self.folder = folder
        self._image = folder.with_suffix(".image")
        folder.mkdir(parents=True)
        with self._image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(self._image))
        self.restore()

    def restore(self) -> None:
        """Mount it, as it is on the disk."""
        if not os.path.ismount(self.folder):
            _run("mount", "-o", "loop", str(self._image), str(self.folder))
            self.folder.chmod(0o1777)

    def sync(self) -> None:
        """Have on the disk what was written."""
        syscalls.sync_file_system(str(self.folder))

    def cut_power(self) -> None:
        """Lose what isn't synced: nothing is written any more."""
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_FLUSH))
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Unmount it, when the host's processes are gone."""
        until = time.monotonic() + RELEASED_S
        while True:
            try:
                _run("umount", str(self.folder))
                return
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)

    def fill(self, is_full: bool) -> None:
        """Take all that is free, or give it back."""
        file = self.folder / _FILL
        if not is_full:
            file.unlink(missing_ok=True)
            return
        with file.open("wb") as opened:
            step = 1 << 20
            at = 0
            while step >= _PAGE:
                try:
                    os.posix_fallocate(opened.fileno(), at, step)
                    at += step
                except OSError:
                    step //= 2


def _run(*words: str) -> None:
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=COMMAND_S, check=False)
    except FileNotFoundError:
        raise OSError(f"{words[0]} is not there: install e2fsprogs and mount") from None
    if done.returncode:
        raise OSError(f"{words[0]}: {done.stderr.strip()}")
