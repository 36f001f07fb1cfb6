"""supervisor/operations/descriptions.py: what is told of an actor, and how it is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from desired_world import CODE, NEW_CODE, DesiredWorld

from zactor.commands.code_commands import say_description
from zactor.kernel.actors.contract import Contract
from zactor.supervisor.kb import facts
from zactor.supervisor.operations.descriptions import describe

READ = Contract(
    class_name="Counter",
    constructor="Counter(start=0)",
    actions=["inc(by=1) -> int"],
    signals=["updateVal(int)"],
)


def told(*more: str, unreadable: str = "", arguments: str = '{"start": 5}') -> dict[str, Any]:
    world = DesiredWorld()
    world.do(
        assert_=[
            "actor(c1, counter, n1)",
            f"spec(c1, '{CODE}', '{arguments}', d1)",
            "state(c1, running, '')",
            *more,
        ]
    )
    row = facts.actor(world.theory, "c1")
    assert row is not None
    contract = Contract() if unreadable else READ
    found = msgspec.to_builtins(describe(world.theory, row, contract, unreadable))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    ("factories", "age", "said"),
    [
        ([f"factory(counter, '{CODE}')"], "current", ", current"),
        ([f"factory(counter, '{NEW_CODE}')"], "old", ", old: counter is sha256:bbbbbbbbbbbb now"),
        ([f"factory(gui, '{CODE}')"], "undeclared", ", and there is no factory for counter any"),
    ],
)
def test_code_is_as_old_as_its_factory_makes_it(factories: list[str], age: str, said: str) -> None:
    found = told(*factories)
    assert found["code"] == age
    assert f"code: sha256:aaaaaaaaaaaa{said}" in say_description(found)


def test_wires_are_told_in_and_out_those_that_are_down_too() -> None:
    found = told(
        "reacts(c1, g1, inc, fifo)",
        "reacts(c1, c1, updateVal, agreed)",
        "down(g1, c1, updateVal, fifo)",
        "reacts(g1, g2, inc, fifo)",
    )
    assert [(wire["emitter"], wire["action"]) for wire in found["wires_in"]] == [
        ("c1", "updateVal"),
        ("g1", "inc"),
    ]
    assert [(wire["reactor"], wire["state"]) for wire in found["wires_out"]] == [
        ("c1", "up"),
        ("g1", "down"),
    ]
    assert "  c1.updateVal -> g1 (fifo), down\n" in f"{say_description(found)}\n"


def test_restarts_are_told_and_nothing_is_made_up_where_a_class_cannot_be_read() -> None:
    policy = "policy(c1, permanent, '3 in 10s', 2.0, [n1, n2])"
    found = told(policy, unreadable="ImportError: no\x1b[2J", arguments="pickle:YQ==")
    lines = say_description(found).splitlines()
    assert lines[0] == "c1: counter on n1"
    assert lines[3:] == [
        "arguments: a pickle of 1 bytes",
        "restart: permanent, 3 in 10s, on n1, n2",
        r"its class can't be read: ImportError: no\x1b[2J",
        "wires in: none",
        "wires out: none",
    ]


def test_a_long_argument_is_cut_for_people_only() -> None:
    found = told(arguments=f'{{"text": "{"x" * 500}", "n": 1}}')
    assert len(found["arguments"]["text"]) == 500
    line = say_description(found).splitlines()[3]
    assert line.startswith('arguments: text="xxx')
    assert line.endswith("…, n=1")
    assert len(line) < 100
