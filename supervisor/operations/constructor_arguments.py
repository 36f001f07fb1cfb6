"""Constructor arguments on their way into a fact and out of it: readable where they are plain."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import msgspec

from zactor.kernel.errors import ConfigError
from zactor.kernel.wire import payload
from zactor.kernel.wire.unpickle import loads

_PICKLED = "pickle:"
_STORED = "stored:"


def to_text(encoded: bytes, policy: payload.Policy) -> str:
    """Return the text of a payload: JSON of its keyword arguments, its pickle in base 64, or in
    which bundle they are.

    Raises:
        ConfigError: it is neither, or a pickle where policy is "data".
    """
    if encoded[:1] == payload.STORED_MARK:
        return _STORED + encoded[1:].decode("ascii", "replace")
    if policy == "data":
        _refuse_pickle(encoded[:1] != payload.PLAIN_MARK)
    if encoded[:1] != payload.PLAIN_MARK:
        return _PICKLED + base64.b64encode(encoded).decode()
    _, keywords = payload.decode(encoded, (), "data")
    return msgspec.json.encode(keywords).decode()


def stored_in(text: str) -> str:
    """Return the identity of the bundle that holds the arguments, "" if the text does itself."""
    return text.removeprefix(_STORED) if text.startswith(_STORED) else ""


def to_plain(text: str) -> dict[str, Any] | str:
    """Return the keyword arguments where they are plain, else in words where they are. Runs no code
    of users."""
    if text.startswith(_STORED):
        return f"in {stored_in(text)}"
    if text.startswith(_PICKLED):
        return f"a pickle of {len(base64.b64decode(text.removeprefix(_PICKLED)))} bytes"
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError:
        return "none that can be read"


def to_keywords(
    text: str, policy: payload.Policy, stored: Callable[[str], bytes] | None = None
) -> dict[str, Any]:
    """Return the keyword arguments; only in the actor runtime, since it may unpickle.

    Args:
        stored: gives the payload that a bundle holds.

    Raises:
        ConfigError: the text is none that `to_text` makes, or a pickle where policy is "data".
    """
    identity = stored_in(text)
    if identity and stored is not None:
        _, keywords = payload.decode(stored(identity), (), policy, loads)
        return dict(keywords)
    if policy == "data":
        _refuse_pickle(text.startswith(_PICKLED))
    if text.startswith(_PICKLED):
        encoded = base64.b64decode(text.removeprefix(_PICKLED))
        _, keywords = payload.decode(encoded, (), "pickle", loads)
        return dict(keywords)
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ConfigError(f"constructor arguments that can't be read: {error}") from None


def _refuse_pickle(is_pickle: bool) -> None:
    if is_pickle:
        raise ConfigError(
            "constructor arguments are a pickle: payload='data' lets only data travel"
        )
