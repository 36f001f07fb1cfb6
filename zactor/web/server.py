"""Server: the page, its API and its stream over HTTP. A client of the cluster like any other."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib import resources

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zactor.client.master import Master
from zactor.client.panel import drive
from zactor.commands.actions import say_why
from zactor.commands.command import CommandCall, ConsoleSession
from zactor.kernel import errors
from zactor.web.answers import answer, body_of, failed, problem
from zactor.web.feed import Feed
from zactor.web.guard import HEADERS, READ_ONLY, Guard, Refusal
from zactor.web.plans import Plans
from zactor.web.prometheus import exposition
from zactor.web.replay import sequence_of

Row = dict[str, object]

STREAMS_MAX = 200  # at a time
LINE_CHARS_MAX = 4_096
DO_S = 30.0
LINES_MAX = 64  # under way at a time
LINES_KEPT = 100  # of those that are done, what came of them
_ID = re.compile(r"[\w-]{1,64}")
LIST_ROWS_MAX = 1_000

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file of the page."""

    data: bytes
    type: str
    tag: str


def page_files() -> dict[str, PageFile]:
    """Return the page's files by path. They are read once: no path of a request is ever joined."""
    found = {}
    for entry in resources.files("zactor.web").joinpath("static").iterdir():
        kind = TYPES.get(os.path.splitext(entry.name)[1])
        if kind is not None:
            data = entry.read_bytes()
            tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            path = "/" if entry.name == "page.html" else f"/{entry.name}"
            found[path] = PageFile(data, kind, tag)
    return found


ReadLine = Callable[[str], CommandCall]


