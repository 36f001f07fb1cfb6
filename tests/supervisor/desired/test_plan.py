"""The plan: rows of each kind, what it requires, and that nothing is due once it was applied."""

from __future__ import annotations

import msgspec
import pytest
from desired_world import CODE, NEW_CODE, DesiredWorld, actor, lines, wire, wish

from zactor.kernel.errors import ConfigError, Refused
from zactor.supervisor.desired.export import export
from zactor.supervisor.desired.plan import Plan
from zactor.supervisor.desired.undo import inverse
from zactor.supervisor.kb import facts, orders
from zactor.supervisor.kb.fact_patterns import actor_patterns
from zactor.supervisor.kb.wishes import Wish, WishedGroup

LAB = wish(
    actor("c1"),
    actor("c2", "n2", arguments='{"start":40}'),
    actor("g1", "n3", "n1", restart="permanent"),
    wire("g1.inc -> c1"),
    wire("c1.val -> g1", "agreed"),
    wire("c2.val -> g1"),
)


@pytest.fixture
def world() -> DesiredWorld:
    return DesiredWorld()


@pytest.fixture
def applied(world: DesiredWorld) -> DesiredWorld:
    world.apply(LAB)
    return world


def detail(plan: Plan, name: str) -> str:
    return next(row.detail for row in plan.rows if row.name == name and row.sign != "=")


# -- from nothing ----------------------------------------------------------------------------
def test_from_nothing_all_is_added_in_one_transaction(world: DesiredWorld) -> None:
    plan = world.plan(LAB)
    assert lines(plan) == [
        "+ type counter",
        *(f"+ actor {name}" for name in ("c1", "c2", "g1")),
        *(f"+ wire {each}" for each in ("c1.val -> g1", "c2.val -> g1", "g1.inc -> c1")),
    ]
    world.commit(plan.transaction)
    texts = world.texts()
    assert 'policy(g1,permanent,"3 in 10s",2.0,[n3,n1])' in texts
    assert "owned(lab,actor(c1))" in texts
    assert "owned(lab,reacts(g1,c1,val))" in texts
    assert [text for text in texts if text.startswith("wish(lab,") and text.endswith(",keep)")]
    assert set(plan.starts) == {"c1", "c2", "g1"}
    begun = {(new.node, new.type, new.bundle) for new in plan.successors}
    assert begun == {(node, "counter", CODE) for node in ("n1", "n2", "n3")}


def test_what_a_wire_does_meanwhile_is_a_fact_beside_it(applied: DesiredWorld) -> None:
    held = wish(
        *LAB.actors,
        wire("g1.inc -> c1", meanwhile="hold 7"),
        wire("c1.val -> g1", "agreed"),
        wire("c2.val -> g1", meanwhile="block"),
    )
    plan = applied.plan(held)
    assert lines(plan) == ["~ wire c2.val -> g1", "~ wire g1.inc -> c1"]
    assert detail(plan, "g1.inc -> c1") == "fifo -> fifo hold 7"
    assert not plan.starts
    applied.apply(held)
    assert "meanwhile(c1,g1,inc,hold(7))" in applied.texts()
    assert "meanwhile(g1,c2,val,block)" in applied.texts()
    assert not lines(applied.plan(held))
    stale = applied.plan(LAB)
    applied.do(retract=["meanwhile(c1, g1, inc, _)"], assert_=["meanwhile(c1, g1, inc, hold(8))"])
    with pytest.raises(Refused, match="changed meanwhile"):
        applied.commit(stale.transaction)
    applied.apply(LAB)
    assert not [text for text in applied.texts() if text.startswith("meanwhile(")]
    applied.apply(held)
    applied.apply(wish(*LAB.actors))
    assert not [text for text in applied.texts() if text.startswith("meanwhile(")]


