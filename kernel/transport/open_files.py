"""Open files: how many this process may have, and what it means when there are too few."""

from __future__ import annotations

import errno
import resource

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError
from zactor.kernel.transport.sockets import raise_open_files

_ADVICE = "raise the limit, as by `ulimit -n 4096`"


def check_open_files() -> int:
    """Raise the limit as far as it may be, and return it.

    Raises:
        ConfigError: no node could run with so few.
    """
    allowed = raise_open_files()
    if 0 <= allowed < limits.OPEN_FILES_MIN:
        raise ConfigError(
            f"this process may have {allowed} files open (ulimit -n), and a node needs"
            f" {limits.OPEN_FILES_MIN}: {_ADVICE}"
        )
    return allowed


def few_files_error(error: BaseException) -> BaseException:
    """Return `error`, or what says in words that no file more could be opened."""
    seen: BaseException | None = error
    while seen is not None:
        if getattr(seen, "errno", None) in (errno.EMFILE, errno.ENFILE):
            return ConfigError(_words(seen))
        seen = seen.__cause__ or seen.__context__
    return error


def _words(error: BaseException) -> str:
    if getattr(error, "errno", None) == errno.ENFILE:
        return "too many files are open on this machine"
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return f"too many open files: this process may have {soft} (ulimit -n); {_ADVICE}"
