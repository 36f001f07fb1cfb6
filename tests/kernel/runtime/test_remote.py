"""Two runtimes, joined: what crosses, how it ends, and what happens when a node goes."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from zactor import Actor, action, signal
from zactor.kernel.errors import (
    ConfigError,
    MailboxFull,
    NoSuchActor,
    NotDelivered,
    OutcomeUnknown,
    RemoteActionError,
    TimedOut,
)
from zactor.kernel.messages.actors import Failure, Reply, Signal
from zactor.kernel.runtime.directory import Place
from zactor.kernel.wire import payload
from zactor.kernel.wire.bulky import Bulky


class Target(Actor):
    def __init__(self, opened: threading.Event | None = None) -> None:
        self.seen: list[Any] = []
        self.opened = opened

    @action
    def note(self, *values: Any, **named: Any) -> None:
        self.seen.append((values, named) if named else values)

    @action
    def notes(self) -> list[Any]:
        return self.seen

    @action
    def echo(self, value: Any) -> Any:
        return value

    @action
    def fail(self) -> None:
        raise ZeroDivisionError("by nothing")

    @action
    def lock(self) -> Any:
        return threading.Lock()

    @action
    def thread(self) -> str:
        return threading.current_thread().name

    @action
    async def wait(self) -> str:
        assert self.opened is not None
        while not self.opened.is_set():  # noqa: ASYNC110  # set by another thread
            await asyncio.sleep(0.001)
        return "open"


class Source(Actor):
    note = signal(int)

    @action
    def emit(self, *values: Any) -> None:
        self.send_signal("note", *values)

    @action
    def burst(self, count: int) -> None:
        for number in range(count):
            self.note.emit(number)

    @action
    async def ask(self, name: str, value: Any) -> Any:
        return await self.ref(name).echo(value)

    @action
    async def pass_on(self, ref: Any, value: Any) -> Any:
        return await ref.echo(value)


class Trap:
    """Raises, or tells its thread, when it is unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def name_of_thread() -> str:
    return threading.current_thread().name


def explode() -> None:
    raise RuntimeError("boom")