def test_a_group_is_a_fact_that_restarts_nothing(applied: DesiredWorld) -> None:
    grouped = msgspec.structs.replace(
        LAB, groups=(WishedGroup(name="line", actors=("c2", "c1"), strategy="one_for_all"),)
    )
    plan = applied.apply(grouped)
    assert lines(plan) == ["+ group line"]
    assert not plan.starts
    assert 'together(lab,line,one_for_all,"3 in 10s",[c2,c1])' in applied.texts()
    assert not lines(applied.plan(grouped))
    other = msgspec.structs.replace(
        LAB, groups=(WishedGroup(name="line", actors=("c1", "c2"), strategy="rest_for_one"),)
    )
    assert lines(applied.apply(other)) == ["~ group line"]
    assert export(applied.theory, "lab")[0].groups == other.groups
    assert lines(applied.apply(LAB)) == ["- group line"]
    assert not [text for text in applied.texts() if text.startswith("together(")]
    for members in (("c1", "c9"), ("c1", "c1"), ()):
        group = WishedGroup(name="x", actors=members)
        with pytest.raises(ConfigError):
            applied.plan(msgspec.structs.replace(LAB, groups=(group,)))


@pytest.mark.parametrize(
    ("service", "meanwhile"), [("agreed", "hold 5"), ("fifo", "hold"), ("fifo", "hold 0")]
)
def test_a_wire_that_cant_wait_so_is_refused(
    world: DesiredWorld, service: str, meanwhile: str
) -> None:
    with pytest.raises(ConfigError):
        world.plan(wish(*LAB.actors, wire("g1.inc -> c1", service, meanwhile)))


def test_applied_twice_nothing_is_due(applied: DesiredWorld) -> None:
    plan = applied.plan(LAB)
    assert not lines(plan)
    assert plan.transaction.is_empty
    assert not plan.differs
    assert plan.same == 7


def test_a_large_one_is_one_transaction_too() -> None:
    world = DesiredWorld([f"n{number}" for number in range(1, 6)])
    actors = [actor(f"a{number}", f"n{number % 5 + 1}") for number in range(400)]
    wires = [wire(f"a{number}.out -> a{(number * 7 + 1) % 400}") for number in range(400)]
    large = wish(*actors, *wires)
    world.apply(large)
    assert world.plan(large).transaction.is_empty
    assert len(facts.actors(world.theory)) == 400


# -- changes ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"arguments": '{"start":41}'}, "start 40 -> 41"),
        ({"on": ("n1",)}, "node n2 -> n1"),
    ],
)
def test_what_forces_a_restart_says_so_and_wires_stay(
    applied: DesiredWorld, given: dict[str, object], said: str
) -> None:
    fields: dict[str, object] = {"arguments": '{"start":40}', "on": ("n2",), **given}
    on = fields.pop("on")
    changed = wish(
        *(each for each in (*LAB.actors, *LAB.wires) if getattr(each, "name", "") != "c2"),
        actor("c2", *on, **fields),  # type: ignore[misc]
    )
    plan = applied.plan(changed)
    assert lines(plan) == ["~ actor c2"]
    assert said in detail(plan, "c2")
    assert "it restarts, its wire stays" in detail(plan, "c2")
    before = facts.wires(applied.theory)
    applied.apply(changed)
    row = facts.actor(applied.theory, "c2")
    assert row is not None
    assert row.arguments == fields["arguments"]
    assert row.node in on
    assert facts.wires(applied.theory) == before
    assert applied.plan(changed).transaction.is_empty


def test_new_code_restarts_each_actor_of_its_type_and_the_same_hash_none(
    applied: DesiredWorld,
) -> None:
    plan = applied.plan(wish(*LAB.actors, *LAB.wires, code=NEW_CODE))
    assert lines(plan) == ["~ type counter", *(f"~ actor {n}" for n in ("c1", "c2", "g1"))]
    assert not lines(applied.plan(wish(*LAB.actors, *LAB.wires, code=CODE)))


@pytest.mark.parametrize(
    "given",
    [{"restart": "temporary"}, {"intensity": "5 in 60s"}, {"drain_s": 9.0}],
)
def test_a_policy_and_a_service_restart_nothing(
    applied: DesiredWorld, given: dict[str, object]
) -> None:
    changed = wish(
        actor("c1", **given), *LAB.actors[1:], wire("g1.inc -> c1", "safe"), *LAB.wires[1:]
    )
    plan = applied.plan(changed)
    assert lines(plan) == ["~ actor c1", "~ wire g1.inc -> c1"]
    assert not plan.starts
    assert not plan.stops
    assert "restarts" not in detail(plan, "c1")
    applied.apply(changed)
    assert applied.plan(changed).transaction.is_empty


