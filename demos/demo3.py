"""The master dies while it connects c1 -> g2 (updateVal), the worst case: demo 3.

The place in the operation may be chosen: `zactor demo 3 --list` prints them, `--at PLACE` takes
one. Wherever it is, the change is whole or not there at all, on every node.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zactor import BlockingCluster
from zactor.demos.crashing import all_say_the_same, die_inside, facts, places, read_options
from zactor.demos.story import Story, run_demo

TITLE = "Demo 3: the master dies while it connects c1 -> g2"
LINE = "remoteReactInteraction(g2, c1, updateVal)."
FACT = "reacts(g2,c1,updateVal,fifo)"


def run(argv: Sequence[str] = ()) -> int:
    """Run it; return 0 if it showed what it should."""
    options = read_options("demo 3", argv, table="react", default="react:wire.during")
    if options.shows_list:
        print("\n".join(places("react")))
        return 0
    return run_demo(lambda cluster, story: tell(cluster, story, options.at), TITLE, nodes=2)


def tell(cluster: BlockingCluster, story: Story, at: str) -> None:
    """Tell it, on a cluster with nodes n1 and n2."""
    m = cluster.master
    story.part("the console deploys and connects")
    story.script(cluster, Path(__file__).with_suffix(".zs"))
    m.send_signal("g1", "inc")
    story.check("a press at g1: c1 counts 1", lambda: m.ask("c1", "count") == 1)

    story.part("the console is started again, connects c1 -> g2, and dies in the middle of it")
    die_inside(cluster, story, LINE, at)
    died = time.monotonic()
    m.send_signal("g1", "inc")
    story.check("without a master a press at g1 counts: c1 counts 2", lambda: _count(cluster) == 2)
    story.check("n1 and n2 know the same, and that m1 is gone", lambda: all_say_the_same(cluster))
    story.done(f"that took {(time.monotonic() - died) * 1000:.0f} ms from the death on")
    whole = FACT in facts(cluster, "n1")
    if whole:
        story.done(f"the change is whole: n1 and n2 have {FACT}")
    else:
        story.done(f"the change has not taken place: neither n1 nor n2 has {FACT}")
    reached = m.send_signal("c1", "updateVal", 42)
    story.check("c1 does what its knowledge base says", lambda: reached == whole)
    if whole:
        story.check("g2 shows what c1 sends: 42", lambda: m.ask("g2", "shown") == 42)
    else:
        story.check("g2 shows nothing", lambda: m.ask("g2", "shown") is None)

    story.part("the master comes back")
    cluster.start("m1")
    story.check(
        "it has found n1 and n2 and taken over the newest knowledge base",
        lambda: facts(cluster, "m1") == facts(cluster, "n1") == facts(cluster, "n2"),
    )
    m.react_interaction("g2", "c1", "updateVal")
    story.done(f"{LINE} once more: what is there already does no harm")
    m.send_signal("g2", "inc")
    story.check("a press at g2: c1 counts 3", lambda: _count(cluster) == 3)
    story.check("and g2 shows 3", lambda: m.ask("g2", "shown") == 3)
    story.check(
        "the interaction is there once", lambda: len(m.query("reacts(g2, c1, updateVal, _)")) == 1
    )


def _count(cluster: BlockingCluster) -> object:
    return cluster.master.ask("c1", "count")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
