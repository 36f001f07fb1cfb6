"""Plans: a file's text, what it would change, and made so: the planner is that of `zactor plan`.

A page reads no files of this machine: code that a text names by a path is the code that the network
has of that type.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from zactor.client.master import Master
from zactor.commands.desired_actions import plan_summary
from zactor.desired.carry_out import make_wish
from zactor.desired.document import Document, is_identity, line_of, read_document
from zactor.kernel.errors import ConfigError, ZactorError
from zactor.web.answers import answer, body_of, problem
from zactor.web.guard import READ_ONLY, Guard, Refusal

Row = dict[str, object]


class PlanAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file, and how far its plan goes: as the options of `zactor plan`."""

    text: str
    file: str = "lab.toml"
    prune: bool = True
    remove_all: bool = False
    adopt: bool = False
    digest: str = ""  # of the plan that was shown: `apply` does exactly that, or nothing


class Plans:
    """The part of the API about what should be there. One loop's."""

    def __init__(self, master: Master, guard: Guard) -> None:
        """`guard` says whether something may be applied."""
        self._master = master
        self._guard = guard

    def routes(self) -> list[Route]:
        """Return where it is asked."""
        return [
            Route("/api/v1/plan", self._kept),
            Route("/api/v1/plan", self._plan, methods=["POST"]),
            Route("/api/v1/apply", self._apply, methods=["POST"]),
        ]

    async def _kept(self, request: Request) -> Response:
        """How the network differs from each file that was applied."""
        rows = await self._master.query("wish(File, _, Keep)")
        return answer([await self._differences(str(row["File"])) for row in rows])

    async def _differences(self, name: str) -> Row:
        try:
            return _told(await self._master.plan("", name))
        except ZactorError as error:  # two files want the same, say; the others are told of
            return {"wish": name, "problem": str(error), "rows": []}

    async def _plan(self, request: Request) -> Response:
        asked = await _asked(request)
        wish, notes = await self._wish(asked)
        plan = await self._master.plan(
            wish, prune=asked.prune, remove_all=asked.remove_all, adopt=asked.adopt
        )
        return answer({**_told(plan), "notes": notes})

    async def _apply(self, request: Request) -> Response:
        if not self._guard.may_change:
            return problem(READ_ONLY)
        asked = await _asked(request)
        if not asked.digest:
            words = "want the digest of the plan that was looked at"
            return problem(Refusal(400, "UsageError", words))
        wish, _ = await self._wish(asked)
        done = await self._master.apply(
            wish,
            prune=asked.prune,
            remove_all=asked.remove_all,
            adopt=asked.adopt,
            digest=asked.digest,
        )
        return answer(done)

    async def _wish(self, asked: PlanAsked) -> tuple[str, list[str]]:
        """Return the wish in a text, and what is to be said of where its code comes from."""
        document = read_document(asked.text, asked.file, Path())
        rows = await self._master.factories()
        there = {str(row["type"]): str(row["bundle"]) for row in rows}
        bundles = {
            name: source if is_identity(source) else _code_there(asked, document, name, there)
            for name, source in document.factories.items()
        }
        notes = [
            f"{name}: its code as the network has it, since a page doesn't read {source}"
            for name, source in sorted(document.factories.items())
            if not is_identity(source)
        ]
        return make_wish(document, bundles).to_text(), notes


def _code_there(asked: PlanAsked, document: Document, name: str, there: dict[str, str]) -> str:
    if name not in there:
        source = document.factories[name]
        line = line_of(asked.text, ("factories", name))
        raise ConfigError(
            f"{asked.file}:{line}: a page doesn't read {source}, and the network has no type {name}"
            f" yet: say `zactor apply {asked.file}`, or `zactor declare-factory {name} {source}`"
            " first, in a shell"
        )
    return there[name]


async def _asked(request: Request) -> PlanAsked:
    try:
        return msgspec.json.decode(await body_of(request), type=PlanAsked)
    except (msgspec.DecodeError, ValueError) as error:
        raise ConfigError(f'want {{"text": "…"}}: {error}') from None


def _told(plan: Row) -> Row:
    return {**plan, "summary": plan_summary(plan)}