class PageServer:
    """Answers the page. One loop's."""

    def __init__(
        self,
        *,
        guard: Guard,
        feed: Feed,
        master: Master,
        session: ConsoleSession,
        read_line: ReadLine,
        files: Mapping[str, PageFile],
        me: str,
    ) -> None:
        """Args:
        session: where lines go; its master blocks, and is used in threads.
        read_line: makes a command of a line of the console.
        me: who makes the changes, as the knowledge base keeps it.
        """
        self._guard = guard
        self._feed = feed
        self._master = master
        self._session = session
        self._read_line = read_line
        self._files = files
        self._me = me
        self._streams = 0
        self._under_way: dict[asyncio.Task[Response], str] = {}  # lines, and their ids
        self._done: dict[str, Response] = {}  # by id, that a repeat does no harm

    def app(self) -> ASGIApp:
        """Return what a server runs."""
        routes = [
            Route("/healthz", self._healthz),
            Route("/metrics", self._metrics),
            Route("/api/v1/login", self._login, methods=["POST"]),
            Route("/api/v1/state", self._state),
            Route("/api/v1/stream", self._stream),
            Route("/api/v1/letters", self._list(lambda _: self._master.dead_letters())),
            Route("/api/v1/failures", self._list(lambda _: self._master.failures())),
            Route("/api/v1/kb", self._list(self._kb)),
            Route("/api/v1/why/{name}", self._why),
            Route("/api/v1/group/{name}", self._list(self._group)),
            Route("/api/v1/logs/{name}", self._list(self._logs)),
            Route("/api/v1/link", self._link, methods=["POST"]),
            Route("/api/v1/do", self._do, methods=["POST"]),
            Route("/api/v1/panel/{name}", self._press, methods=["POST"]),
            *Plans(self._master, self._guard).routes(),
            *(Route(path, self._file) for path in self._files),
            Route("/panel/{name}", self._file),
        ]
        failed = {errors.ZactorError: _on_error}
        return _Guarded(Starlette(routes=routes, exception_handlers=failed), self._guard)

    # -- files -------------------------------------------------------------------------------
    async def _file(self, request: Request) -> Response:
        path = request.url.path
        file = self._files["/" if path.startswith("/panel/") else path]
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.data, media_type=file.type, headers=headers)

    async def _healthz(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def _metrics(self, request: Request) -> Response:
        text = await exposition(self._master)
        if text is None:
            words = "this needs a package: pip install 'zactor[metrics]'"
            return problem(Refusal(501, "NotInstalled", words))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    # -- logging in --------------------------------------------------------------------------
    async def _login(self, request: Request) -> Response:
        try:
            given = msgspec.json.decode(await body_of(request), type=dict[str, str])
        except (msgspec.DecodeError, ValueError):
            return problem(Refusal(400, "NotJson", 'want {"key": "…"}'))
        outcome = self._guard.log_in(given.get("key", ""))
        if isinstance(outcome, Refusal):
            return problem(outcome)
        return Response(status_code=204, headers={"Set-Cookie": outcome})

    async def _link(self, request: Request) -> Response:
        return answer({"key": self._guard.new_key()})

    # -- reading -----------------------------------------------------------------------------
    async def _state(self, request: Request) -> Response:
        return answer({**self._feed.state(), "me": self._who()})

    def _who(self) -> Row:
        return {"who": self._me, "may_change": self._guard.may_change}

    async def _stream(self, request: Request) -> Response:
        if self._streams >= STREAMS_MAX:
            return problem(Refusal(503, "TooMany", f"{STREAMS_MAX} pages are open already"))
        said = request.headers.get("last-event-id") or request.query_params.get("since", "")
        panels = tuple(request.query_params.getlist("panel"))[:50]
        headers = {"X-Accel-Buffering": "no"}
        if request.method == "HEAD":  # it has no end, and there is nothing to send before it
            return Response(media_type="text/event-stream", headers=headers)
        body = self._events(sequence_of(said), panels)
        return StreamingResponse(body, media_type="text/event-stream", headers=headers)

    async def _events(self, sequence: int, panels: tuple[str, ...]) -> AsyncIterator[str]:
        self._streams += 1
        try:
            with self._feed.reading(panels):
                yield "retry: 1000\n\n"
                async for event in self._feed.events(sequence):
                    yield event.text() if event is not None else ": still here\n\n"
                    if event is not None and event.kind == "bye":
                        return
        finally:
            self._streams -= 1

    def _list(
        self, rows: Callable[[Request], Awaitable[list[Row]]]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def listed(request: Request) -> Response:
            return answer((await rows(request))[-LIST_ROWS_MAX:])

        return listed

    async def _kb(self, request: Request) -> list[Row]:
        goal = request.query_params.get("goal", "")
        if goal:
            return await self._master.query(goal[:LINE_CHARS_MAX])
        return await self._master.facts(request.query_params.get("at", "")[:40])

    async def _group(self, request: Request) -> list[Row]:
        name = request.path_params["name"]
        return msgspec.convert(await self._master.look("group", name), list[Row])

    async def _logs(self, request: Request) -> list[Row]:
        rows, _ = await self._master.output(actor=request.path_params["name"]).past()
        return rows

    async def _why(self, request: Request) -> Response:
        name = request.path_params["name"]
        rows = await self._master.why(name)
        from zactor.commands.why_verdict import of_why

        return answer({"verdict": of_why(rows, name), "rows": rows, "text": say_why(rows)})

    # -- doing -------------------------------------------------------------------------------
    async def _do(self, request: Request) -> Response:
        """Carry out a line; once only, however often it is asked for under one id."""
        id_ = request.query_params.get("id", "")
        if not self._guard.may_change:
            return problem(READ_ONLY)
        if id_ and not _ID.fullmatch(id_):
            return problem(Refusal(400, "BadId", "an id has up to 64 letters, digits, _ and -"))
        try:
            line = msgspec.json.decode(await body_of(request), type=dict[str, str])["line"]
        except (msgspec.DecodeError, KeyError, ValueError):
            return problem(Refusal(400, "NotJson", 'want {"line": "wire c1.updateVal l1"}'))
        if id_ in self._done:
            return self._done[id_]
        if id_ and id_ in self._under_way.values():
            return problem(Refusal(409, "UnderWay", "that line is under way: ask again"))
        if len(self._under_way) >= LINES_MAX:
            return problem(Refusal(503, "TooMany", f"{LINES_MAX} lines are under way: wait"))
        work = asyncio.create_task(self._carry_out(line))
        self._under_way[work] = id_
        work.add_done_callback(self._keep)
        try:
            return await asyncio.wait_for(asyncio.shield(work), DO_S)
        except TimeoutError:
            words = f"not done in {DO_S:g} s: it goes on, and may still be done"
            return problem(Refusal(504, "TimedOut", words))

    def _keep(self, work: asyncio.Task[Response]) -> None:
        """A line is done: whoever asks for it again hears what came of it."""
        id_ = self._under_way.pop(work)
        if not id_ or work.cancelled():
            return
        error = work.exception()
        self._done[id_] = (
            work.result()
            if error is None
            else problem(Refusal(500, type(error).__name__, "it failed here: see the log"))
        )
        if len(self._done) > LINES_KEPT:
            del self._done[next(iter(self._done))]

    async def _carry_out(self, line: str) -> Response:
        if len(line) > LINE_CHARS_MAX or "\n" in line:
            return problem(Refusal(400, "UsageError", "want one line of a console"))
        try:
            call = self._read_line(line)
            if any(parameter.kind.value == "file" for parameter in call.command.parameters):
                # The paths would be of the machine that serves the page.
                raise errors.ConfigError(f"{call.command.words} takes files: say it in a shell")
            result = await asyncio.to_thread(call.command.act, self._session, call.values)
        except errors.ZactorError as error:
            return failed(error)
        command = call.command
        text = command.say(result) if command.say is not None else ""
        return answer({"line": line, "text": text, "result": result})

    async def _press(self, request: Request) -> Response:
        if not self._guard.may_change:
            return problem(READ_ONLY)
        name = request.path_params["name"]
        try:
            given = msgspec.json.decode(await body_of(request), type=dict[str, object])
        except (msgspec.DecodeError, ValueError):
            return problem(Refusal(400, "NotJson", 'want {"button": "inc"}'))
        controls = self._feed.panel(name).get("controls")
        if not isinstance(controls, list):
            return problem(Refusal(404, "NoSuchThing", f"no panel of {name} is shown"))
        await drive(self._master, name, controls, str(given.get("button")), given.get("value"))
        return Response(status_code=204)


class _Guarded:
    """Asks the guard before anything else, and gives every answer its headers."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app = app
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        is_api = scope["path"].startswith(("/api/", "/metrics"))

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = dict(HEADERS)
                if is_api:
                    added["Cache-Control"] = "no-store"
                raw = [(name.encode(), value.encode()) for name, value in added.items()]
                message = {**message, "headers": [*message.get("headers", []), *raw]}
            await send(message)

        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._guard.check(scope["method"], scope["path"], headers)
        with contextlib.suppress(ClientDisconnect):
            if refusal is not None:
                await problem(refusal)(scope, receive, send_guarded)
            else:
                await self._app(scope, receive, send_guarded)


async def _on_error(request: Request, error: Exception) -> Response:
    """Answer a request that ended with an error of ours, whichever it was."""
    assert isinstance(error, errors.ZactorError), "it is asked for these only"
    return failed(error)
