"""The guard as a table, asked over HTTP as a browser or a program asks."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

pytest.importorskip("starlette", reason="the extra zactor[web] isn't installed")

from starlette.testclient import TestClient

from zactor.web.feed import Feed
from zactor.web.guard import (
    BODY_BYTES_MAX,
    HEADERS,
    KEY_S,
    KEYS_MAX,
    LOGIN_S,
    WRONG_KEYS_A_MINUTE,
    Guard,
    Refusal,
    local_hosts,
)
from zactor.web.server import PageServer, page_files

PORT = 4880
HOST = f"127.0.0.1:{PORT}"
OWN = f"http://{HOST}"
TOKEN = "t" * 43
JSON = {"content-type": "application/json", "x-zactor": "1"}
BEARER = {"authorization": f"Bearer {TOKEN}"}
FILES = page_files()


class Clock:
    now = 1_000.0


def make_guard(*, is_secure: bool = False, hosts: tuple[str, ...] = ()) -> tuple[Guard, Clock]:
    clock = Clock()
    guard = Guard(
        local_hosts(PORT, hosts),
        PORT,
        TOKEN,
        files=frozenset(FILES),
        is_secure=is_secure,
        now_s=lambda: clock.now,
    )
    return guard, clock


def make_client(guard: Guard) -> TestClient:
    """A client of the real app; no node is asked for what is asked here."""
    nobody = None
    server = PageServer(
        guard=guard,
        feed=Feed(nobody),  # type: ignore[arg-type]  # it isn't run
        master=nobody,  # type: ignore[arg-type]  # nothing here reaches it
        session=nobody,  # type: ignore[arg-type]  # the same
        read_line=lambda line: pytest.fail(f"{line} was read"),
        files=FILES,
        me="web:ann@lab page",
    )
    return TestClient(server.app(), base_url=OWN)


def cookie(guard: Guard) -> str:
    made = guard.log_in(guard.new_key())
    assert isinstance(made, str)
    return made.partition(";")[0]


LOGGED_IN = "logged in"  # stands for the header of one who is

TABLE = [
    # method, path, headers, body, status
    ("GET", "/healthz", {}, "", 200),
    ("GET", "/", {}, "", 200),
    ("GET", "/page.js", {}, "", 200),
    ("GET", "/panel/g1", {}, "", 200),
    ("HEAD", "/", {}, "", 200),
    ("GET", "/nothing", {}, "", 401),
    ("GET", "/nothing", BEARER, "", 404),
    ("GET", "/../setup.cfg", {}, "", 401),
    ("GET", "/%2e%2e/setup.cfg", BEARER, "", 404),
    ("GET", "/api/v1/state", {}, "", 401),
    ("GET", "/api/v1/state", BEARER, "", 200),
    ("GET", "/api/v1/state", {LOGGED_IN: ""}, "", 200),
    ("GET", "/api/v1/state", {"authorization": "Bearer wrong"}, "", 401),
    ("GET", "/api/v1/state", {"cookie": f"zactor_{PORT}=wrong"}, "", 401),
    ("GET", "/api/v1/state", {LOGGED_IN: "", "host": "evil.example"}, "", 403),
    ("GET", "/api/v1/state", {LOGGED_IN: "", "host": "127.0.0.1:1"}, "", 403),
    ("GET", "/api/v1/state", {LOGGED_IN: "", "host": f"localhost:{PORT}"}, "", 200),
    ("GET", "/api/v1/state", {LOGGED_IN: "", "host": f"[::1]:{PORT}"}, "", 200),
    ("GET", "/healthz", {"host": "evil.example"}, "", 403),
    ("GET", "/api/v1/stream", {}, "", 401),
    ("HEAD", "/api/v1/stream", BEARER, "", 200),
    ("HEAD", "/api/v1/state", BEARER, "", 200),
    ("HEAD", "/api/v1/stream", {}, "", 401),
    ("GET", "/metrics", {}, "", 401),
    *(
        (method, "/api/v1/state", BEARER, "", 405)
        for method in ("DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW")
    ),
    ("DELETE", "/", {}, "", 405),
    ("POST", "/api/v1/do", {**JSON, "origin": OWN}, "{}", 401),
    ("POST", "/api/v1/do", {**JSON, LOGGED_IN: "", "origin": OWN}, "{}", 400),
    ("POST", "/api/v1/do", {**JSON, **BEARER}, "{}", 400),
    ("POST", "/api/v1/do", {**JSON, LOGGED_IN: ""}, "{}", 403),
    ("POST", "/api/v1/do", {**JSON, LOGGED_IN: "", "origin": "null"}, "{}", 403),
    ("POST", "/api/v1/do", {**JSON, LOGGED_IN: "", "origin": "http://evil.example"}, "{}", 403),
    ("POST", "/api/v1/do", {**JSON, LOGGED_IN: "", "origin": f"https://{HOST}"}, "{}", 403),
    ("POST", "/api/v1/do", {LOGGED_IN: "", "origin": OWN, "x-zactor": "1"}, "{}", 400),
    (
        "POST",
        "/api/v1/do",
        {LOGGED_IN: "", "origin": OWN, "content-type": "application/json"},
        "{}",
        400,
    ),
    (
        "POST",
        "/api/v1/do",
        {
            LOGGED_IN: "",
            "origin": OWN,
            "x-zactor": "1",
            "content-type": "application/x-www-form-urlencoded",
        },
        "line=nodes",
        400,
    ),
    ("POST", "/api/v1/do", {**JSON, **BEARER}, " " * (BODY_BYTES_MAX + 1), 413),
    ("POST", "/api/v1/do", {**JSON, **BEARER}, '{"line": "a\\nb"}', 400),
    ("POST", "/api/v1/panel/g1", {**JSON, **BEARER}, '{"button": "inc"}', 404),
    ("POST", "/api/v1/state", {**JSON, **BEARER}, "{}", 405),
    ("POST", "/api/v1/login", {**JSON, "origin": OWN}, '{"key": "wrong"}', 401),
    ("POST", "/api/v1/login", {**JSON, "origin": "http://evil.example"}, '{"key": "x"}', 403),
    ("POST", "/api/v1/login", {**JSON, "origin": OWN}, "[]", 400),
]


@pytest.mark.parametrize(("method", "path", "headers", "body", "status"), TABLE)
def test_who_is_answered_and_who_is_not(
    method: str, path: str, headers: Mapping[str, str], body: str, status: int
) -> None:
    guard, _ = make_guard()
    given = {name: value for name, value in headers.items() if name != LOGGED_IN}
    if LOGGED_IN in headers:
        given["cookie"] = cookie(guard)
    answer = make_client(guard).request(method, path, headers=given, content=body)
    assert answer.status_code == status, answer.text
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    if path.startswith("/api/"):
        assert answer.headers["cache-control"] == "no-store"
    if status >= 400 and method != "HEAD" and status not in (404, 405):
        assert set(answer.json()) == {"error", "message"}


def test_a_links_key_is_good_once_and_for_five_minutes() -> None:
    guard, clock = make_guard()
    key = guard.new_key()
    assert isinstance(guard.log_in(key), str)
    assert isinstance(guard.log_in(key), Refusal)
    late = guard.new_key()
    clock.now += KEY_S + 1
    refusal = guard.log_in(late)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


def test_after_ten_wrong_keys_others_wait_and_the_right_one_does_not() -> None:
    guard, clock = make_guard()
    key = guard.new_key()
    refusals = [guard.log_in("wrong") for _ in range(WRONG_KEYS_A_MINUTE + 5)]
    found = [each.status for each in refusals if isinstance(each, Refusal)]
    assert found == [401] * WRONG_KEYS_A_MINUTE + [429] * 5
    assert isinstance(guard.log_in(key), str)
    clock.now += 61
    refusal = guard.log_in("wrong")
    assert isinstance(refusal, Refusal)
    assert refusal.status == 401


def test_keys_that_nobody_used_are_forgotten() -> None:
    guard, clock = make_guard()
    keys = [guard.new_key() for _ in range(KEYS_MAX + 1)]
    assert len(guard._keys) == KEYS_MAX
    assert isinstance(guard.log_in(keys[0]), Refusal), "the oldest has ended"
    assert isinstance(guard.log_in(keys[1]), str)
    clock.now += KEY_S + 1
    last = guard.new_key()
    assert len(guard._keys) == 1
    assert isinstance(guard.log_in(last), str)


def test_the_cookie_is_for_this_page_only_and_ends() -> None:
    guard, clock = make_guard(is_secure=True)
    made = guard.log_in(guard.new_key())
    assert isinstance(made, str)
    assert made.startswith(f"zactor_{PORT}=")
    for word in ("HttpOnly", "SameSite=Strict", "Secure", "Path=/"):
        assert word in made
    headers = {"host": HOST, "cookie": made.partition(";")[0]}
    assert guard.check("GET", "/api/v1/state", headers) is None
    clock.now += LOGIN_S + 1
    assert guard.check("GET", "/api/v1/state", headers) is not None


def test_a_page_that_only_shows_changes_nothing() -> None:
    guard, _ = make_guard()
    guard.may_change = False
    client = make_client(guard)
    for path, body in [
        ("do", '{"line": "destroy c1"}'),
        ("panel/g1", '{"button": "inc"}'),
        ("apply", '{"text": "", "digest": "0"}'),
    ]:
        answer = client.post(f"/api/v1/{path}", content=body, headers={**JSON, **BEARER})
        assert answer.status_code == 403
        assert answer.json()["error"] == "ReadOnly"
    assert client.get("/api/v1/state", headers=BEARER).json()["me"]["may_change"] is False


def test_a_name_that_was_given_is_served_and_others_are_not() -> None:
    guard, _ = make_guard(hosts=("lab.example",))
    assert guard.check("GET", "/", {"host": f"lab.example:{PORT}"}) is None
    assert guard.check("GET", "/", {"host": "lab.example"}) is None
    assert guard.check("GET", "/", {"host": "lab.example.evil"}) is not None


def test_the_page_is_small_holds_no_address_of_others_and_no_markup_from_data() -> None:
    assert sum(len(file.data) for file in FILES.values()) <= 200_000
    for path, file in FILES.items():
        text = file.data.decode()
        for bad in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "style="):
            assert bad not in text, (path, bad)
        text = text.replace("http://www.w3.org/", "")  # names of formats, not addresses
        assert "http://" not in text, path
        assert "https://" not in text, path


def test_a_file_that_has_not_changed_is_not_sent_again() -> None:
    guard, _ = make_guard()
    client = make_client(guard)
    tag = client.get("/page.css").headers["etag"]
    assert client.get("/page.css", headers={"if-none-match": tag}).status_code == 304
