"""Arguments and results as bytes, under both policies."""

from __future__ import annotations

import contextlib
import enum
import math
import pickle
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError, RemoteProtocolError
from zactor.kernel.wire import payload
from zactor.kernel.wire.payload import Outsize

ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
)
PLAIN = st.recursive(
    ATOMS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


class Point:
    """A class that pickle can name."""

    def __init__(self, x: int) -> None:
        self.x = x

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Point) and other.x == self.x

    def __hash__(self) -> int:
        return hash(self.x)


class Colour(enum.IntEnum):
    RED = 1


def parts(body: bytes | Outsize) -> tuple[bytes, Any]:
    return (body.head, body.buffers) if isinstance(body, Outsize) else (body, ())


def there_and_back(args: Any, kwargs: Any, policy: Any) -> Any:
    head, buffers = parts(payload.encode(args, kwargs, policy))
    return payload.decode(head, buffers, policy)


@settings(max_examples=50, deadline=None)
@given(st.lists(PLAIN), st.dictionaries(st.text(), PLAIN), st.sampled_from(["pickle", "data"]))
def test_plain_arguments_come_back_as_they_were(args: Any, kwargs: Any, policy: Any) -> None:
    assert there_and_back(tuple(args), kwargs, policy) == (tuple(args), kwargs)


@settings(max_examples=50, deadline=None)
@given(PLAIN, st.sampled_from(["pickle", "data"]))
def test_plain_values_come_back_as_they_were(value: Any, policy: Any) -> None:
    head, buffers = parts(payload.encode_value(value, policy))
    assert payload.decode_value(head, buffers, policy) == value


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=64), st.sampled_from(["pickle", "data"]))
def test_no_bytes_do_anything_but_decode_or_be_refused(body: bytes, policy: Any) -> None:
    if body[:1] == b"\x80":
        policy = "data"  # what a pickle may do is no matter of ours
    with contextlib.suppress(RemoteProtocolError):
        payload.decode(body, (), policy)


def test_objects_travel_by_pickle_and_what_pickle_cannot_name_by_value() -> None:
    class Local:
        answer = 42

    assert there_and_back((Point(3),), {"p": Point(4)}, "pickle") == (
        (Point(3),),
        {"p": Point(4)},
    )
    ((local, function), _) = there_and_back((Local(), lambda x: x + 1), {}, "pickle")
    assert (local.answer, function(1)) == (42, 2)


