"""`zactor web`: the page of the cluster, served to browsers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zactor.cli.common import CONTEXT, Asking, Settings, say, settings
from zactor.kernel.errors import ConfigError, NotReachable, ZactorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from zactor.client.master import Master
    from zactor.commands.command import CommandCall
    from zactor.web.feed import Feed
    from zactor.web.guard import Guard

PORT = 4880
_PORTS_TRIED = 20
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_NEEDS = "the page needs two packages: pip install 'zactor[web]'"


class PageSettings:
    """Where the page is served, to whom, and what it may."""

    def __init__(
        self,
        bind: str | None,
        hosts: tuple[str, ...],
        certificate: str | None,
        key: str | None,
        *,
        behind_proxy: bool,
        read_only: bool,
        allow_changes: bool,
    ) -> None:
        """Raises:
        ConfigError: it isn't safe so, or makes no sense.
        """
        host, _, port = (bind or "").rpartition(":") if ":" in (bind or "") else (bind, "", "")
        if bind and bind.isdecimal():
            host, port = None, bind
        self.host = (host or "127.0.0.1").strip("[]")
        if port and not port.isdecimal():
            raise ConfigError(f"--bind {bind!r}: {port!r} is no port")
        self.port = int(port) if port else None
        self.hosts = hosts
        self.certificate = certificate
        self.key = key
        if bool(certificate) != bool(key):
            raise ConfigError("--tls-cert and --tls-key belong together")
        is_local = self.host in _LOOPBACK
        if not is_local and not certificate and not behind_proxy:
            raise ConfigError(
                f"{self.host} is reachable from other machines: want --tls-cert and --tls-key, or"
                " --behind-proxy where something else speaks https"
            )
        if read_only and allow_changes:
            raise ConfigError("--read-only and --allow-changes: one of them")
        # Behind a proxy it is reached from elsewhere, wherever it listens.
        self.may_change = not read_only and (allow_changes or (is_local and not behind_proxy))
        self.is_secure = bool(certificate) or behind_proxy  # what browsers speak with it is https

    def url(self, port: int) -> str:
        """Return the page's address."""
        scheme = "https" if self.is_secure else "http"
        host = self.hosts[0] if self.hosts and self.host not in _LOOPBACK else self.host
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


def _read_line(line: str) -> CommandCall:
    """Return the command in a line of the console."""
    from zactor.cli.script_runner import read_call
    from zactor.commands.script_reader import read_script

    lines = list(read_script(line))
    if len(lines) != 1:
        raise ConfigError(f"want one command, not {len(lines)}")
    return read_call(lines[0])


def _free_port(host: str, wanted: int | None) -> int:
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in [wanted] if wanted is not None else range(PORT, PORT + _PORTS_TRIED):
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                reason = error.strerror
            else:
                return int(probe.getsockname()[1])
    raise ConfigError(f"can't listen at {host}, port {wanted or PORT}: {reason}")


