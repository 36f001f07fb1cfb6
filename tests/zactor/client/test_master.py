"""zactor/client/master.py, blocking.py and master.py, against real nodes."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Iterator

import pytest
from deadlines import DEADLINE_S

from zactor import (
    Actor,
    AlreadyExists,
    BlockingCluster,
    BlockingMaster,
    ConfigError,
    Master,
    NoSuchActor,
    NoSuchThing,
    Refused,
    RemoteActionError,
    Service,
    TimedOut,
    ZactorError,
    action,
    connect,
    local,
    signal,
)
from zactor.demos.counter import Counter
from zactor.demos.gui import Gui

NAMES = iter(range(1_000_000))


class Talker(Actor):
    @action
    def say(self, words: str) -> None:
        print(words)


@pytest.fixture(scope="module")
def cluster() -> Iterator[BlockingCluster]:
    with local(nodes=2) as running:
        yield running


@pytest.fixture
def m(cluster: BlockingCluster) -> BlockingMaster:
    return cluster.master


def fresh(stem: str) -> str:
    """A name that no test has used."""
    return f"{stem}{next(NAMES)}"


def test_a_network_over_two_nodes_counts_and_shows(m: BlockingMaster) -> None:
    c, g = fresh("c"), fresh("g")
    counter = m.deploy_actor(Counter, c, "n1", start=5)
    gui = m.deploy_actor(Gui, g, "n2")
    m.react_interaction(c, g, "inc")
    m.react_interaction(g, c, "updateVal", service=Service.FIFO)
    assert counter.inc(2) == 7
    assert m.send_signal(g, "inc") == 1
    m.wait(f"reacts({g}, {c}, updateVal, fifo)", 5)
    until = time.monotonic() + DEADLINE_S
    while gui.shown() != 8:  # the signal takes another way than the asks
        assert time.monotonic() < until
    assert m.ask(c, "count") == 8
    m.remove_interaction(c, g, "inc")
    assert m.send_signal(g, "inc") == 0
    counter.inc.tell(10)
    assert counter.count() == 18
    m.destroy_actor(c)
    with pytest.raises(NoSuchActor):
        counter.count()
    assert m.query(f"actor({c}, _, _)") == []
    assert m.query(f"reacts({g}, _, _, _)") == []


def version(number: int) -> type[Actor]:
    """A class of which each number has code of its own."""

    class Versioned(Actor):
        def __init__(self, size: object = None) -> None:
            self.number = number

        @action
        def tell_number(self) -> int:
            return self.number

    return Versioned


def test_an_actor_is_described_from_any_node_its_code_current_or_old(m: BlockingMaster) -> None:
    kind, name = fresh("kind"), fresh("c")
    m.declare_factory(kind, version(1))
    for node in ("n1", "n2"):  # one of them isn't the node that is asked
        actor = name + node
        m.deploy_actor(kind, actor, node, size=complex(1, 2))
        told = m.describe(actor)
        assert (told["node"], told["code"], told["unreadable"]) == (node, "current", "")
        assert told["actions"] == ["tell_number() -> int"]
        assert str(told["arguments"]).startswith("a pickle of ")
    first = m.describe(f"{name}n1")["bundle"]
    m.declare_factory(kind, version(2))
    told = m.describe(f"{name}n1")
    assert (told["code"], told["bundle"]) == ("old", first)
    assert told["factory"] not in ("", first)
    with pytest.raises(NoSuchActor):
        m.describe(fresh("nobody"))


def test_a_type_is_undeclared_once_no_actor_of_it_is_there_and_undo_brings_it_back(
    m: BlockingMaster,
) -> None:
    kind, name = fresh("kind"), fresh("c")
    m.declare_factory(kind, Talker)
    m.deploy_actor(kind, name, "n2")
    with pytest.raises(Refused, match=rf"actors of {kind} are there \({name}\): destroy"):
        m.undeclare_factory(kind)
    m.destroy_actor(name)
    assert m.undeclareFactory(kind) == {"type": kind}
    assert kind not in {row["type"] for row in m.factories()}
    for refused in (lambda: m.undeclare_factory(kind), lambda: m.deploy_actor(kind, name, "n1")):
        with pytest.raises(NoSuchThing, match=f"no factory for {kind} "):
            refused()
    (change,) = [row for row in m.log() if row["why"] == f"undeclareFactory({kind})"]
    epoch, index = change["clock"]  # type: ignore[misc]  # a row is plain data
    m.undo(f"{epoch}.{index}")
    m.deploy_actor(kind, name, "n1")
    assert m.describe(name)["code"] == "current"


def test_the_same_calls_can_be_awaited_many_at_once(cluster: BlockingCluster) -> None:
    async def story() -> None:
        async with connect(home=cluster.home) as m:
            names = [fresh("c") for _ in range(4)]
            refs = await asyncio.gather(*(m.deploy_actor(Counter, name, "n1") for name in names))
            answers = await asyncio.gather(*(ref.inc(i) for i in range(50) for ref in refs))
            assert len(answers) == 200
            assert [await ref.count() for ref in refs] == [sum(range(50))] * 4
            await asyncio.gather(*(m.destroy_actor(name) for name in names))
            assert not {row["name"] for row in await m.actors()} & set(names)

    asyncio.run(story())


def test_what_actors_said_is_read_without_an_event_loop(m: BlockingMaster) -> None:
    m.declare_factory("talker", Talker)
    m.deploy_actor("talker", "t1", "n1").say("good morning")
    rows = m.output(actor="t1")
    assert [(row["actor"], row["kind"], row["text"]) for row in rows] == [
        ("t1", "printed", "good morning")
    ]
    assert m.output("n2", "t1") == []


def test_every_call_of_the_master_has_its_blocking_twin_and_the_seeds_spelling() -> None:
    calls = {name for name, value in vars(Master).items() if callable(value) and name[0] != "_"}
    assert calls <= set(dir(BlockingMaster))
    for name in calls - {"deploy_actor", "deployActor", "events", "output", "ref"}:
        twin = getattr(BlockingMaster, name)
        assert twin.__doc__ == getattr(Master, name).__doc__
        assert not inspect.iscoroutinefunction(twin)
    for kind in (Master, BlockingMaster):
        assert kind.deployActor is kind.deploy_actor
        assert kind.remoteReactInteraction is kind.react_interaction


def test_plain_constructor_arguments_stay_readable_and_others_arrive_as_they_are(
    m: BlockingMaster,
) -> None:
    class Keeper(Actor):
        def __init__(self, what: object) -> None:
            self.what = what

        @action
        def get(self) -> object:
            return self.what

    plain, pickled = fresh("k"), fresh("k")
    assert m.deploy_actor(Keeper, plain, "n1", what=[1, "two"]).get() == [1, "two"]
    (row,) = m.query(f"spec({plain}, _, Text, _)")
    assert row["Text"] == '{"what":[1,"two"]}'
    assert m.deploy_actor(Keeper, pickled, "n2", what=(1, {2})).get() == (1, {2})
    assert m.ask(pickled, "get", plain=True) == [1, [2]]


def make_speaker(word: str) -> type[Actor]:
    class Speaker(Actor):
        @action
        def say(self) -> str:
            return word

    return Speaker


def test_a_class_is_declared_once_and_anew_when_it_has_changed(m: BlockingMaster) -> None:
    old, new = make_speaker("old"), make_speaker("new")
    first = m.deploy_actor(old, fresh("s"), "n1")
    (bundle,) = m.query("factory(speaker, B)")
    second = m.deploy_actor(old, fresh("s"), "n2")
    assert m.query("factory(speaker, B)") == [bundle]
    third = m.deploy_actor(new, fresh("s"), "n1")
    assert m.query("factory(speaker, B)") != [bundle]
    assert [first.say(), second.say(), third.say()] == ["old", "old", "new"]


def test_a_bundle_longer_than_a_part_is_shipped_whole(m: BlockingMaster) -> None:
    long = "".join(map(str, range(400_000)))  # 2.3 MB

    class Bulky(Actor):
        @action
        def size(self) -> int:
            return len(long)

    assert m.deploy_actor(Bulky, fresh("b"), "n2").size() == len(long)


def test_what_an_action_raises_comes_back_with_its_traceback(m: BlockingMaster) -> None:
    class Broken(Actor):
        @action
        def fall(self) -> None:
            raise KeyError("over")

    name = fresh("x")
    with pytest.raises(RemoteActionError) as caught:
        m.deploy_actor(Broken, name, "n2").fall()
    error = caught.value
    assert (error.remote_type, error.node, error.actor, error.action) == (
        "KeyError",
        "n2",
        name,
        "fall",
    )
    assert 'raise KeyError("over")' in error.traceback


def test_what_a_function_raises_that_was_an_argument_is_told_with_file_and_line(
    m: BlockingMaster,
) -> None:
    class Runner(Actor):
        @action
        def run(self, function: Callable[[int], float]) -> float:
            return function(0)

    runner = m.deploy_actor(Runner, fresh("r"), "n2")
    with pytest.raises(RemoteActionError) as caught:
        runner.run(lambda number: 1 / number)
    trace = caught.value.traceback
    line = inspect.currentframe().f_lineno - 2  # type: ignore[union-attr]  # CPython has frames
    assert f'File "{__file__}", line {line}, in <lambda>' in trace
    assert "runner.run(lambda number: 1 / number)" in trace
    assert "return function(0)" in trace


def test_a_constructor_that_raises_is_told_and_leaves_nothing(m: BlockingMaster) -> None:
    class Stillborn(Actor):
        def __init__(self) -> None:
            raise ValueError("not today")

    name = fresh("x")
    with pytest.raises(RemoteActionError, match="not today"):
        m.deploy_actor(Stillborn, name, "n1")
    assert m.query(f"actor({name}, _, _)") == []


def test_wrong_names_are_told_by_their_errors(m: BlockingMaster) -> None:
    name = fresh("c")
    m.deploy_actor(Counter, name, "n1")
    with pytest.raises(AlreadyExists, match=name):
        m.deploy_actor(Counter, name, "n2")
    with pytest.raises(NoSuchActor, match="nobody"):
        m.ask("nobody", "count")
    with pytest.raises(NoSuchThing, match="n9"):
        m.deploy_actor(Counter, fresh("c"), "n9")
    with pytest.raises(ZactorError, match="no action 'fly'"):
        m.ask(name, "fly")
    with pytest.raises(ConfigError, match="service level"):
        m.react_interaction(name, name, "inc", service="urgent")


def test_an_ask_ends_when_its_time_is_over(m: BlockingMaster) -> None:
    class Sleeper(Actor):
        @action
        async def sleep(self) -> None:
            await asyncio.sleep(60)

    name = fresh("s")
    ref = m.deploy_actor(Sleeper, name, "n2")
    with pytest.raises(TimedOut):
        m.ask(name, "sleep", timeout=0.1)
    with pytest.raises(TimedOut):
        ref.sleep.opts(timeout=0.1)()
    m.destroy_actor(name, drain=0)


def test_wait_ends_when_the_goal_becomes_true_and_not_before(
    m: BlockingMaster, cluster: BlockingCluster
) -> None:
    name = fresh("c")
    with pytest.raises(TimedOut, match=name):
        m.wait(f"actor({name}, _, _)", 0.1)

    async def story() -> None:
        async with connect(home=cluster.home) as other:
            waiting = asyncio.ensure_future(other.wait(f"actor({name}, counter, Where)", 10))
            await asyncio.to_thread(m.deploy_actor, Counter, name, "n2")
            assert await waiting == [{"Where": "n2"}]

    asyncio.run(story())


def test_listings_have_the_columns_that_the_interface_names(m: BlockingMaster) -> None:
    c, g = fresh("c"), fresh("g")
    m.deploy_actor(Counter, c, "n1")
    m.deploy_actor(Gui, g, "n2")
    m.react_interaction(c, g, "inc")
    rows = {
        "nodes": (m.nodes(), "name role state address incarnation actors clock since"),
        "actors": (m.actors(), "name type node state reason bundle uid since"),
        "wires": (m.wires(), "emitter action reactor service state since"),
        "factories": (m.factories(), "type bundle"),
        "facts": (m.facts(), "fact functor args clock"),
        "log": (m.log(), "clock who why at asserted retracted"),
        "doctor": (m.doctor(), "check ok detail"),
    }
    for what, (listing, columns) in rows.items():
        assert listing, what
        assert set(columns.split()) <= set(listing[0]), what
    assert {"c", "g"} <= {str(row["name"])[:1] for row in m.actors()}
    wire = {"emitter": g, "action": "inc", "reactor": c, "service": "fifo", "state": "up"}
    assert any(wire.items() <= row.items() for row in m.wires())
    assert m.status()["nodes"] == 3
    assert {row["name"] for row in m.nodes()} == {"n1", "n2", "m1"}


def test_events_tell_what_happened_and_go_on_with_what_happens(
    m: BlockingMaster, cluster: BlockingCluster
) -> None:
    told = [(event["node"], event["number"]) for event in m.events()]
    assert {node for node, _ in told} == {"n1", "n2", "m1"}
    of_n1 = [number for node, number in told if node == "n1"]
    assert of_n1 == sorted(of_n1)
    name = fresh("c")

    async def story() -> str:
        async with connect(home=cluster.home) as other:
            deployed = asyncio.ensure_future(asyncio.to_thread(m.deploy_actor, Counter, name, "n1"))
            async for event in other.events(follow=True):
                if name in str(event):
                    await deployed
                    return str(event["event"])
        raise AssertionError("the events have ended")

    assert asyncio.run(asyncio.wait_for(story(), 10))


def test_signals_and_state_of_a_ref_are_checked_against_its_class(m: BlockingMaster) -> None:
    class Source(Actor):
        out = signal(int)

        @action
        def go(self) -> None:
            self.out.emit(1)

    ref = m.deploy_actor(Source, fresh("s"), "n1")
    assert ref.go() is None
    with pytest.raises(AttributeError, match="no action 'gone'"):
        ref.gone()


@pytest.mark.slow
def test_thousands_of_asks_at_once_all_end_soon(cluster: BlockingCluster) -> None:
    async def story() -> None:
        async with connect(home=cluster.home) as m:
            for _ in range(5):  # a node that misses a wake-up now and then is found in some round
                ref = await m.deploy_actor(Counter, fresh("c"), "n2")
                asks = asyncio.gather(*(ref.inc() for _ in range(1000)))
                assert sorted(await asyncio.wait_for(asks, 5)) == list(range(1, 1001))

    asyncio.run(story())