def test_on_a_later_node_of_its_list_it_stays(applied: DesiredWorld) -> None:
    moved = wish(actor("c1", "n2", "n1"), *LAB.actors[1:], *LAB.wires)
    assert not applied.plan(moved).starts


def test_one_that_failed_is_started_anew_at_once(applied: DesiredWorld) -> None:
    applied.set_state("c1", "failed", "ModuleNotFoundError: gpiozero")
    plan = applied.plan(LAB)
    assert lines(plan) == ["~ actor c1"]
    assert "gpiozero" in detail(plan, "c1")
    assert not any("next(" in text for text in plan.transaction.assert_)
    applied.apply(LAB)
    assert applied.plan(LAB).transaction.is_empty


def test_who_was_wanted_before_is_not_taken_back(applied: DesiredWorld) -> None:
    applied.set_state("c1", "failed", "it raised")
    again = applied.commit(applied.plan(LAB).transaction)
    with pytest.raises(Refused, match="there is nothing to take back"):
        inverse(again)


def test_ten_changed_lines_are_ten_rows_and_one_transaction(world: DesiredWorld) -> None:
    def lab(by: int) -> list:  # type: ignore[type-arg]
        return [actor(f"a{n}", arguments=f'{{"n":{n + by if n < 10 else n}}}') for n in range(40)]

    world.apply(wish(*lab(0)))
    plan = world.plan(wish(*lab(1)))
    assert lines(plan) == [f"~ actor a{number}" for number in range(10)]


# -- removing --------------------------------------------------------------------------------
def test_what_the_file_made_and_names_no_more_goes_with_its_wires(applied: DesiredWorld) -> None:
    smaller = wish(actor("c1"), LAB.actors[2], wire("g1.inc -> c1"), wire("c1.val -> g1", "agreed"))
    plan = applied.plan(smaller)
    assert lines(plan) == ["- actor c2", "- wire c2.val -> g1"]
    assert "goes with c2" in detail(plan, "c2.val -> g1")
    applied.apply(smaller)
    assert facts.actor(applied.theory, "c2") is None
    assert not any("c2" in text for text in applied.texts() if not text.startswith("wished"))
    assert applied.plan(smaller).transaction.is_empty


def test_no_prune_leaves_them_and_says_so(applied: DesiredWorld) -> None:
    smaller = wish(
        *LAB.actors[:2],
        *(each for each in LAB.wires if "g1" not in (each.emitter,) and each.reactor != "g1"),
    )
    plan = applied.plan(smaller, prune=False)
    assert "! actor g1" in lines(plan)
    assert not plan.stops
    assert not any(line.startswith("-") for line in lines(plan))


def test_more_than_half_of_four_needs_a_word(world: DesiredWorld) -> None:
    names = ("a1", "a2", "a3", "a4")
    world.apply(wish(*map(actor, names)))
    with pytest.raises(Refused, match=r"3 of the 4 actors .* --remove-all"):
        world.plan(wish(actor("a1")))
    with pytest.raises(Refused, match="remove-all"):
        world.plan(wish())
    assert len(world.plan(wish(), remove_all=True).stops) == 4
    assert len(world.plan(wish(actor("a1"), actor("a2"))).stops) == 2  # half is not more


def test_a_type_goes_with_its_last_actor(applied: DesiredWorld) -> None:
    nothing = Wish(name="lab")
    plan = applied.apply(nothing, remove_all=True)
    assert "- type counter" in lines(plan)
    assert not facts.factories(applied.theory)
    assert not any(text.startswith("owned(") for text in applied.texts())


# -- what isn't this file's ------------------------------------------------------------------
def test_what_was_made_by_hand_is_left_alone_and_told(applied: DesiredWorld) -> None:
    applied.deploy("r9")
    plan = applied.plan(LAB)
    assert lines(plan) == ["! actor r9"]
    assert "by hand by bob@m1" in detail(plan, "r9")
    assert not plan.differs
    assert plan.transaction.is_empty


