"""Names of groups and sessions: checked where a program says them, and again at its node."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from zactor.kernel.errors import ConfigError
from zactor.kernel.limits import GROUP_DESTINATIONS_MAX, GROUP_NAME_CHARS_MAX

URGENT = "zactor.kb"
"""The session whose messages wait for no window: a member that hangs shall not hold up the changes
of the knowledge base, by which it could be ended. They are few, see KB_FLIGHT_MAX."""

RESERVED = "zactor."
"""Groups and sessions whose names begin so are zactor's own."""


def check_group_name(kind: str, name: str) -> str:
    """Return `name` if a program may call a group or a session so.

    Raises:
        ConfigError: it has no or too many characters, a `#`, is reserved, or is no UTF-8.
    """
    if not isinstance(name, str):
        raise ConfigError(f"a {kind} has text for a name, not {type(name).__name__}")
    if not 0 < len(name) <= GROUP_NAME_CHARS_MAX or "#" in name:
        raise ConfigError(
            f"{name[:40]!r} is no name for a {kind}: want 1 to {GROUP_NAME_CHARS_MAX} characters"
            " and no #"
        )
    if name.startswith(RESERVED):
        raise ConfigError(f"{name!r}: names that begin with {RESERVED!r} are zactor's own")
    _check_text(name)
    return name


def _check_text(name: str) -> None:
    """Let nothing pass that no frame could hold: it would stop a link for good."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{name[:40]!r} is no text: it can't be written as UTF-8") from None


def is_private(group: str) -> bool:
    """Whether `group` reaches one session, as `#session#node` does."""
    return group.startswith("#")


def check_destinations(groups: str | Iterable[str]) -> tuple[str, ...]:
    """Return `groups` if a program may send to all of them: groups and private groups.

    Raises:
        ConfigError: there is none, there are too many, or one is no name or reserved.
    """
    try:
        return _checked(groups if isinstance(groups, str | tuple) else tuple(groups))
    except (TypeError, AttributeError):  # nothing to go through, or something in it is no text
        raise ConfigError(f"a message goes to a name or several, not to {groups!r:.60}") from None


@functools.lru_cache(1024)  # programs send to the same few groups all the time
def _checked(groups: str | tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(groups, str):
        groups = (groups,)
    if not 1 <= len(groups) <= GROUP_DESTINATIONS_MAX:
        raise ConfigError(
            f"a message goes to 1 to {GROUP_DESTINATIONS_MAX} groups, not to {len(groups)}"
        )
    for group in groups:
        if not is_private(group):
            check_group_name("group", group)
            continue
        session, _, node = group[1:].rpartition("#")
        if not node or len(node) > GROUP_NAME_CHARS_MAX:
            raise ConfigError(f"{group[:40]!r} is no private group: want #SESSION#NODE")
        check_group_name("session", session)
        _check_text(node)
    return groups
