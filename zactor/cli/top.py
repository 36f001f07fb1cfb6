"""`zactor top`: nodes and actors by what they do, once a second."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from zactor.cli.common import CONTEXT, Asking, Settings, say, settings
from zactor.kernel.errors import EXIT_DEGRADED, ZactorError
from zactor.kernel.printable import printable

if TYPE_CHECKING:
    from zactor.cli.keyboard import Keyboard
    from zactor.cli.top_frame import Choice, Picture
    from zactor.client.master import Master
    from zactor.client.rates import Rates

_WAIT_S = 1.0  # for the next sample
_LINES_MAX = 1_000  # of a list that a key shows
_ORDERS = ("messages", "waiting", "busy", "failed", "name")
_HELP = [
    "q  quit              ↑ ↓  choose an actor     PgUp PgDn  by ten",
    "s  sort by the next of: messages, waiting, busy, failed, name",
    "l  what the actor printed, logged and raised (zactor logs NAME)",
    "e  what happened to it (zactor events)",
    "w  why it is as it is (zactor why NAME)",
    "p  pause and go on",
    "",
    "IN/S, OUT/S  messages it handled, signals it sent, a second",
    "WAIT         messages in its mailbox      BUSY%  of its time in its own code",
    "FAIL         actions that raised          LATE   how late a node's loop was",
]


async def take(master: Master, rates: Rates, wait_s: float) -> Picture:
    """Return what there is now."""
    from zactor.cli.top_frame import Picture

    counted, status, nodes, actors = await asyncio.gather(
        master.watch(rates.after, wait_s), master.status(), master.nodes(), master.actors()
    )
    rates.take(counted)
    rates.forget(str(row["name"]) for row in nodes if row["state"] != "gone")
    return Picture(status, nodes, actors, rates.nodes, rates.actors, time.time())


async def _once(given: Settings, order: str) -> int:
    from zactor.cli.output import to_json, use_colour
    from zactor.cli.top_frame import Choice, frame, node_rows, top_rows
    from zactor.client.connect import connect
    from zactor.client.rates import Rates

    rates = Rates()
    async with connect(given.endpoint, given.home_folder, timeout=given.timeout) as master:
        await take(master, rates, 0.0)
        await take(master, rates, _WAIT_S)  # rates want two samples
        picture = await take(master, rates, _WAIT_S)
    if given.json:
        say(to_json({"nodes": node_rows(picture), "actors": top_rows(picture, order)}))
    else:
        from shutil import get_terminal_size

        width = get_terminal_size((80, 24)).columns
        height = len(picture.nodes) * 3 + len(picture.actors) + 12
        lines = frame(picture, Choice(order), width, height, colour=use_colour())[:-1]
        say("\n".join(line.rstrip() for line in lines).rstrip())
    return EXIT_DEGRADED if picture.status.get("degraded") else 0


async def _live(given: Settings, order: str) -> None:
    from zactor.cli.keyboard import Keyboard
    from zactor.cli.top_frame import Choice
    from zactor.client.connect import connect
    from zactor.client.rates import Rates

    async with connect(given.endpoint, given.home_folder, timeout=given.timeout) as master:
        with Keyboard().opened() as keyboard:
            await _Top(master, keyboard, Rates(), Choice(order)).run()


class _Top:
    """The loop of one screen."""

    def __init__(self, master: Master, keyboard: Keyboard, rates: Rates, choice: Choice) -> None:
        self._master = master
        self._keyboard = keyboard
        self._rates = rates
        self._choice = choice
        self._picture: Picture | None = None

    async def run(self) -> None:
        """Draw until somebody quits."""
        taking: asyncio.Task[Picture] | None = None
        due_s = 0.0
        try:
            while True:
                now = time.monotonic()
                if taking is None and now >= due_s and not self._choice.is_paused:
                    due_s = now + 1.0
                    taking = asyncio.create_task(take(self._master, self._rates, _WAIT_S))
                key = await self._keyboard.key(0.1)
                if taking is not None and taking.done():
                    self._took(taking)
                    taking = None
                if key in ("q", "interrupt", "escape"):
                    return
                if key:
                    await self._obey(key)
                self._draw()
        finally:
            if taking is not None:
                taking.cancel()

    def _took(self, taking: asyncio.Task[Picture]) -> None:
        try:
            self._picture = taking.result()
            self._choice.note = ""
        except ZactorError as error:  # the node went: another is asked next time
            self._choice.note = f"no answer: {error}"

    def _draw(self) -> None:
        from zactor.cli.output import use_colour
        from zactor.cli.top_frame import frame

        width, height = self._keyboard.size()
        if self._picture is None:
            lines = [f"zactor top: asking … {self._choice.note}"[:width], *[""] * (height - 1)]
        else:
            lines = frame(self._picture, self._choice, width, height, colour=use_colour())
        self._keyboard.draw(lines)

    async def _obey(self, key: str) -> None:
        from zactor.cli.top_frame import ordered

        choice = self._choice
        if key == "p":
            choice.is_paused = not choice.is_paused
        elif key == "s":
            choice.order = _ORDERS[(_ORDERS.index(choice.order) + 1) % len(_ORDERS)]
        elif key in ("?", "h"):
            await self._page("keys", _HELP, from_end=False)
        elif self._picture is not None:
            names = ordered(self._picture, choice.order)
            step = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -10, "page down": 10}.get(key)
            if step is not None and names:
                place = names.index(choice.actor) if choice.actor in names else -1
                choice.actor = names[min(max(place + step, 0), len(names) - 1)]
            elif key in "lew" and names:
                await self._tell(key, choice.actor or names[0])

    async def _tell(self, key: str, actor: str) -> None:
        from zactor.cli.logs import output_line
        from zactor.cli.output import event_line, short_digests
        from zactor.commands.actions import say_why
        from zactor.commands.why_verdict import of_why

        try:
            if key == "l":
                rows, _ = await self._master.output(actor=actor).past()
                lines = [output_line(row) for row in rows]
            elif key == "e":
                events = [row async for row in self._master.events()]
                lines = [line for row in events if _names(actor, line := event_line(row))]
            else:
                rows = await self._master.why(actor)
                lines = short_digests(f"{of_why(rows, actor)}\n{say_why(rows)}").splitlines()
        except ZactorError as error:
            lines = [str(error)]
        words = {"l": f"zactor logs {actor}", "e": f"events of {actor}", "w": f"zactor why {actor}"}
        is_newest_first = key == "w"
        kept = lines[:_LINES_MAX] if is_newest_first else lines[-_LINES_MAX:]
        await self._page(words[key], kept or ["nothing"], from_end=not is_newest_first)

    async def _page(self, title: str, said: list[str], *, from_end: bool) -> None:
        first, is_at_end = 0, from_end
        while True:
            width, height = self._keyboard.size()
            lines, room = wrapped(said, width), height - 2
            last = max(0, len(lines) - room)
            first = last if is_at_end else min(first, last)
            shown = lines[first : first + room]
            foot = f"{title} · {first + 1} to {first + len(shown)} of {len(lines)} · any key: back"
            self._keyboard.draw([*shown, *[""] * (room - len(shown)), "", foot[:width]])
            key = await self._keyboard.key(1.0)
            step = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -room, "page down": room}
            if key in step:
                first, is_at_end = max(0, first + step[key]), False
            elif key:
                return


def wrapped(lines: Iterable[str], width: int) -> list[str]:
    """Return lines as a page of that width shows them: nothing of a long one is lost."""
    texts = (printable(line, keep="") for line in lines)
    return [text[at : at + width] for text in texts for at in range(0, len(text) or 1, width)]


def _names(actor: str, line: str) -> bool:
    import re

    return re.search(rf"(?<![\w-]){re.escape(actor)}(?![\w-])", line) is not None


def _top(once: bool, order: str) -> None:
    context = click.get_current_context()
    given = settings(context)
    is_screen = sys.stdin.isatty() and sys.stdout.isatty()
    if once or given.json or not is_screen:
        context.exit(asyncio.run(_once(given, order)))
    asyncio.run(_live(given, order))


top = Asking(
    "top",
    callback=_top,
    params=[
        click.Option(["--once"], is_flag=True, help="Print one frame and end."),
        click.Option(
            ["--sort", "order"],
            type=click.Choice(_ORDERS),
            default="messages",
            help="What comes first (messages).",
        ),
    ],
    help="Nodes and actors by what they do, once a second; keys: ?.\n\n"
    "Without a terminal, or with --json, once. Nothing is counted out while nobody looks.",
    context_settings=CONTEXT,
)
