"""c1 is lazy, and the master dies during destroyActor(c1, true): demo 4.

The clause that was written first says what is to be done; a node that watches the master does it.
`--at PLACE` chooses where the master dies, `--list` prints the places, and with `--fail` c1 is no
lazy counter but one that fails while it is destroyed.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from zactor import BlockingCluster
from zactor.demos.crashing import all_say_the_same, die_inside, facts, places, read_options
from zactor.demos.story import Story, run_demo

TITLE = "Demo 4: c1 is lazy, and the master dies while it destroys it"
LINE = "destroyActor(c1, true)."
PRESSES = 6
TODO = "todo(Id, destroy_actor(c1), m1, Who)"
C1 = re.compile(r"\bc1\b")
TODO_S = 3.0  # a dead master's todo is done by then, beside what c1 itself takes


def run(argv: Sequence[str] = ()) -> int:
    """Run it; return 0 if it showed what it should."""
    default = "destroy_todo:finish.during"
    options = read_options("demo 4", argv, table="destroy_todo", default=default, can_fail=True)
    if options.shows_list:
        print("\n".join(places("destroy_todo")))
        return 0
    story = tell_failing if options.fails else tell
    return run_demo(lambda cluster, told: story(cluster, told, options.at), TITLE, nodes=2)


def tell(cluster: BlockingCluster, story: Story, at: str) -> None:
    """Tell it, on a cluster with nodes n1 and n2."""
    m = cluster.master
    _begin(cluster, story, "lazyCounter")
    story.part("the console is started again, destroys c1, and dies in the middle of it")
    m.send_signal("g1", "inc")
    story.check("c1 works on the first press", lambda: m.ask("g2", "shown") == 1)
    for _ in range(PRESSES):
        m.send_signal("g1", "inc")
    story.done(f"{PRESSES} more presses wait in its mailbox")
    die_inside(cluster, story, LINE, at)
    died = time.monotonic()
    if not _begun(cluster):
        _was_not_begun(cluster, story)
        return
    if found := m.query(TODO):
        assignee = str(found[0]["Who"])
        story.check(
            f"the clause is there, and {assignee} watches, not c1's own node",
            lambda: assignee == "n2",
        )
        if m.query("state(c1, stopping, _)"):
            story.done("c1 is still at work")
    else:
        story.done("not seen this time: the clause was kept before it was looked for")
    m.deploy_actor("gui", "g3", "n1")
    story.done("nobody waits for c1: g3 is deployed meanwhile, at the console of another node")
    m.destroy_actor("g3")
    story.check(
        f"c1 has finished all its work: it ends at {PRESSES + 1}",
        lambda: _ends(cluster) == [f"c1 | ends at {PRESSES + 1}"],
    )
    finished = time.monotonic()
    _is_done(cluster, story)
    story.check(
        f"no later than {TODO_S:g} s after that", lambda: time.monotonic() - finished < TODO_S
    )
    story.done(f"that was {time.monotonic() - died:.1f} s after the death of m1")
    _come_back(cluster, story)


def tell_failing(cluster: BlockingCluster, story: Story, at: str) -> None:
    """Tell the variant in which c1 fails while it is destroyed."""
    m = cluster.master
    _begin(cluster, story, "failCounter")
    story.part("the console is started again, destroys c1, and dies; c1 fails in its on_stop")
    die_inside(cluster, story, LINE, at)
    if not _begun(cluster):
        _was_not_begun(cluster, story)
        return
    reason = "on_stop: RuntimeError: c1 fails while it is destroyed, as it was made to"
    story.check("c1 is in a clear state: failed", lambda: bool(m.query("state(c1, failed, _)")))
    story.check("which says why", lambda: _reason(cluster) == reason)
    story.check("the clause is gone", lambda: not m.query(TODO))
    story.check("no reference to c1 is left", lambda: m.wires() == [])
    story.check("`zactor status` tells of it", lambda: f"c1 failed: {reason}" in _troubles(cluster))
    story.check("its on_stop ran once", lambda: len(_ends(cluster)) == 1)
    story.check("n1 and n2 know the same", lambda: all_say_the_same(cluster))
    m.destroy_actor("c1")
    story.done("destroyActor(c1) once more removes what is left of it")
    _is_done(cluster, story)
    _come_back(cluster, story)


def _begin(cluster: BlockingCluster, story: Story, kind: str) -> None:
    m = cluster.master
    story.part(f"the console deploys and connects; c1 is a {kind}")
    story.script(cluster, Path(__file__).with_suffix(".zs"))
    m.deploy_actor(kind, "c1", "n1")
    story.done(f"deployActor({kind}, c1, n1).")
    m.react_interaction("c1", "g1", "inc")
    story.done("remoteReactInteraction(c1, g1, inc).")
    m.react_interaction("g2", "c1", "updateVal")
    story.done("remoteReactInteraction(g2, c1, updateVal).")


def _begun(cluster: BlockingCluster) -> bool:
    return any("destroyActor(c1, true)" in str(row["why"]) for row in cluster.master.log())


def _was_not_begun(cluster: BlockingCluster, story: Story) -> None:
    m = cluster.master
    story.part("m1 died before it had written the clause: nothing may have happened")
    story.check("n1 and n2 know the same", lambda: all_say_the_same(cluster))
    story.check("c1 runs", lambda: bool(m.query("state(c1, running, _)")))
    story.check("its two interactions are there", lambda: len(m.wires()) == 2)
    story.check("its on_stop has not run", lambda: _ends(cluster) == [])


def _is_done(cluster: BlockingCluster, story: Story) -> None:
    m = cluster.master
    story.check("the clause is gone", lambda: not m.query(TODO))
    story.check(
        "no fact mentions c1, on n1 or on n2",
        lambda: (
            not [fact for name in ("n1", "n2") for fact in facts(cluster, name) if C1.search(fact)]
        ),
    )
    story.check("n1 and n2 know the same", lambda: all_say_the_same(cluster))
    story.check("on_stop of c1 ran once", lambda: len(_ends(cluster)) == 1)


def _come_back(cluster: BlockingCluster, story: Story) -> None:
    m = cluster.master
    story.part("the master comes back, and any console may go on")
    cluster.start("m1")
    story.check(
        "it has found n1 and n2 and taken over the newest knowledge base",
        lambda: facts(cluster, "m1") == facts(cluster, "n1") == facts(cluster, "n2"),
    )
    reasons = [row for row in m.why("c1") if "is to finish it" in str(row["why"])]
    story.check("`zactor why c1` tells the whole story", lambda: bool(reasons))
    m.deploy_actor("lazyCounter", "c1", "n2", seconds=0.0)
    story.check("a new c1 counts from 1", lambda: m.ask("c1", "inc") == 1)


def _reason(cluster: BlockingCluster) -> object:
    return next(row["reason"] for row in cluster.master.actors() if row["name"] == "c1")


def _ends(cluster: BlockingCluster) -> list[str]:
    return [line for line in cluster.output("n1").splitlines() if line.startswith("c1 | ends")]


def _troubles(cluster: BlockingCluster) -> str:
    return str(cluster.master.status()["troubles"])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