async def serve(given: Settings, page: PageSettings, *, is_open: bool, is_quiet: bool) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Raises:
        ZactorError: a package is missing, or no node answers.
    """
    _check_packages()
    from zactor.client.author import author
    from zactor.client.connect import connect
    from zactor.web.feed import Feed
    from zactor.web.http import HttpServer

    me = f"web:{author().partition(' ')[0]} page"
    async with connect(given.endpoint, given.home_folder, timeout=given.timeout, who=me) as master:
        port = _free_port(page.host, page.port)
        feed = Feed(master)
        with _token_file(given.home_folder, port) as token:
            guard, app = _make_app(given, page, port, token, feed, master, me)
            loop = asyncio.get_running_loop()
            listening: asyncio.Future[None] = loop.create_future()
            http = HttpServer(
                app,
                host=page.host,
                port=port,
                certificate=page.certificate,
                key=page.key,
                on_start=lambda: listening.set_result(None),
                on_stop=lambda: feed.say_goodbye("zactor web stops"),
            )
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, setattr, http, "should_exit", True)
            feeding = asyncio.create_task(feed.run())
            serving = asyncio.create_task(http.serve())
            try:
                await asyncio.wait([serving, listening], return_when=asyncio.FIRST_COMPLETED)
                _greet(page, f"{page.url(port)}#key={guard.new_key()}", is_open, is_quiet)
                await serving
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)


def _check_packages() -> None:
    try:
        import starlette
        import uvicorn
    except ImportError:
        raise ZactorError(_NEEDS) from None
    del starlette, uvicorn


def _make_app(
    given: Settings,
    page: PageSettings,
    port: int,
    token: str,
    feed: Feed,
    master: Master,
    me: str,
) -> tuple[Guard, ASGIApp]:
    from zactor.client.blocking_master import BlockingMaster
    from zactor.commands.command import ConsoleSession
    from zactor.web.guard import Guard, local_hosts
    from zactor.web.server import PageServer, page_files

    files = page_files()
    guard = Guard(
        local_hosts(port, page.hosts),
        port,
        token,
        files=frozenset(files),
        is_secure=page.is_secure,
        may_change=page.may_change,
        now_s=time.monotonic,
    )
    blocking = BlockingMaster(master.connection, timeout=given.timeout)
    server = PageServer(
        guard=guard,
        feed=feed,
        master=master,
        session=ConsoleSession(blocking, given.home_folder, timeout=given.timeout),
        read_line=_read_line,
        files=files,
        me=me,
    )
    return guard, server.app()


def _greet(page: PageSettings, link: str, is_open: bool, is_quiet: bool) -> None:
    say(link)
    sys.stdout.flush()
    if not is_quiet:
        what = "" if page.may_change else "; it shows, and changes nothing"
        say(f"open it within five minutes, once; Ctrl-C ends the page{what}", err=True)
    if is_open:
        import webbrowser

        webbrowser.open(link)


@contextlib.contextmanager
def _token_file(home: Path, port: int) -> Iterator[str]:
    file = token_file(home, port)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = secrets.token_urlsafe(32)
    file.unlink(missing_ok=True)  # of a page that was killed
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(token)
    try:
        yield token
    finally:
        file.unlink(missing_ok=True)


def token_file(home: Path, port: int) -> Path:
    """Return where a page at that port keeps what programs say to it."""
    return home / "run" / f"web-{port}.token"


def _link(given: Settings, page: PageSettings) -> None:
    """Print another link of a page that runs here."""
    import json
    import urllib.error
    import urllib.request

    port = page.port or PORT
    file = token_file(given.home_folder, port)
    if not file.exists():
        raise NotReachable(f"no page of this home runs at port {port}: `zactor web` starts one")
    request = urllib.request.Request(
        f"{page.url(port)}api/v1/link",
        data=b"{}",
        headers={
            "Authorization": f"Bearer {file.read_text().strip()}",
            "Content-Type": "application/json",
            "X-Zactor": "1",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=given.timeout or 5.0) as answer:
            say(f"{page.url(port)}#key={json.load(answer)['key']}")
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise NotReachable(f"the page at port {port} doesn't answer: {error}") from None


def _web(
    bind: str | None,
    is_open: bool,
    read_only: bool,
    allow_changes: bool,
    behind_proxy: bool,
    hosts: tuple[str, ...],
    certificate: str | None,
    key: str | None,
    link: bool,
) -> None:
    given = settings(click.get_current_context())
    page = PageSettings(
        bind,
        hosts,
        certificate,
        key,
        behind_proxy=behind_proxy,
        read_only=read_only,
        allow_changes=allow_changes,
    )
    if link:
        _link(given, page)
        return
    asyncio.run(serve(given, page, is_open=is_open, is_quiet=given.json))


web = Asking(
    "web",
    callback=_web,
    params=[
        click.Option(
            ["--bind"], metavar="HOST[:PORT]", help=f"Where to listen (127.0.0.1:{PORT})."
        ),
        click.Option(["--open", "is_open"], is_flag=True, help="Open it in the browser."),
        click.Option(["--read-only"], is_flag=True, help="Show, and change nothing."),
        click.Option(
            ["--allow-changes"], is_flag=True, help="Let other machines' browsers change things."
        ),
        click.Option(
            ["--behind-proxy"], is_flag=True, help="Another server speaks https before this one."
        ),
        click.Option(
            ["--host", "hosts"], multiple=True, metavar="NAME", help="A name it is served under."
        ),
        click.Option(
            ["--tls-cert", "certificate"], metavar="FILE", help="For https, with its key."
        ),
        click.Option(["--tls-key", "key"], metavar="FILE", help="The key of the certificate."),
        click.Option(["--link"], is_flag=True, help="Print another link of the page that runs."),
    ],
    help="Serve the page: the network with its wires, what flows, what broke and why.\n\n"
    "It prints a link that logs one browser in. The page is a client like any command: it may stop "
    "and start while the network goes on. Other machines see it only with a certificate, and "
    "change nothing without --allow-changes.",
    context_settings=CONTEXT,
)
