"""What the kernel's loop gets of the interpreter beside actions: its switch interval, and pauses.

The interval is of the process; all its nodes share it.

While the keeper runs the kernel's loop, an action may want the interpreter too: with the usual 5 ms
the kernel would wait 20 to 30 ms for it at the median and 120 to 215 at worst; with
KEEPER_SWITCH_S it is 10, and 30 to 95. So it is while an actor's own thread has a turn: beside one
that computes a heartbeat was 80 ms late.
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


def rest_s(took_s: float) -> float:
    """How long who ran actions for `took_s` pauses, so that the kernel's loop comes to its turn.

    They may have held the interpreter all the time. Without a pause the next takes it back at the
    kernel's first system call: a heartbeat took 3 s beside actions that hold it 300 ms each.
    """
    if took_s < limits.LONG_TURN_S:
        return 0.0
    return min(took_s * limits.REST_SHARE, limits.REST_S_MAX)
