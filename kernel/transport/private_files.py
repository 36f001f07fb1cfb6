"""Folders and files that are this user's alone: whoever may change them may change what we do."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from zactor.kernel.errors import ConfigError

WRITE = 0o022  # what nobody else may have: others look into it, but don't change it
ALL = 0o077  # neither change it nor look

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextlib.contextmanager
def private_folder(folder: Path, forbidden: int = WRITE) -> Iterator[int]:
    """Open the folder, made if missing, and refuse it if another user may change what it holds.

    What goes through the descriptor can't be led elsewhere: nobody puts another folder in between.

    Args:
        forbidden: bits of a mode that it must not have.

    Raises:
        ConfigError: it is another's, open to others, a symbolic link or no folder.
    """
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    try:
        directory = os.open(folder, _FOLDER)
    except OSError as error:
        raise unfit(folder, error, "folder") from error
    try:
        check_private(folder, os.fstat(directory), forbidden, "700")
        yield directory
    finally:
        os.close(directory)


def write_no_core() -> None:
    """Have no core file written if this process crashes: it would hold the keys, for who reads it.

    What handles cores instead (systemd-coredump) is told the same. Children inherit it. Who needs
    one says so from outside: `prlimit --core=unlimited --pid`.
    """
    with contextlib.suppress(OSError, ValueError):  # some sandboxes forbid it
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def check_home(home: Path) -> None:
    """Make the home and refuse it, or a folder in it, that another user may change.

    The home may be a link, which is of this user or of root: people have it on another disk. In
    it none is followed.

    Raises:
        ConfigError: says which folder, and what to do.
    """
    home.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if home.is_symlink() and (owner := home.lstat().st_uid) not in (0, os.geteuid()):
        raise ConfigError(
            f"{str(home)!r} is a symbolic link of user {owner}: use another --home, or the folder"
            f" that it is to stand for"
        )
    with private_folder(home.resolve()):
        pass
    for name in ("run", "state", "log"):
        if os.path.lexists(home / name):
            with private_folder(home / name):
                pass


def check_tree(folder: Path) -> None:
    """Refuse a folder in which, at any depth, something is another user's or no file or folder.

    Somebody may have laid it while the folder was open to him: code that a node would run, a link
    to a file that it would write to.

    Raises:
        ConfigError: says which, and what to do.
    """
    with private_folder(folder):
        pass
    for place, folders, files in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            _check_kind(path, path.lstat(), "folder", stat.S_ISDIR)
            check_private(path, path.lstat(), WRITE, "700")
        for name in files:
            path = Path(place, name)
            with contextlib.suppress(FileNotFoundError):  # a draft that is gone
                _check_kind(path, path.lstat(), "file", stat.S_ISREG)
                # Who may write to it is the folder's matter: a user's umask may be anything.
                check_private(path, path.lstat(), 0, "600")


def open_private(file: Path, *, append: bool = False) -> int:
    """Return a descriptor to write to this file, made if missing; it isn't emptied.

    Raises:
        ConfigError: it is a link of any kind, of another user, or no file.
    """
    # NONBLOCK: a FIFO in its place must not hold us up.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags | (os.O_APPEND if append else 0), 0o600)
    except OSError as error:
        raise unfit(file, error, "file") from error
    try:
        status = os.fstat(descriptor)
        _check_kind(file, status, "file", stat.S_ISREG)
        check_private(file, status, 0, "600")
        if status.st_nlink > 1:
            raise ConfigError(f"{str(file)!r} has another name (a hard link): remove it")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def written_to(file: Path | str) -> Iterator[None]:
    """Have the OSError of a write say which file: the system says it of opening only."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or os.fspath(file)
        raise


def check_private(path: Path, status: os.stat_result, forbidden: int, mode: str) -> None:
    """Raise ConfigError if it is another user's or has a bit of `forbidden`; advises `mode`."""
    if status.st_uid != os.geteuid():
        raise ConfigError(
            f"{str(path)!r} belongs to user {status.st_uid}, this is user {os.geteuid()}:"
            f" chown {os.geteuid()} it, or use another --home"
        )
    if status.st_mode & forbidden:
        raise ConfigError(
            f"{str(path)!r} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}):"
            f" chmod {mode} {path}"
        )


def unfit(path: Path, error: OSError, kind: str) -> ConfigError:
    """Return what to say of a `kind` that can't be opened."""
    if path.is_symlink() or error.errno == errno.ELOOP:
        return ConfigError(f"{str(path)!r} is a symbolic link: put the {kind} itself there")
    return ConfigError(f"{str(path)!r} can't be opened: {error.strerror}: want a {kind} of our own")


def _check_kind(
    path: Path, status: os.stat_result, kind: str, is_kind: Callable[[int], bool]
) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise ConfigError(f"{str(path)!r} is a symbolic link: put the {kind} itself there")
    if not is_kind(status.st_mode):
        raise ConfigError(f"{str(path)!r} is no {kind}: remove it")
