"""The plan tab in a real browser: a file's text, what it would change, and made so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_world import Site, served, until, window
from playwright.sync_api import Browser, Page, expect

from zactor import BlockingCluster, local
from zactor.demos import demo1

pytestmark = pytest.mark.slow

LAB = """\
[cluster]
name = "greenhouse"
[factories]
counter = "counter.py"
gui = "gui.py"
[actors.c1]
type = "counter"
on = "n1"
args = { start = 40 }
[actors.g1]
type = "gui"
on = "n2"
[wires]
"g1.inc" = ["c1"]
"c1.updateVal" = ["g1 agreed"]
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[BlockingCluster]:
    with local(nodes=2) as cluster:
        for kind in ("gui", "counter"):
            file = Path(demo1.__file__).with_name(f"{kind}.py")
            cluster.master.declare_factory(kind, str(file))
        cluster.master.deploy_actor("counter", "by-hand", "n1")
        yield cluster


@pytest.fixture(scope="module")
def site(cluster: BlockingCluster) -> Iterator[Site]:
    with served(cluster) as site:
        yield site


def rows_of(page: Page) -> list[str]:
    return [" ".join(text.split()) for text in page.locator("#plan-result tr").all_inner_texts()]


def apply(page: Page) -> None:
    page.click("#plan-apply")
    page.click("dialog .btn.pri")


def names(cluster: BlockingCluster) -> set[object]:
    return {row["name"] for row in cluster.master.actors()}


def test_a_text_is_planned_applied_mended_and_taken_back(
    browser: Browser, site: Site, cluster: BlockingCluster
) -> None:
    with window(browser, site) as (page, _):
        page.keyboard.press("7")
        expect(page.locator("#plan-kept")).to_contain_text("no file was applied yet")
        page.fill("#plan-text", LAB)
        page.click("#plan-do")
        expect(page.locator("#plan-result")).to_contain_text("4 to add")
        rows = rows_of(page)
        assert "+ add actor g1 gui on n2" in rows
        assert any(row.startswith("! left alone actor by-hand") for row in rows)
        expect(page.locator("#plan-result")).to_contain_text("since a page doesn't read gui.py")

        page.click("#plan-apply")
        expect(page.locator("dialog .line")).to_contain_text("zactor apply lab.toml --check ")
        page.keyboard.press("Escape")
        assert names(cluster) == {"by-hand"}  # who looks and says no has changed nothing
        apply(page)
        expect(page.locator("#plan-progress")).to_contain_text("2 of 2 actors as they should be")
        assert cluster.master.ask("c1", "count") == 40
        assert {row["service"] for row in cluster.master.wires()} == {"fifo", "agreed"}
        assert str(cluster.master.log()[-1]["who"]).startswith("web:") or any(
            str(row["who"]).startswith("web:") for row in cluster.master.log()
        )
        expect(page.locator("#plan-kept")).to_contain_text("greenhouse: 2 of 2 actors")

        cluster.master.destroy_actor("g1")  # by hand, which stays so: it is told
        expect(page.locator("#plan-kept")).to_contain_text("differ")
        expect(page.locator("#tab-plan .n")).to_have_text("1")
        page.click("#plan-do")
        expect(page.locator("#plan-result")).to_contain_text("to add")
        apply(page)
        expect(page.locator("#plan-progress")).to_contain_text("1 of 1 actors as they should be")
        assert "g1" in names(cluster)

        page.fill("#plan-text", LAB.replace('"g1.inc" = ["c1"]', ""))
        page.click("#plan-do")
        expect(page.locator("#plan-result")).to_contain_text("1 to remove")
        apply(page)
        expect(page.locator("#plan-progress")).to_contain_text("no actor had to start or stop")
        assert len(cluster.master.wires()) == 1
        page.click("#plan-progress .btn")  # Undo…
        page.click("dialog .btn.pri")
        until(lambda: len(cluster.master.wires()) == 2, "it is taken back")


def test_a_file_is_dropped_and_what_is_wrong_with_it_is_said_with_its_line(
    browser: Browser, site: Site
) -> None:
    texts = {
        "typo.toml": (LAB.replace("agreed", "agred"), "typo.toml:15: "),
        "new.toml": (LAB.replace("gui.py", "x.py").replace("gui", "clock"), "no type clock"),
        "none.toml": ("<b>no</b>", "none.toml:1: that is no TOML"),
    }
    with window(browser, site, refused=400) as (page, _):
        for name, (text, says) in texts.items():
            files = page.evaluate_handle(
                """([name, text]) => {
                    const files = new DataTransfer();
                    files.items.add(new File([text], name));
                    return files;
                }""",
                [name, text],
            )
            page.dispatch_event("#wrap", "drop", {"dataTransfer": files})
            expect(page.locator("#plan-result .alert")).to_contain_text(says)
            assert page.input_value("#plan-text") == text
        assert page.locator("#plan-apply").count() == 0


def test_a_page_that_only_shows_plans_and_applies_nothing(
    browser: Browser, cluster: BlockingCluster
) -> None:
    before = names(cluster)
    with served(cluster, "--read-only") as site, window(browser, site) as (page, _):
        page.keyboard.press("7")
        page.fill("#plan-text", LAB.replace("start = 40", "start = 41"))
        page.click("#plan-do")
        expect(page.locator("#plan-result")).to_contain_text("1 to change")
        assert page.is_disabled("#plan-apply")
        body = {"text": LAB, "digest": "0" * 32}
        status, said = site.ask("POST", "/api/v1/apply", body)
        assert (status, said) == (
            403,
            {"error": "ReadOnly", "message": "this page shows, it changes nothing"},
        )
    assert names(cluster) == before


def test_only_the_plan_that_was_looked_at_is_applied(site: Site, cluster: BlockingCluster) -> None:
    status, plan = site.ask("POST", "/api/v1/plan", {"text": LAB})
    assert status == 200
    assert isinstance(plan, dict)
    cluster.master.destroy_actor("g1")  # somebody is quicker
    status, said = site.ask("POST", "/api/v1/apply", {"text": LAB, "digest": plan["digest"]})
    assert status == 409
    assert isinstance(said, dict)
    assert "plan again" in said["message"]
    assert site.ask("POST", "/api/v1/apply", {"text": LAB})[0] == 400
    assert site.ask("POST", "/api/v1/plan", {"texts": LAB})[0] == 400