def test_what_lives_in_main_goes_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("__main__")
    exec("class Thing:\n    kind = 'script'", module.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", module)
    body = payload.encode((module.__dict__["Thing"](),), {})
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    head, buffers = parts(body)
    ((thing,), _) = payload.decode(head, buffers)
    assert thing.kind == "script"


def test_a_payload_is_a_snapshot() -> None:
    values = [1]
    body = payload.encode((values,), {})
    values.append(2)
    assert payload.decode(*parts(body)) == (([1],), {})


def test_long_buffers_stay_outside_and_short_ones_inside() -> None:
    long = np.arange(limits.BUFFER_BYTES_MIN // 8, dtype="i8")
    short = np.arange(10)
    body = payload.encode((long, short), {"again": long[::-1]})
    assert isinstance(body, Outsize)
    assert [memoryview(buffer).nbytes for buffer in body.buffers] == [long.nbytes]
    assert np.shares_memory(np.frombuffer(body.buffers[0], dtype="i8"), long)
    args, kwargs = payload.decode(body.head, [bytes(body.buffers[0])])
    assert (args[0] == long).all()
    assert (args[1] == short).all()
    assert (kwargs["again"] == long[::-1]).all()


def test_no_more_buffers_leave_than_a_message_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BUFFERS_MAX", 2)
    arrays = [np.full(limits.BUFFER_BYTES_MIN, n, dtype="u1") for n in range(4)]
    body = payload.encode((arrays,), {})
    assert isinstance(body, Outsize)
    assert len(body.buffers) == 2
    ((back,), _) = payload.decode(body.head, body.buffers)
    assert [int(array[0]) for array in back] == [0, 1, 2, 3]


@pytest.mark.parametrize("policy", ["pickle", "data"])
def test_a_message_has_a_longest_size(policy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", 1_000)
    payload.encode((b"x" * 900,), {}, policy)
    with pytest.raises(ConfigError, match="the limit is 1000"):
        payload.encode((b"x" * 1_000,), {}, policy)
    with pytest.raises(ConfigError, match="the limit is 1000"):
        payload.encode_value(b"x" * 1_000, policy)


def test_buffers_count_towards_the_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MESSAGE_BYTES_MAX", limits.BUFFER_BYTES_MIN)
    with pytest.raises(ConfigError, match="the limit is"):
        payload.encode((np.zeros(limits.BUFFER_BYTES_MIN, dtype="u1"),), {})


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((1, {"a": [0, 1, 2, {3}]}), {}, "argument 2 ['a'][3] is a set:"),
        ((), {"who": Point(1)}, "argument who is a Point:"),
        (({1: 2},), {}, "argument 1 has the key 1, which is no str:"),
        (([{"a": {2: 3}}],), {}, "argument 1 [0]['a'] has the key 2, which is no str:"),
        ((1 << 64,), {}, "argument 1 is an int of more than 64 bits:"),
        ((Colour.RED,), {}, "argument 1 is a Colour:"),
        ((bytearray(1),), {}, "argument 1 is a bytearray:"),
        ((object(),), {}, "argument 1 is an object:"),
    ],
)
def test_data_policy_names_what_is_not_plain(args: Any, kwargs: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        payload.encode(args, kwargs, "data")
    assert str(caught.value).startswith(message)


def test_data_policy_refuses_what_is_too_deep_or_goes_in_circles() -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(ConfigError, match="nested deeper than"):
        payload.encode((ring,), {}, "data")


def test_text_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigError, match="can't be sent"):
        payload.encode(("\ud800",), {}, "data")


def test_tuples_become_lists_under_data_policy_but_for_the_arguments_themselves() -> None:
    assert there_and_back(((1, 2),), {}, "data") == (([1, 2],), {})


def test_data_policy_reads_no_pickle_and_pickle_policy_reads_both() -> None:
    pickled, plain = payload.encode((1,), {}), payload.encode((1,), {}, "data")
    assert isinstance(pickled, bytes)
    assert isinstance(plain, bytes)
    assert (pickled[:1], plain[:1]) == (b"\x80", b"D")
    with pytest.raises(RemoteProtocolError, match="a pickle arrived"):
        payload.decode(pickled, (), "data")
    assert payload.decode(plain, (), "pickle") == ((1,), {})


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(ConfigError, match=r"the arguments can't be pickled: TypeError.*lock"):
        payload.encode((threading.Lock(),), {})


@pytest.mark.parametrize(
    "body",
    [b"", b"D", b"D\xc1", b"x", b"\x80\x05", payload.PLAIN_MARK + b"\x91\x01"],
)
def test_what_holds_no_arguments_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        payload.decode(body, ())


@pytest.mark.parametrize("value", [1, [1, 2], [[1], {1: 2}], ["x", {}], [[1], [2]], {"a": 1}])
def test_a_pickle_of_something_else_is_no_arguments(value: Any) -> None:
    with pytest.raises(RemoteProtocolError, match="no arguments"):
        payload.decode(pickle.dumps(value, 5), ())


def test_missing_buffers_are_a_refusal() -> None:
    body = payload.encode((np.zeros(limits.BUFFER_BYTES_MIN, dtype="u1"),), {})
    assert isinstance(body, Outsize)
    with pytest.raises(RemoteProtocolError, match="can't be unpickled"):
        payload.decode(body.head, ())


def test_plain_answers_say_the_nearest_thing() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise ValueError

    ring: list[Any] = []
    ring.append(ring)
    assert payload.to_plain({1: (1, {2, 1}), "c": Colour.RED, "b": b"x"}) == {
        "1": [1, [1, 2]],
        "c": 1,
        "b": "b'x'",
    }
    assert payload.to_plain(1 << 70) == str(1 << 70)
    assert payload.to_plain(Rude()) == "<Rude that has no repr: ValueError>"
    assert isinstance(payload.to_plain(ring), list)
    assert payload.to_plain(math.inf) == math.inf
    assert payload.to_plain(np.float64(1.5)) == 1.5
    head = payload.encode_plain({"x": object})
    assert payload.decode_value(head, (), "data") == {"x": "<class 'object'>"}


def test_policies_are_checked() -> None:
    assert payload.check_policy("data") == "data"
    with pytest.raises(ConfigError, match="'json'"):
        payload.check_policy("json")


# -- group messages and signals in group order -----------------------------------------------
@settings(max_examples=50, deadline=None)
@given(PLAIN, st.sampled_from(["pickle", "data"]))
def test_a_group_message_comes_back_as_it_was(value: Any, policy: Any) -> None:
    assert payload.decode_message(payload.encode_message(value, policy), policy) == value


@settings(max_examples=50, deadline=None)
@given(st.binary().filter(lambda body: not body.startswith(payload.VALUE_MARK)))
def test_bytes_are_the_same_for_an_actor_and_for_a_session_that_is_none(body: bytes) -> None:
    assert payload.encode_message(body) == body
    assert payload.decode_message(body) == body


def test_what_is_marked_as_a_value_is_one_or_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        payload.decode_message(payload.VALUE_MARK + b"nonsense")
    with pytest.raises(RemoteProtocolError, match="payload='data'"):
        payload.decode_message(payload.encode_message({1, 2}), "data")
    with pytest.raises(ConfigError, match="is a set"):
        payload.encode_message({1, 2}, "data")


def test_long_buffers_go_inside_where_nothing_can_stay_outside() -> None:
    array = np.arange(100_000)
    whole = payload.encode_whole((array, 1))
    ((back, one), _) = payload.decode(whole, ())
    assert (back == array).all()
    assert one == 1
    assert back.flags.writeable
    assert (payload.decode_message(payload.encode_message(array)) == array).all()


def test_what_lives_in_main_goes_by_value_to_groups_too(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("__main__")
    exec("class Local:\n    value = 7", module.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", module)
    big = (module.__dict__["Local"], np.arange(100_000))
    body = payload.encode_message(big)
    monkeypatch.setitem(sys.modules, "__main__", types.ModuleType("__main__"))
    assert payload.decode_message(body)[0].value == 7
