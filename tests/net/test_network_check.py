"""`zactor doctor --network` says what the network of a lab does, and nothing of a good one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab_world import LabWorld

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]

NETWORK = ("reach", "round trip", "loss", "packet size", "clock")


def checks(world: LabWorld) -> dict[tuple[str, str], dict[str, Any]]:
    done = world.run("n1", "zactor", "doctor", "--network", "--json")
    assert done.returncode in (0, 3), done.stderr
    rows = json.loads(done.stdout)
    return {(row["node"], row["check"]): row for row in rows if row["check"] in NETWORK}


def test_a_good_network_is_well(world: LabWorld) -> None:
    found = checks(world)
    assert set(found) == {(node, check) for node in ("n1", "n2", "n3") for check in NETWORK}
    assert all(row["ok"] for (_, check), row in found.items() if check != "loss"), found
    assert found["n2", "packet size"]["detail"] == "1500 bytes"
    assert found["n2", "reach"]["detail"].startswith("10.77.0.2:4810 from 10.77.0.1, 0 of 5")


def test_what_is_wrong_is_said_of_each_node(world: LabWorld) -> None:
    world.lab.obey("delay", "40", "n1", "n2")
    world.lab.obey("clock", "n3", "3600")
    found = checks(world)
    assert float(found["n2", "round trip"]["detail"].split()[0]) >= 80
    clock = found["n3", "clock"]
    assert not clock["ok"]
    assert clock["detail"].endswith("ahead of the one here: times of its log can't be compared")
    assert found["n2", "clock"]["ok"]
    world.lab.obey("heal")
    world.lab.obey("cut", "n1", "/", "n3")
    world.until_view("n1", {"n1", "n2"})
    reach = checks(world)["n3", "reach"]
    assert not reach["ok"]
    assert "timed out" in reach["detail"] or "has lost it" in reach["detail"]
    world.lab.obey("heal")
