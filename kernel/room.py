"""Room on a disk: what a write that finds none says, wherever it is."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from zactor.kernel.errors import NoRoom

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_full(error: BaseException) -> bool:
    """Whether `error` is that of a full disk, of a quota, or of a limit for the size of a file."""
    return isinstance(error, OSError) and error.errno in _FULL


@contextlib.contextmanager
def room_for(path: Path) -> Iterator[None]:
    """Say which file finds no room.

    Raises:
        NoRoom: the disk is full; names `path`.
    """
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise NoRoom(f"{path}: no space left on device: make room there") from error
        raise
