"""Author: who makes a change, as the knowledge base keeps it: user@host and the program."""

from __future__ import annotations

import functools
import getpass
import os
import re
import socket
import sys
from pathlib import Path

from zactor.kernel import limits

_WORD_CHARS_MAX = limits.AUTHOR_CHARS_MAX // 3 - 1


@functools.cache
def author() -> str:
    """Return `user@host program` of this process, like `ann@lab1 zactor`."""
    host = socket.gethostname().partition(".")[0]
    return f"{_word(_user())}@{_word(host)} {_word(_program())}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return str(os.getuid())


def _program() -> str:
    """Return the name of the script; `python` where there is none, as in a notebook."""
    path = Path(sys.argv[0] if sys.argv else "")
    if path.name == "__main__.py":
        return path.parent.name
    return "python" if path.name in ("", "-c", "-") else path.name


def _word(text: str) -> str:
    return re.sub(r"[^!-?A-~\w]", "_", text)[:_WORD_CHARS_MAX] or "_"