def test_by_hand_and_different_it_is_left_alone_unless_adopted(world: DesiredWorld) -> None:
    world.deploy("c1", arguments='{"start":1}')
    mine = wish(actor("c1", arguments='{"start":2}'))
    plan = world.plan(mine)
    assert lines(plan) == ["+ type counter", "! actor c1"]
    assert plan.differs
    assert not plan.starts
    assert lines(world.plan(mine, adopt=True)) == ["+ type counter", "~ actor c1"]
    world.apply(mine, adopt=True)
    assert world.plan(mine).transaction.is_empty


def test_two_files_share_a_network_and_claim_no_name_twice(applied: DesiredWorld) -> None:
    applied.apply(wish(actor("d1"), name="other"))
    assert not lines(applied.plan(LAB))
    with pytest.raises(Refused, match="actor c1 is claimed by two files, lab and other"):
        applied.plan(wish(actor("d1"), actor("c1"), name="other"))
    with pytest.raises(Refused, match="type counter is claimed by two files"):
        applied.plan(wish(actor("d1"), name="other", code=NEW_CODE))


def test_what_a_person_destroyed_is_wanted_again_at_the_next_apply_only(
    applied: DesiredWorld,
) -> None:
    applied.set_state("c2", "stopping")
    applied.settle()
    plan = applied.plan(LAB)
    assert lines(plan) == ["+ actor c2", "+ wire c2.val -> g1"]
    applied.apply(LAB)
    assert applied.plan(LAB).transaction.is_empty


def test_a_change_is_made_while_another_actor_waits_for_its_node(applied: DesiredWorld) -> None:
    lose(applied, "c1", "n1")
    more = wish(*LAB.actors, actor("c9", "n2"), *LAB.wires, wire("c9.out -> c1"))
    plan = applied.plan(more)
    assert lines(plan) == ["! actor c1", "+ actor c9", "+ wire c9.out -> c1"]
    assert "back when n1 is there" in detail(plan, "c1")
    assert plan.differs
    applied.apply(more)
    assert orders.lost(applied.theory, "c1") is not None
    assert "c9" in {row.emitter for row, _ in orders.down(applied.theory)}  # up when both run
    assert lines(applied.plan(more)) == ["! actor c1"]
    other = wish(actor("c1", arguments='{"start":7}'), *LAB.actors[1:], *LAB.wires)
    assert "x actor c1" in lines(applied.plan(other))  # who is to be another can't be made there


def lose(world: DesiredWorld, name: str, node: str) -> None:
    """A node goes, and is the only one of an actor."""
    row = facts.actor(world.theory, name)
    assert row is not None
    wires = [*facts.wires(world.theory, reactor=name), *facts.wires(world.theory, emitter=name)]
    world.do(
        retract=[
            *actor_patterns(name),
            *(orders.wire_fact("reacts", each) for each in wires),
            f"node({node}, _)",
            f"incarnation({node}, _)",
        ],
        assert_=[
            *orders.lost_facts(row, 1, f"{node} is silent"),
            *(orders.wire_fact("down", each) for each in wires),
        ],
    )


# -- what can't be done ----------------------------------------------------------------------
def test_what_can_not_be_done_is_a_row(world: DesiredWorld) -> None:
    unknown = wish(
        actor("c1", "n9"), actor("c2", type="gauge"), actor("c3"), wire("c3.out -> nobody")
    )
    plan = world.plan(unknown)
    assert lines(plan, "x") == ["x actor c1", "x actor c2", "x wire c3.out -> nobody"]
    assert "no node n9 (there are: n1, n2, n3)" in detail(plan, "c1")


@pytest.mark.parametrize(
    ("twice", "words"),
    [
        ((actor("c1"), actor("c1", "n2")), "actor c1 stands there twice"),
        ((actor("c1"), wire("c1.a -> c1"), wire("c1.a -> c1", "safe")), "stands there twice"),
        ((actor("c 1"),), "c 1"),
        ((actor("c1", intensity="often"),), "no intensity"),
        ((actor("c1", restart="always"),), "no restart"),
        ((actor("c1", drain_s=-1.0),), "drains for"),
    ],
)
def test_a_wish_that_contradicts_itself_is_refused(
    world: DesiredWorld,
    twice: tuple,
    words: str,  # type: ignore[type-arg]
) -> None:
    with pytest.raises(ConfigError, match=words):
        world.plan(wish(*twice))
