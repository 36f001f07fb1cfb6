"""Deploy three actors on two machines and connect them: demo 1.

n1 hosts g1 and c1, n2 hosts g2. g1, g2 -> c1: a press of either button counts. c1 -> g2: g2
shows it.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from zactor import BlockingCluster, BlockingMaster, local
from zactor.demos.story import Story, check_no_arguments, run_demo

LOOK_S = 1.0  # between two looks at whether the page has ended
TITLE = "Demo 1: a network of actors over two machines"


def run(argv: Sequence[str] = ()) -> int:
    """Run it; return 0 if it showed what it should. With `--web` it is played on the page."""
    if list(argv) == ["--web"]:
        return play()
    check_no_arguments("demo 1", argv)
    return run_demo(tell, TITLE, nodes=2)


def play() -> int:
    """Serve the page of such a network until Ctrl-C: press `inc` there, in two windows."""
    with local(nodes=2) as cluster, contextlib.suppress(KeyboardInterrupt):
        Story(TITLE).script(cluster, Path(__file__).with_suffix(".zs"))
        cluster.master.react_interaction("g1", "c1", "updateVal")
        print("   the panels alone: /panel/g1 and /panel/g2 of this page", flush=True)
        words = [sys.executable, "-m", "zactor", "web", "--home", os.fspath(cluster.home)]
        page = subprocess.Popen(words)  # it stops with Ctrl-C, as this does
        while page.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                page.wait(LOOK_S)
        return page.returncode
    return 0


def tell(cluster: BlockingCluster, story: Story) -> None:
    """Tell it, on a cluster with nodes n1 and n2."""
    m = cluster.master
    story.part("the console ships code that the nodes don't have, deploys and connects")
    story.script(cluster, Path(__file__).with_suffix(".zs"))

    story.part("g1 and c1 are on one machine: the button of g1 counts")
    for _ in range(2):
        m.send_signal("g1", "inc")
    story.check("2 presses at g1: c1 counts 2", lambda: m.ask("c1", "count") == 2)

    story.part("g2 is on the other machine: its button counts too")
    for _ in range(3):
        m.send_signal("g2", "inc")
    story.check("3 presses at g2: c1 counts 5", lambda: m.ask("c1", "count") == 5)

    story.part("c1 tells g2, and nobody else")
    story.check("g2 shows 5", lambda: m.ask("g2", "shown") == 5)
    shown = ["g2 | 1", "g2 | 2", "g2 | 3", "g2 | 4", "g2 | 5"]
    story.check(
        "the terminal of n2 has shown 1 2 3 4 5, each once and in order",
        lambda: [line for line in cluster.output("n2").splitlines() if " | " in line] == shown,
    )
    story.check("g1 is not connected to c1: it shows nothing", lambda: _shown(m, "g1") is None)

    story.part("the wires can be changed while all of it runs")
    m.react_interaction("g1", "c1", "updateVal")
    story.done("remoteReactInteraction(g1, c1, updateVal)")
    m.remove_interaction("c1", "g2", "inc")
    story.done("removeInteraction(c1, g2, inc)")
    m.send_signal("g2", "inc")
    m.send_signal("g1", "inc")
    story.check(
        "a press at g2 goes nowhere, one at g1 counts: g1 shows 6", lambda: _shown(m, "g1") == 6
    )
    story.check("g2 shows 6 as well", lambda: _shown(m, "g2") == 6)


def _shown(m: BlockingMaster, name: str) -> object:
    return m.ask(name, "shown")


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
