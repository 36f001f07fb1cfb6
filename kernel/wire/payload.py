"""Payloads, arguments and results as bytes: pickle 5 with long buffers, or plain data only.

The first byte tells which: 0x80 begins a pickle, `D` is followed by msgpack of plain data, `T` by
the span that either comes from (traced.py). Under
the policy "data" no pickle is ever made or read. Under "pickle" both are read: what comes from a
shell is plain data in either case. Only an actor's own thread may decode: unpickling runs code.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, cast

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, RemoteProtocolError
from zactor.kernel.wire import by_value
from zactor.kernel.wire.bulky import Buffer
from zactor.kernel.wire.traced import TRACE_MARK, TRACED_AT

Policy = Literal["pickle", "data"]


VARIABLE: Final = "ZACTOR_PAYLOAD"

"""Of the environment: the policy of nodes and clients that aren't told another."""


PLAIN_MARK: Final = b"D"

"""First byte of a payload of plain data; the rest is msgpack."""


STORED_MARK: Final = b"B"

"""First byte of constructor arguments that are too long for a fact; the rest is the identity of a
bundle that holds nothing else (bundles/stored_arguments.py)."""


VALUE_MARK: Final = b"\x00zv\x00"

"""Begins a group message that holds an actor's value; all other group messages are bytes."""


_PICKLE_MARK = b"\x80"

_MAIN = b"__main__"

_ATOMS = frozenset({type(None), bool, int, float, str, bytes})  # never leave the pickle

_ARGUMENTS = _ATOMS - {bytes}  # the types in messages.actors.Arguments

_PLAIN_DEPTH_MAX = 100  # levels of lists and dicts: msgspec's own bound is of this order


_pack = msgspec.msgpack.Encoder().encode

_unpack = msgspec.msgpack.Decoder().decode


class Outsize:
    """A payload some of whose buffers stay outside: `head` is the pickle, `buffers` what it lacks.

    The buffers are the sender's own memory, not copies: it must not change them until they left.
    """

    __slots__ = ("buffers", "head")

    def __init__(self, head: bytes, buffers: tuple[Buffer, ...]) -> None:
        self.head = head
        self.buffers = buffers


def check_policy(policy: str) -> Policy:
    """Return `policy` if it is one.

    Raises:
        ConfigError: it is neither "pickle" nor "data".
    """
    if policy == "pickle":
        return "pickle"
    if policy == "data":
        return "data"
    raise ConfigError(f"payload={policy!r} is no policy: want 'pickle' or 'data'")


def chosen_policy(given: str | None) -> Policy:
    """Return the policy that was given, else that of $ZACTOR_PAYLOAD, else "pickle".

    Raises:
        ConfigError: it is none.
    """
    return check_policy(given or os.environ.get(VARIABLE) or "pickle")


def encode(
    args: tuple[Any, ...], kwargs: dict[str, Any], policy: Policy = "pickle"
) -> bytes | Outsize:
    """Return the arguments of one call as bytes, a snapshot of what they are now.

    Raises:
        ConfigError: they can't travel; says which argument and why.
    """
    if policy == "data":
        for index, value in enumerate(args):
            check_plain(value, f"argument {index + 1}")
        for name, value in kwargs.items():
            check_plain(value, f"argument {name}")
        return _plain([args, kwargs], "the arguments")
    if not kwargs and _ATOMS.issuperset(map(type, args)):
        head = pickle.dumps(args, 5)
        if len(head) <= limits.MESSAGE_BYTES_MAX:
            return head
        return _limited(head, (), "the arguments")
    # A list for the pair, so that arguments without keywords (nearly all) go as one bare tuple.
    return _pickled([args, kwargs] if kwargs else args, "the arguments")


def encode_signal(args: tuple[Any, ...], policy: Policy = "pickle") -> bytes | Outsize:
    """Return the arguments of a signal, short plain ones as a Raw that their frame takes over.

    They are decoded with their frame, many at once: 0.1 µs in place of 0.9.

    Raises:
        ConfigError: they can't travel.
    """
    if _ARGUMENTS.issuperset(map(type, args)):
        try:
            body = _pack(args)
        except (OverflowError, UnicodeEncodeError):  # more than 64 bits; text that is none
            pass
        else:
            if len(body) <= limits.ARGUMENTS_BYTES_MAX:
                return cast(bytes, msgspec.Raw(body))  # to whoever decodes it the same as bytes
    return encode(args, {}, policy)


