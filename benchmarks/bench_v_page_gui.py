"""Row V: `inc` pressed in one browser until its number shows in another (budget: 200 ms, always).

Demo 1 on two nodes: Gui g1 in one browser, g2 in the other, each alone on its screen, pressed in
turn. Both ends are noted by the pages themselves. Raw is the same without browsers: from a signal
that a client has g1 emit until the panel of g2 tells another client of the number.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from pathlib import Path
from statistics import median

from _common import report
from _page import opened_browsers, served

from zactor import BlockingCluster, connect, local
from zactor.client.panel import ActorPanel
from zactor.demos import demo1

NOTE_PRESS = """name => {
    window.pressed = 0;
    document.querySelector(`[data-press='${name}.inc']`).addEventListener(
        'click', () => { window.pressed = Date.now(); }, { capture: true });
}"""
NOTE_NUMBER = """name => {
    window.shown = {};
    const number = document.querySelector(`[data-shows='${name}.number'] span`);
    new MutationObserver(() => { window.shown[number.textContent] = Date.now(); })
        .observe(number, { childList: true, characterData: true, subtree: true });
}"""


async def bare_ms(cluster: BlockingCluster, times: int) -> list[float]:
    """How long it takes without browsers."""
    taken = []
    async with connect(home=cluster.home) as m:
        panel = ActorPanel(m, "g2")
        await panel.look(5.0)
        for _ in range(times):
            before, began = panel.values["number"], time.monotonic()
            await m.send_signal("g1", "inc")
            while panel.values["number"] == before:
                await panel.look(5.0)
            taken.append((time.monotonic() - began) * 1000)
    return taken


def main() -> None:
    """Print the row with the whole distribution."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--presses", type=int, default=100)
    options = parser.parse_args()
    with local(nodes=2) as cluster, served(cluster.home) as site:
        m = cluster.master
        for kind in ("gui", "counter"):
            m.declare_factory(kind, Path(demo1.__file__).with_name(f"{kind}.py"))
        for kind, name, node in (("gui", "g1", "n1"), ("counter", "c1", "n1"), ("gui", "g2", "n2")):
            m.deploy_actor(kind, name, node)
        for gui in ("g1", "g2"):
            m.react_interaction("c1", gui, "inc")
            m.react_interaction(gui, "c1", "updateVal")
        raw = median(asyncio.run(bare_ms(cluster, 20)))
        with opened_browsers(2) as browsers:
            pages = []
            for browser, name in zip(browsers, ("g1", "g2"), strict=True):
                page = browser.new_page()
                page.goto(site.link(f"panel/{name}"))
                page.wait_for_selector(f"[data-press='{name}.inc']")
                page.evaluate(NOTE_PRESS, name)
                page.evaluate(NOTE_NUMBER, name)
                pages.append((page, name))
            first, taken = m.ask("c1", "count"), []
            for number in range(1, options.presses + 1):
                (page, name), (watcher, _) = pages if number % 2 else pages[::-1]
                page.click(f"[data-press='{name}.inc']")
                wanted = str(first + number)
                watcher.wait_for_function("n => window.shown[n] > 0", arg=wanted)
                shown = watcher.evaluate("n => window.shown[n]", wanted)
                taken.append(shown - page.evaluate("window.pressed"))
        taken.sort()
        report(
            "V inc in two browsers",
            median(taken),
            "ms p50",
            raw,
            p90=taken[len(taken) * 9 // 10],
            most=taken[-1],
            over_200_ms=sum(each > 200 for each in taken),
            all_ms=taken,
            load=round(os.getloadavg()[0], 1),
        )


if __name__ == "__main__":
    main()
