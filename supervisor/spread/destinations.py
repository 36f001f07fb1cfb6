"""Which groups of the engine a client of Spread means."""

from __future__ import annotations

from collections.abc import Callable

from zactor.kernel.errors import ConfigError
from zactor.kernel.groups.names import RESERVED, check_destinations


def destinations(shown: tuple[str, ...], meant: Callable[[str], str]) -> tuple[str, ...]:
    """Return those of the names that a message can go to; to what is no name, it goes silently not.

    `meant` turns a name as it was shown into the name that it stands for.
    """
    names = tuple(map(meant, shown)) if shown else ()
    if not names:
        return ()
    try:
        return check_destinations(names)
    except ConfigError:
        return tuple(name for name in names if _is_one(name))


def _is_one(name: str) -> bool:
    try:
        check_destinations((name,))
    except ConfigError:
        return False
    return True


def may_join(group: str) -> bool:
    """Whether a program may be in that group."""
    return not group.startswith(RESERVED)
