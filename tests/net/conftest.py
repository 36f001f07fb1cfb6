"""One lab of three hosts for all tests of a file; healed, and whole again, before each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab_world import LabWorld

from zactor.lab.lab_client import why_not
from zactor.lab.topology import counted


@pytest.fixture(scope="session")
def lab_is_possible() -> None:
    if why := why_not():
        pytest.skip(why)


@pytest.fixture(scope="module")
def lab_of_three(
    lab_is_possible: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabWorld]:
    world = LabWorld(tmp_path_factory.mktemp("lab") / "home")
    world.lab.begin(counted(3))
    try:
        world.lab.wait_formed()
        yield world
    finally:
        world.lab.close()


@pytest.fixture
def world(lab_of_three: LabWorld, home: Path) -> LabWorld:
    lab_of_three.lab.obey("heal")
    for row in lab_of_three.lab.hosts():
        if row["state"] == "off" or row["node"] != "running":
            lab_of_three.lab.obey("start", row["host"])
    lab_of_three.lab.wait_formed()
    return lab_of_three