def decode(
    head: bytes,
    buffers: Sequence[Buffer],
    policy: Policy = "pickle",
    unpickle: Callable[..., Any] = pickle.loads,
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what `encode` was given: positional and keyword arguments.

    Args:
        unpickle: as `decode_value` has it.

    Raises:
        RemoteProtocolError: these are no arguments, or a pickle where policy is "data".
    """
    value = decode_value(head, buffers, policy, unpickle)
    if type(value) is tuple:
        return value, {}
    if type(value) is list and len(value) == 2 and type(value[1]) is dict:
        args, kwargs = value
        if type(args) in (tuple, list) and all(type(name) is str for name in kwargs):
            return tuple(args), kwargs
    raise RemoteProtocolError("a payload that holds no arguments")


def encode_value(value: Any, policy: Policy = "pickle") -> bytes | Outsize:
    """Return one value, the result of an action, as bytes.

    Raises:
        ConfigError: it can't travel.
    """
    if policy == "data":
        check_plain(value, "the result")
        return _plain(value, "the result")
    if type(value) in _ATOMS:
        return _limited(pickle.dumps(value, 5), (), "the result")
    return _pickled(value, "the result")


def encode_whole(args: tuple[Any, ...], policy: Policy = "pickle") -> bytes:
    """Return arguments as `encode` does, long buffers copied into the one payload.

    Raises:
        ConfigError: they can't travel.
    """
    body = encode(args, {}, policy)
    return body if isinstance(body, bytes) else _whole(args, "the arguments")


def encode_whole_call(
    args: tuple[Any, ...], kwargs: dict[str, Any], policy: Policy = "pickle"
) -> bytes:
    """Return arguments as `encode_whole` does, those by keyword among them."""
    body = encode(args, kwargs, policy)
    if isinstance(body, bytes):
        return body
    return _whole([args, kwargs] if kwargs else args, "the arguments")


def encode_whole_value(value: Any, policy: Policy = "pickle") -> bytes:
    """Return one value as `encode_value` does, long buffers copied into the one payload."""
    body = encode_value(value, policy)
    return body if isinstance(body, bytes) else _whole(value, "the result")


def encode_message(value: Any, policy: Policy = "pickle") -> bytes:
    """Return the payload of a group message: bytes as they are, all else marked as a value.

    So a session that is no actor gets the bytes that an actor sends, and an actor gets its.

    Raises:
        ConfigError: it can't travel.
    """
    if type(value) is bytes and not value.startswith(VALUE_MARK):
        return value
    body = encode_value(value, policy)
    return VALUE_MARK + (body if isinstance(body, bytes) else _whole(value, "the message"))


def decode_message(payload: bytes, policy: Policy = "pickle") -> Any:
    """Return what `encode_message` was given, or the bytes that another session sent.

    Raises:
        RemoteProtocolError: it is marked as a value and is none, or a pickle where policy is
            "data".
    """
    if not payload.startswith(VALUE_MARK):
        return payload
    return decode_value(payload[len(VALUE_MARK) :], (), policy)


def encode_plain(value: Any) -> bytes:
    """Return `to_plain(value)` as a payload of plain data: for answers that become JSON."""
    return PLAIN_MARK + _pack(to_plain(value))


def decode_value(
    head: bytes,
    buffers: Sequence[Buffer],
    policy: Policy = "pickle",
    unpickle: Callable[..., Any] = pickle.loads,
) -> Any:
    """Return the value in a payload.

    Args:
        unpickle: reads pickles; what nodes of one wire version send names nothing old.

    Raises:
        RemoteProtocolError: it is none, or a pickle where policy is "data".
    """
    mark = head[:1]
    if mark == _PICKLE_MARK and policy == "pickle":
        try:
            # Without the keyword: 0.1 µs.
            return unpickle(head, buffers=buffers) if buffers else unpickle(head)
        except Exception as error:  # unpickling runs foreign code: anything may come out of it
            reason = f"{type(error).__name__}: {error}"
            raise RemoteProtocolError(f"a payload that can't be unpickled: {reason}") from error
    if mark == PLAIN_MARK:
        try:
            return _unpack(memoryview(head)[1:])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise RemoteProtocolError(f"a payload that is no msgpack: {error}") from None
    if mark == TRACE_MARK and head[TRACED_AT : TRACED_AT + 1] != TRACE_MARK:
        return decode_value(head[TRACED_AT:], buffers, policy, unpickle)
    if mark == _PICKLE_MARK:
        raise RemoteProtocolError("a pickle arrived, though the cluster says payload='data'")
    raise RemoteProtocolError(f"a payload that begins with {mark!r}")


def check_plain(value: Any, where: str) -> None:
    """Check that `value` is plain: None, bool, int, float, str, bytes, list, tuple, dict of str.

    Raises:
        ConfigError: it isn't; names the place, e.g. `argument 2 ['a'][3] is a set`.
    """
    _check(value, where, "", 0)


def _check(value: Any, where: str, path: str, depth: int) -> None:
    kind = type(value)
    if value is None or kind in (bool, float, str, bytes):
        return
    if kind is int:
        if not -(1 << 63) <= value < 1 << 64:
            raise ConfigError(_refusal(where, path, "is an int of more than 64 bits"))
        return
    if depth >= _PLAIN_DEPTH_MAX:
        raise ConfigError(_refusal(where, "", f"is nested deeper than {_PLAIN_DEPTH_MAX} levels"))
    if kind in (list, tuple):
        for index, item in enumerate(value):
            _check(item, where, f"{path}[{index}]", depth + 1)
        return
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise ConfigError(_refusal(where, path, f"has the key {key!r}, which is no str"))
            _check(item, where, f"{path}[{key!r}]", depth + 1)
        return
    article = "an" if kind.__name__[:1] in "aeiouAEIOU" else "a"
    raise ConfigError(_refusal(where, path, f"is {article} {kind.__name__}"))


def _refusal(where: str, path: str, what: str) -> str:
    place = f"{where} {path}" if path else where
    return f"{place} {what}: payload='data' lets only plain data travel"


def to_plain(value: Any) -> Any:
    """Return the nearest thing to `value` that JSON can say; what it can't becomes its repr."""
    try:
        return _to_plain(value, 0)
    except Exception as error:  # a value's own methods may raise anything
        return f"<{type(value).__name__} that has no repr: {type(error).__name__}>"


def _to_plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return int(value) if -(1 << 63) <= value < 1 << 64 else repr(value)
    if isinstance(value, float):
        return float(value)
    if depth < _PLAIN_DEPTH_MAX:
        if isinstance(value, dict):
            return {
                key if isinstance(key, str) else repr(key): _to_plain(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [_to_plain(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return [_to_plain(item, depth + 1) for item in sorted(value, key=repr)]
    return repr(value)


def _plain(value: Any, what: str) -> bytes:
    try:
        body = PLAIN_MARK + _pack(value)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise ConfigError(f"{what} can't be sent: {error}") from None
    return _limited(body, (), what)


def _pickled(value: Any, what: str) -> bytes | Outsize:
    buffers: list[Buffer] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < limits.BUFFER_BYTES_MIN or len(buffers) >= limits.BUFFERS_MAX:
            return True
        buffers.append(raw)
        return False

    try:
        head = pickle.dumps(value, 5, buffer_callback=keep_inside)
    except Exception:  # a lambda, a class made in a function: what plain pickle can't name
        head = b""
    if not head or _MAIN in head:
        # What lives in __main__ is another thing on another machine: it must go by value.
        buffers.clear()
        head = _cloudpickled(value, keep_inside, what)
    _limited(head, buffers, what)
    return Outsize(head, tuple(buffers)) if buffers else head


def _whole(value: Any, what: str) -> bytes:
    """The same as `_pickled` with everything inside."""
    try:
        head = pickle.dumps(value, 5)
    except Exception:  # as in _pickled
        head = b""
    if not head or _MAIN in head:
        head = _cloudpickled(value, lambda _: True, what)
    return _limited(head, (), what)


def _cloudpickled(
    value: Any, keep_inside: Callable[[pickle.PickleBuffer], bool], what: str
) -> bytes:
    try:
        return by_value.dumps(value, keep_inside)
    except Exception as error:
        raise ConfigError(f"{what} can't be pickled: {type(error).__name__}: {error}") from error


def _limited(head: bytes, buffers: Sequence[Buffer], what: str) -> bytes:
    size = len(head)
    if buffers:
        size += sum(memoryview(buffer).nbytes for buffer in buffers)
    if size > limits.MESSAGE_BYTES_MAX:
        limit = limits.MESSAGE_BYTES_MAX
        raise ConfigError(f"{what} make a message of {size} bytes: the limit is {limit}")
    return head


def parts_of(body: bytes | Outsize) -> tuple[bytes, Sequence[Buffer]]:
    """The payload and its out-of-band buffers."""
    return (body.head, body.buffers) if isinstance(body, Outsize) else (body, ())