def test_local_and_remote_reactors_get_the_same(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    source = one.spawn(Source, "s")
    here = one.spawn(Target, "here")
    there = [other.spawn(Target, name) for name in ("there1", "there2")]
    for name in ("there1", "there2"):
        worlds.introduce(other, name, one)
    one.runtime.connect("s", "note", ("here", "there1", "there2"))
    source.emit(1, "x").result()
    source.burst(100).result()
    expected = [(1, "x"), *[(number,) for number in range(100)]]
    assert here.notes().result() == expected
    for ref in there:
        until(lambda ref=ref: ref.notes().result() == expected)


def test_a_node_gets_one_message_for_all_its_reactors(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    source = one.spawn(Source, "s")
    for name in ("t1", "t2", "t3"):
        other.spawn(Target, name)
        worlds.introduce(other, name, one)
    one.runtime.connect("s", "note", ("t1", "t2", "t3"))
    source.emit(7).result()
    port = one.ports["n2"]
    (item,) = port.items
    assert item.targets == tuple(other.uid(name) for name in ("t1", "t2", "t3"))
    assert item.sender == one.uid("s")
    until(lambda: other.ports["n1"].consumed_count == 1)


def test_an_actor_that_moves_is_followed(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    source = one.spawn(Source, "s")
    first = one.spawn(Target, "t")
    one.runtime.connect("s", "note", ("t",))
    source.emit(1).result()
    second = other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    source.emit(2).result()
    until(lambda: second.notes().result() == [(2,)])
    one.runtime.place("t", None)
    source.emit(3).result()
    assert [(letter.target, letter.sender) for letter in one.dead] == [("t", "s")]
    assert first is not None


def test_an_ask_crosses_and_comes_back(worlds: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    ask = one.spawn(Source, "s").ask
    for value in (None, 1, "text", [1, {"a": (2, 3)}], {1, 2}):
        assert ask("t", value).result() == value
    with pytest.raises(RemoteActionError) as caught:
        one.runtime.ref("t").fail().result()
    error = caught.value
    assert (error.remote_type, error.node, error.actor) == ("ZeroDivisionError", "n2", "t")
    assert "by nothing" in error.traceback


def test_a_result_that_cannot_travel_is_an_error_at_the_asker(worlds: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    with pytest.raises(RemoteActionError, match="can't be pickled"):
        one.runtime.ref("t").lock().result()


def test_arrays_travel_beside_the_pickle(worlds: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    array = np.arange(100_000, dtype="f8")
    back = one.runtime.ref("t").echo(array).result()
    assert (back == array).all()
    (item,) = one.ports["n2"].items
    assert isinstance(item, Bulky)
    assert len(item.item.payload) < 1_000
    assert np.shares_memory(np.frombuffer(item.buffers[0]), array)
    one.runtime.ref("t").note.tell(array)
    assert isinstance(one.ports["n2"].items[1], Bulky)


def test_keywords_and_refs_travel(worlds: Any) -> None:
    one, other = worlds.pair()
    target = other.spawn(Target, "t")
    passer = other.spawn(Source, "p")
    one.spawn(Target, "home")
    worlds.introduce(other, "t", one)
    worlds.introduce(other, "p", one)
    worlds.introduce(one, "home", other)
    one.runtime.ref("t").note(1, two=2).result()
    assert target.notes().result() == [((1,), {"two": 2})]
    # A ref that arrives calls by way of where it arrived.
    assert one.runtime.ref("p").pass_on(one.runtime.ref("home"), 5).result() == 5
    assert passer.ask("home", 6).result() == 6


def test_nothing_is_unpickled_outside_the_actors_thread(worlds: Any) -> None:
    one, other = worlds.pair()

    class Own(Target, dispatcher="thread"):
        pass

    other.spawn(Target, "t")
    other.spawn(Own, "o")
    for name, thread in (("t", "zactor-actors"), ("o", "zactor-actor-o")):
        worlds.introduce(other, name, one)
        assert one.runtime.ref(name).echo(Trap(name_of_thread)).result() == thread


def test_an_undecodable_payload_hurts_nobody_but_its_sender(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    target = other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    with pytest.raises(RemoteActionError, match="boom"):
        one.runtime.ref("t").note(Trap(explode)).result()
    one.runtime.ref("t").note.tell(Trap(explode))
    until(lambda: len(one.dead) == 1)
    assert (one.dead[0].target, one.dead[0].action) == ("t", "note")
    assert "boom" in one.dead[0].reason
    assert target.notes().result() == []
    until(lambda: other.ports["n1"].consumed_count == 2)


def test_an_actor_that_is_not_there_any_more(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    other.stop("t").result()
    with pytest.raises(NotDelivered, match="no such actor on n2: t"):
        one.runtime.ref("t").echo(1).result()
    one.runtime.ref("t").note.tell(1)
    until(lambda: [letter.reason for letter in one.dead] == ["no such actor on n2: t"])
    until(lambda: other.ports["n1"].consumed_count == 2)


def test_data_policy_refuses_what_is_not_plain_at_the_senders_line(worlds: Any, until: Any) -> None:
    one, other = worlds.pair(policy="data")
    target = other.spawn(Target, "t")
    worlds.introduce(other, "t", one)
    ref = one.runtime.ref("t")
    assert ref.echo({"a": [1, 2.5, b"x", None]}).result() == {"a": [1, 2.5, b"x", None]}
    with pytest.raises(ConfigError, match=r"argument 1 \['a'\]\[1\] is a set"):
        ref.note.tell({"a": [1, {2}]})
    with pytest.raises(RemoteActionError, match="the result is a lock"):
        ref.lock().result()
    # A node that sends pickles all the same gets them back, unread.
    pickled = payload.encode((Trap(explode),), {})
    assert isinstance(pickled, bytes)
    one.ports["n2"].put(Signal((other.uid("t"),), 0, 77, "note", pickled))
    until(lambda: [letter.number for letter in one.dead] == [77])
    assert "a pickle arrived" in one.dead[0].reason
    source = one.spawn(Source, "s")
    one.runtime.connect("s", "note", ("t",))
    with pytest.raises(RemoteActionError, match="is a set"):
        source.emit({1}).result()
    assert target.notes().result() == []


def test_a_timed_out_ask_leaves_nothing_behind(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    opened = threading.Event()
    other.spawn(Target, "t", opened)
    worlds.introduce(other, "t", one)
    with pytest.raises(TimedOut):
        one.runtime.ref("t").wait.opts(timeout=0.01)().result()
    assert one.runtime.remoting._pending == {}
    opened.set()
    assert one.runtime.ref("t").wait().result() == "open"


def test_asks_end_when_their_node_does(worlds: Any) -> None:
    one, other = worlds.pair()
    opened = threading.Event()
    other.spawn(Target, "t", opened)
    worlds.introduce(other, "t", one)
    port = one.ports["n2"]
    ref = one.runtime.ref("t")
    acknowledged = ref.wait()
    port.dead = True  # from here on nothing arrives
    sent, unsent = ref.echo(1), ref.echo(2)
    ref.note.tell(3)
    lost = [(item, index < 2) for index, item in enumerate(port.items[1:], 1)]
    one.runtime.remoting.peer_dead(port, lost)
    with pytest.raises(OutcomeUnknown):
        acknowledged.result(0)
    with pytest.raises(OutcomeUnknown):
        sent.result(0)
    with pytest.raises(NotDelivered, match="never sent"):
        unsent.result(0)
    (letter,) = one.dead
    assert (letter.target, letter.action) == ("t", "note")
    assert "n2@1 is gone" in letter.reason
    # Asked before anybody said that the name leads nowhere.
    with pytest.raises(NotDelivered, match="is gone"):
        ref.echo(4).result(0)
    opened.set()


def test_the_hard_limit_of_a_link_is_felt_at_the_senders_line(worlds: Any) -> None:
    one, other = worlds.pair()
    other.spawn(Target, "t")
    here = one.spawn(Target, "here")
    worlds.introduce(other, "t", one)
    source = one.spawn(Source, "s")
    one.runtime.connect("s", "note", ("t", "here"))
    one.ports["n2"].full = True
    with pytest.raises(RemoteActionError, match="the link to n2@1 is full"):
        source.emit(1).result()
    assert here.notes().result() == [(1,)], "who had room got it"
    with pytest.raises(MailboxFull):
        one.runtime.ref("t").note.tell(1)
    with pytest.raises(MailboxFull):
        one.runtime.ref("t").echo(1).result()
    assert one.runtime.remoting._pending == {}


def test_the_door_asks_tells_and_emits(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    here, there = one.spawn(Target, "here"), other.spawn(Target, "there")
    worlds.introduce(other, "there", one)
    one.spawn(Source, "s")
    one.runtime.connect("s", "note", ("here", "there"))
    encoded = payload.encode((5,), {})
    outcomes: list[Any] = []
    assert one.runtime.emit("s", "note", encoded) == 2
    assert one.runtime.emit("s", "unheard", encoded) == 0
    one.runtime.request("here", "note", encoded, None)
    one.runtime.request("there", "note", encoded, None)
    until(lambda: here.notes().result() == [(5,), (5,)])
    until(lambda: there.notes().result() == [(5,), (5,)])
    for name in ("here", "there"):
        one.runtime.request(name, "echo", encoded, outcomes.append)
        one.runtime.request(name, "fail", encoded, outcomes.append)
    until(lambda: len(outcomes) == 4)
    replies = [item for item in outcomes if isinstance(item, Reply)]
    assert [payload.decode_value(reply.payload, ()) for reply in replies] == [5, 5]
    kinds = [item.kind for item in outcomes if isinstance(item, Failure)]
    assert kinds == ["RemoteActionError", "RemoteActionError"]
    with pytest.raises(NoSuchActor):
        one.runtime.request("nobody", "echo", encoded, None)
    for name in ("nobody", "there"):
        with pytest.raises(NoSuchActor):
            one.runtime.emit(name, "note", encoded)


def test_the_door_may_ask_for_plain_values(worlds: Any, until: Any) -> None:
    world = worlds()
    world.spawn(Target, "t")
    outcomes: list[Any] = []
    encoded = payload.encode(({"a": {1, 2}, "b": object},), {})
    world.runtime.request("t", "echo", encoded, outcomes.append, plain=True)
    until(lambda: outcomes)
    value = payload.decode_value(outcomes[0].payload, (), "data")
    assert value == {"a": [1, 2], "b": "<class 'object'>"}


def test_a_long_array_reaches_the_door_as_a_bulky(worlds: Any, until: Any) -> None:
    one, other = worlds.pair()
    one.spawn(Target, "here")
    other.spawn(Target, "there")
    worlds.introduce(other, "there", one)
    array = np.ones(100_000)
    outsize = payload.encode((1,), {})
    outcomes: list[Any] = []

    class Maker(Target):
        @action
        def make(self, _: int) -> Any:
            return array

    for world, name in ((one, "m1"), (other, "m2")):
        world.spawn(Maker, name)
    worlds.introduce(other, "m2", one)
    for name in ("m1", "m2"):
        one.runtime.request(name, "make", outsize, outcomes.append)
    until(lambda: len(outcomes) == 2)
    for outcome in outcomes:
        assert isinstance(outcome, Bulky)
        back = payload.decode_value(outcome.item.payload, outcome.buffers)
        assert (back == array).all()


def test_who_is_unknown_gets_a_number_for_a_name(worlds: Any, until: Any) -> None:
    one, _ = worlds.pair()
    port = one.ports["n2"]
    one.runtime.place("ghost", Place(name="ghost", uid=424_242, type="t", port=port))
    with pytest.raises(NotDelivered, match="#424242"):
        one.runtime.ref("ghost").echo(1).result()
