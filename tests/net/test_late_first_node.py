"""A lab's nodes begin all at once: one that misses the first is started again."""

from __future__ import annotations

from pathlib import Path

import pytest
from lab_world import LabWorld

from zactor.kernel.errors import EXIT_NOT_REACHABLE
from zactor.lab.lab import until
from zactor.lab.topology import counted

pytestmark = [pytest.mark.slow, pytest.mark.limit(240)]


def test_a_node_that_began_before_whom_it_joins_begins_again(
    lab_is_possible: None, home: Path
) -> None:
    world = LabWorld(home)
    world.lab.begin(counted(2), are_started=False)
    try:
        world.lab.obey("start", "n2")
        until(
            "n2 gave up",
            lambda: world.seen(lambda row: row["what"] == "ended" and row["host"] == "n2"),
            60,
        )
        assert world.row("n2")["node"] != f"ended {EXIT_NOT_REACHABLE}"
        world.lab.obey("start", "n1")
        world.lab.wait_formed()
    finally:
        world.lab.close()
