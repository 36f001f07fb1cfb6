"""The interpreter's switch interval, which all nodes of a process share.

While the keeper runs the kernel's loop, an action may want the interpreter too: with the usual 5 ms
the kernel would wait 20 to 30 ms for it at the median and 120 to 215 at worst; with
KEEPER_SWITCH_S it is 10, and 30 to 95.
"""

from __future__ import annotations

import sys
import threading

from zactor.kernel import limits

_lock = threading.Lock()
_users: set[object] = set()  # for whom it is short
_usual_s: list[float] = []  # what it was before, while it is short


def faster(user: object) -> None:
    """From now on it is short, for `user` too."""
    with _lock:
        if not _users:
            _usual_s.append(sys.getswitchinterval())
            sys.setswitchinterval(min(*_usual_s, limits.KEEPER_SWITCH_S))
        _users.add(user)


def slower(user: object) -> None:
    """It needn't be any more, for `user`."""
    with _lock:
        if user in _users:
            _users.remove(user)
            if not _users:
                sys.setswitchinterval(_usual_s.pop())
