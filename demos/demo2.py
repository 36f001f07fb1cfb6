"""The node of c1 fails, and the rest goes on with clean references: demo 2.

n1 hosts c1, n2 hosts g1 and c2, n3 hosts g2. g1, g2 -> c1 -> g2, and beside it g1 -> c2 -> g2.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zactor import BlockingCluster, BlockingMaster, NoSuchActor, connect
from zactor.demos.story import Story, check_no_arguments, run_demo

TITLE = "Demo 2: the machine of c1 fails"

DEAD = (
    "node(n1, _)",
    "incarnation(n1, _)",
    "actor(c1, _, _)",
    "spec(c1, _, _, _)",
    "state(c1, _, _)",
    "reacts(c1, _, _, _)",
    "reacts(_, c1, _, _)",
)
"""What no knowledge base may say any more once n1 is gone."""


def run(argv: Sequence[str] = ()) -> int:
    """Run it; return 0 if it showed what it should."""
    check_no_arguments("demo 2", argv)
    return run_demo(tell, TITLE, nodes=3)


def tell(cluster: BlockingCluster, story: Story) -> None:
    """Tell it, on a cluster with nodes n1, n2 and n3."""
    m = cluster.master
    story.part("the console deploys and connects")
    story.script(cluster, Path(__file__).with_suffix(".zs"))
    m.send_signal("g1", "inc")
    story.check(
        "a press at g1: c1 and c2 count 1",
        lambda: m.ask("c1", "count") == m.ask("c2", "count") == 1,
    )

    story.part("n1 fails: kill -9")
    with contextlib.ExitStack() as stack:
        survivors = {
            name: stack.enter_context(connect(cluster.processes.endpoints()[name], cluster.home))
            for name in ("n2", "n3", "m1")
        }
        began = time.monotonic()
        cluster.kill("n1")
        for name, survivor in survivors.items():
            story.check(
                f"the knowledge base of {name} has no n1, no c1 and none of its wires",
                functools.partial(_is_clean, survivor),
            )
        story.done(f"that took {(time.monotonic() - began) * 1000:.0f} ms from the kill on")
    story.check("nobody can reach c1", lambda: _is_gone(m, "c1"))

    story.part("the rest goes on")
    m.send_signal("g1", "inc")
    story.check("a press at g1: c2 counts 2", lambda: m.ask("c2", "count") == 2)
    story.check("and g2 shows 2", lambda: m.ask("g2", "shown") == 2)
    story.check(
        "of the wires, those without c1 are left, and no others",
        lambda: (
            sorted(
                (wire["emitter"], wire["action"], wire["reactor"])
                for wire in m.wires()
                if wire["state"] == "up"
            )
            == [("c2", "updateVal", "g2"), ("g1", "inc", "c2")]
        ),
    )

    story.part("n1 comes back, as a new incarnation, with nothing on it")
    cluster.start("n1")
    story.check("n1 is a node again", lambda: bool(m.query("node(n1, _)")))
    story.check("it knows the others' actors", lambda: _knows(cluster, "n1", "actor(c2, _, n2)"))
    m.deploy_actor("counter", "c1", "n1", start=10)
    story.done("deployActor(counter, c1, n1, [start=10])")
    m.react_interaction("c1", "g1", "inc")
    story.done("remoteReactInteraction(c1, g1, inc)")
    m.send_signal("g1", "inc")
    story.check("a press at g1: the new c1 counts 11", lambda: m.ask("c1", "count") == 11)
    story.check("c2 has noticed nothing: it counts 3", lambda: m.ask("c2", "count") == 3)


def _is_clean(node: BlockingMaster) -> bool:
    return not any(node.query(goal) for goal in DEAD)


def _is_gone(m: BlockingMaster, name: str) -> bool:
    try:
        m.ask(name, "count")
    except NoSuchActor:
        return True
    return False


def _knows(cluster: BlockingCluster, name: str, goal: str) -> bool:
    with connect(cluster.processes.endpoints()[name], cluster.home) as node:
        return bool(node.query(goal))


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
