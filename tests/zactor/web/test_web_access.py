"""The page for everybody: axe-core finds nothing in any view, and the keyboard alone is enough."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import axe
import pytest
from page_world import Site, served, until, window
from playwright.sync_api import Browser, Page, expect

from zactor import local
from zactor.demos import demo1
from zactor.supervisor.kb.wishes import Wish, WishedActor, WishedFactory

pytestmark = pytest.mark.slow

CODE = """
from zactor import Actor, Button, Line, Log, Number, Panel, Slider, Switch, Text, action, signal

class Desk(Actor):
    turned = signal(int)
    panel = Panel(Number("level", unit="m"), Line("level"), Text("words"), Log("said"),
                  Button("turned"), Switch("lit"), Slider("level", low=0, high=9))

    def __init__(self):
        self.level, self.lit, self.words, self.said = 3, True, "all is well", ["one", "two"]

    @action
    def set_level(self, level):
        self.level = level

    @action
    def set_lit(self, lit):
        self.lit = lit

    @action
    def fail(self):
        raise ValueError("no such desk")

class Far(Desk, dispatcher="process"):
    pass

class Ear(Actor):
    @action
    def turned(self, *_):
        pass
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    code = tmp_path_factory.mktemp("access") / "desks.py"
    code.write_text(CODE)
    with local(nodes=2) as cluster:
        m = cluster.master
        for kind in ("desk", "far", "ear"):
            m.declare_factory(kind, code)
        m.declare_factory("counter", Path(demo1.__file__).with_name("counter.py"))
        for kind, name, node in [
            ("desk", "d1", "n1"),
            ("far", "f1", "n1"),
            ("ear", "e1", "n2"),
            ("counter", "c1", "n2"),
        ]:
            m.deploy_actor(kind, name, node)
        m.react_interaction("e1", "d1", "turned")
        with served(cluster) as site:
            yield site


def key(*names: str) -> Callable[[Page], None]:
    def press(page: Page) -> None:
        for name in names:
            page.keyboard.press(name)

    return press


def click(selector: str, *first: str) -> Callable[[Page], None]:
    def do(page: Page) -> None:
        key(*first)(page)
        page.click(selector)

    return do


VIEWS: dict[str, Callable[[Page], None]] = {
    "the network": lambda page: None,
    "an actor": click("[data-actor=d1]"),
    "a wire": click("#side .rows button"),
    "a node": click("[data-node=n2]", "Escape"),
    **{f"tab {number}": key("Escape", str(number)) for number in range(1, 8)},
    "keys": key("Escape", "?"),
    "jump or run": key("Escape", "/"),
    "a new wire": key("Escape", "w"),
}


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_in_any_view(
    browser: Browser, site: Site, theme: str, width: int
) -> None:
    axe.source()
    with window(browser, site, width, 844) as (page, _):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        expect(page.locator("[data-card=f1] output")).to_have_text("3")
        for name, show in VIEWS.items():
            show(page)
            assert not axe.findings(page), name
        page.goto(f"{site.url}panel/*")
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        page.wait_for_selector("[data-press='d1.turned']")
        assert not axe.findings(page), "panels"


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_where_a_network_is_shown_as_tiles(
    browser: Browser, crowd: Site, width: int
) -> None:
    axe.source()
    with window(browser, crowd, width, 844, shows=".tile") as (page, _):
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            assert not axe.findings(page), theme
        page.click(".tile[data-node=n2]")
        assert not axe.findings(page), "a node of many"
        page.click("#side .btn")
        page.wait_for_selector(".lane")
        assert not axe.findings(page), "its lanes"


@pytest.fixture(scope="module")
def crowd() -> Iterator[Site]:
    """So many actors that their network is shown as tiles."""
    with local(nodes=2) as cluster:
        m = cluster.master
        m.declare_factory("counter", Path(demo1.__file__).with_name("counter.py"))
        factories = (WishedFactory(type="counter", bundle=str(m.factories()[0]["bundle"])),)
        actors = tuple(
            WishedActor(name=f"x{number}", type="counter", on=(f"n{1 + number % 2}",))
            for number in range(160)
        )
        m.apply(Wish(name="crowd", keep=False, factories=factories, actors=actors).to_text())
        until(lambda: all(row["state"] == "running" for row in m.actors()), "they run")
        with served(cluster) as site:
            yield site


def test_two_actors_are_wired_with_the_keyboard_alone(browser: Browser, site: Site) -> None:
    def wired() -> set[tuple[object, ...]]:
        rows = site.cluster.master.wires()
        return {(row["emitter"], row["action"], row["reactor"], row["service"]) for row in rows}

    def at(page: Page) -> str:
        return str(page.evaluate("document.activeElement.dataset.actor || ''"))

    with window(browser, site) as (page, _):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # skip to the network
        page.keyboard.press("ArrowRight")
        for _ in range(8):  # whatever stands where: arrows lead to each card
            if at(page) == "f1":
                break
            page.keyboard.press("ArrowDown" if at(page) else "ArrowRight")
        assert at(page) == "f1"
        page.keyboard.press("Enter")
        expect(page.locator("#side h2")).to_have_text("f1")
        page.keyboard.press("w")
        expect(page.locator("#wire-from")).to_have_value("f1.turned")
        assert page.evaluate("document.activeElement.id") == "wire-to"
        expect(page.locator("#wire-to")).to_have_value("e1")  # the one that can do it
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Tab")
        expect(page.locator("#wire-does")).to_have_value("turned")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")  # fifo, causal, agreed
        expect(page.locator("dialog .line")).to_have_text(
            "zactor wire f1.turned e1 --service agreed"
        )
        page.keyboard.press("Enter")
        until(lambda: ("f1", "turned", "e1", "agreed") in wired(), "the wire")
        assert page.evaluate("document.activeElement !== document.body"), "the focus is lost"


def test_an_actor_in_a_process_of_its_own_shows_its_panel_and_is_driven(
    browser: Browser, site: Site
) -> None:
    def is_lit() -> object:
        _, state = site.ask("GET", "/api/v1/state")
        assert isinstance(state, dict)
        return state["panels"]["f1"]["values"]["lit"]

    with window(browser, site) as (page, _):
        page.goto(f"{site.url}panel/f1")
        level = page.locator("[data-shows='f1.level'] span")
        expect(level).to_have_text("3")
        page.locator("input[type=range]").fill("7")
        expect(level).to_have_text("7")
        page.get_by_role("checkbox").uncheck()
        until(lambda: is_lit() is False, "the switch is off")
