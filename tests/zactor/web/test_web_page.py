"""The page in a real browser, of real nodes: one cluster and one browser for all stories."""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from deadlines import DEADLINE_S
from page_world import Site, served, until, window
from playwright.sync_api import Browser, Page, expect
from slowness import Slowness

from zactor import local
from zactor.demos import demo1

pytestmark = pytest.mark.slow

RED_S = 0.25  # from kill -9 to red on the page
HEARD_S = 0.2  # from a press in one window to the number in another

SIGN = """
from zactor import Actor, Button, Panel, Text, action, signal

class Sign(Actor):
    turned = signal(int)
    panel = Panel(Text("says"), Button("fail"))

    def __init__(self):
        self.says = "<img src=x onerror=document.title='broken-in'><script>alert(1)</script>"
        self.says += "\\u202edetpircne \\u2066\\u200b\\x1b[2J"

    @action
    def fail(self):
        raise ValueError("<b>no such light</b>")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    sign = tmp_path_factory.mktemp("web") / "sign.py"
    sign.write_text(SIGN)
    with local(nodes=2) as cluster:
        m = cluster.master
        for kind in ("gui", "counter"):
            m.declare_factory(kind, str(Path(demo1.__file__).with_name(f"{kind}.py")))
        m.declare_factory("sign", str(sign))
        for kind, name, node in [
            ("gui", "g1", "n1"),
            ("counter", "c1", "n1"),
            ("gui", "g2", "n2"),
            ("sign", "s1", "n2"),
        ]:
            m.deploy_actor(kind, name, node)
        for gui in ("g1", "g2"):
            m.react_interaction("c1", gui, "inc")
            m.react_interaction(gui, "c1", "updateVal", service="agreed")
        with served(cluster) as site:
            yield site


def number(page: Page, gui: str) -> str:
    return page.locator(f"[data-shows='{gui}.number']").first.inner_text()


# The order matters where a story leaves its mark: deaths come last.
def test_inc_in_one_window_shows_in_another_and_a_reload_loses_nothing(
    browser: Browser, site: Site, slowness: Slowness
) -> None:
    with window(browser, site) as (left, _), window(browser, site) as (right, _):
        left.goto(f"{site.url}panel/g1")
        right.goto(f"{site.url}panel/g2")
        for page, gui in ((left, "g1"), (right, "g2")):
            page.wait_for_selector(f"[data-press='{gui}.inc']")
        took = []
        for count in range(1, 11):
            page, gui = ((left, "g1"), (right, "g2"))[count % 2]
            other, its = ((right, "g2"), (left, "g1"))[count % 2]
            began = time.monotonic()
            page.click(f"[data-press='{gui}.inc']")
            expect(other.locator(f"[data-shows='{its}.number']")).to_have_text(str(count))
            took.append(time.monotonic() - began)
            if count == 5:
                other.reload()
        took.sort()
        assert slowness.quiet_s(took[len(took) // 2]) < HEARD_S + 0.1  # a click itself takes 50 ms
        expect(left.locator("[data-shows='g1.number']")).to_have_text("10")


def test_the_network_is_shown_with_what_flows_and_nothing_is_markup(
    browser: Browser, site: Site
) -> None:
    with window(browser, site) as (page, _):
        assert page.inner_text("#health") == "healthy"
        assert page.inner_text("#vitals").split()[:2] == ["nodes", "2"]
        assert page.locator(".card").count() == 4
        assert page.locator(".wire").count() == 4
        page.click("[data-actor=s1]")
        expect(page.locator("#side [data-shows='s1.says']")).to_contain_text("<script>alert(1)")
        unseen = r"\u202edetpircne \u2066\u200b\u001b[2J"
        expect(page.locator("#side [data-shows='s1.says']")).to_contain_text(unseen)
        page.locator("#side [data-press='s1.fail']").click()
        expect(page.locator("[data-card=s1] .raised")).to_have_text("1 raised")
        expect(page.locator("#pane")).to_contain_text("ValueError: <b>no such light</b>")
        assert "broken-in" not in page.title()
        page.keyboard.press("Escape")
        page.click("[data-actor=c1]")
        page.locator("#side .ask select").select_option("count")
        page.locator("#side .ask .btn").click()
        expect(page.locator("#side .reply")).to_have_text("10")
        expect(page.locator("#side .why")).to_contain_text("c1 is a counter on n1")
        for key, words in [("2", "busy"), ("4", "nobody is in a group"), ("5", "actor(c1,counter")]:
            page.keyboard.press(key)
            expect(page.locator("#pane")).to_contain_text(words)


def test_what_flows_moves(browser: Browser, site: Site) -> None:
    with window(browser, site) as (page, _):
        site.cluster.master.send_signal("g1", "inc")
        flow = page.locator(".wire:not(.still) .flow").first
        expect(flow).to_have_attribute("style", re.compile(r"stroke-dashoffset: -\d*[1-9]"))


def test_a_wire_by_mouse_and_one_by_keyboard_are_wires(browser: Browser, site: Site) -> None:
    def wires() -> set[tuple[object, ...]]:
        rows = site.cluster.master.wires()
        return {(row["emitter"], row["action"], row["reactor"], row["service"]) for row in rows}

    with window(browser, site) as (page, _):
        page.hover("[data-card=s1]")
        grab = page.locator("[data-card=s1] .grab").bounding_box()
        card = page.locator("[data-card=c1]").bounding_box()
        assert grab is not None
        assert card is not None
        page.mouse.move(grab["x"] + 9, grab["y"] + 9)
        page.mouse.down()
        page.mouse.move(card["x"] + 40, card["y"] + 15, steps=5)
        page.mouse.up()
        page.check("dialog input[value=safe]")
        page.select_option("#wire-does", "inc")
        assert page.inner_text("dialog .line") == "zactor wire s1.turned c1.inc --service safe"
        page.click("#wire-do")
        until(lambda: len(wires()) == 5, "the wire by mouse")
        expect(page.locator(".wire.safe")).to_have_count(1)

        page.focus("#wrap")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("/")
        page.keyboard.type("unwire s1.turned c1.inc")
        page.keyboard.press("Enter")
        until(lambda: len(wires()) == 4, "it is taken away")
        page.keyboard.press("Escape")
        page.keyboard.press("w")
        page.keyboard.press("End")  # of the signals: s1.turned
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("ArrowDown")  # of the actions of c1: count can't take it, inc can
        expect(page.locator("dialog .line")).to_have_text("zactor wire s1.turned c1.inc")
        page.keyboard.press("Tab")  # to the services
        page.keyboard.press("Enter")
        until(lambda: len(wires()) == 5, "the wire by keyboard")
        who = [row["who"] for row in site.cluster.master.log()]
        assert any(str(each).startswith("web:") for each in who)


def test_seven_tabs_of_one_browser_are_all_alive(browser: Browser, site: Site) -> None:
    with window(browser, site, 900, 600) as (first, context):
        tabs = [first, *(context.new_page() for _ in range(6))]
        for tab in tabs[1:]:
            tab.goto(f"{site.url}panel/g2")
        site.cluster.master.send_signal("g1", "inc")
        wanted = str(site.cluster.master.ask("c1", "count"))
        for tab in tabs:
            expect(tab.locator("[data-shows='g2.number']").first).to_have_text(wanted)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_has_all_of_it_and_nothing_runs_over_the_edge(
    browser: Browser, site: Site, theme: str
) -> None:
    with window(browser, site, 360, 740) as (page, _):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        wide = "document.documentElement.scrollWidth - innerWidth"
        assert page.evaluate(wide) <= 0
        for name in ("Events", "Letters", "Groups", "Facts", "Missing", "Network"):
            page.click(f"#phonenav button:has-text('{name}')")
            assert page.evaluate(wide) <= 0
        page.click("[data-actor=g1]")
        expect(page.locator("#side.open h2")).to_have_text("g1")


def test_attacks_are_refused_while_a_page_stays_alive(browser: Browser, site: Site) -> None:
    def connect() -> socket.socket:
        return socket.create_connection(("127.0.0.1", site.port), timeout=DEADLINE_S)

    with window(browser, site) as (page, _), contextlib.ExitStack() as held:
        idle = [held.enter_context(connect()) for _ in range(200)]
        for each in idle[:50]:
            each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX: ")  # and no end of it
        long = held.enter_context(connect())
        long.sendall(
            f"POST /api/v1/do HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
            f"Authorization: Bearer {site.token}\r\nX-Zactor: 1\r\n"
            f"Content-Type: application/json\r\nContent-Length: {1 << 30}\r\n\r\n".encode()
        )
        assert b" 413 " in long.recv(200).partition(b"\r\n")[0]
        header = held.enter_context(connect())
        with contextlib.suppress(OSError):
            header.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))
        assert site.ask("DELETE", "/api/v1/state")[0] == 405
        assert site.ask("POST", "/api/v1/do", {"line": "declare-factory x /etc/passwd"})[0] == 400
        assert site.ask("GET", "/api/v1/why/nobody")[0] == 404
        before = number(page, "g1")
        site.cluster.master.send_signal("g2", "inc")
        until(lambda: number(page, "g1") != before, "the page goes on")


def test_a_program_reads_the_stream_and_the_metrics(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=DEADLINE_S)
    headers = {"Authorization": f"Bearer {site.token}"}
    connection.request("GET", "/api/v1/stream", headers=headers)
    stream = connection.getresponse()
    assert stream.getheader("content-type", "").startswith("text/event-stream")
    kinds = []
    while "rates" not in kinds:
        line = stream.readline().decode()
        if line.startswith("event: "):
            kinds.append(line.split()[1])
    assert kinds[0] == "reset"
    connection.close()
    connection.request("GET", "/metrics", headers=headers)
    text = connection.getresponse().read().decode()
    connection.close()
    assert 'zactor_actors{node="n1",type="counter"} 1.0' in text
    assert "c1" not in text


def test_a_killed_node_is_red_at_once_and_green_when_it_is_back(
    browser: Browser, site: Site, slowness: Slowness
) -> None:
    with window(browser, site) as (page, _):
        # It doesn't wait for a frame: a busy machine has none, nor has a hidden tab.
        page.evaluate("window.requestAnimationFrame = () => 0")
        began = time.monotonic()
        site.cluster.kill("n2")
        page.wait_for_selector(".lane.gone")
        assert slowness.quiet_s(time.monotonic() - began) < 2 * RED_S
        expect(page.locator("[data-card=g2].gone")).to_have_count(1)
        expect(page.locator(".wire.down").first).to_be_attached()
        expect(page.locator("#vitals")).to_contain_text("1 of 2")
        page.keyboard.press("6")
        expect(page.locator("#pane")).to_contain_text("gui on n2")
        site.cluster.start("n2")
        expect(page.locator(".lane.gone")).to_have_count(0)
        expect(page.locator("#vitals")).to_contain_text("nodes2actors2 of 4")  # lost until restored
    site.cluster.kill("n2")  # it is this test's process
