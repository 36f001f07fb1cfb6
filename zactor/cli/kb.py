"""`zactor kb`: what the knowledge base holds, as files and tables.

`zactor why`, `query` and the like have no file of their own: they are entries of the catalogue
(commands/catalogue.py), which from_catalogue.py makes shell commands of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import click

from zactor.cli.common import CONTEXT, Asking, deadline, family, say, settings
from zactor.cli.from_catalogue import TIMEOUT_S, open_session, perform, shell_command
from zactor.commands import actions
from zactor.commands.catalogue import find_words
from zactor.commands.command import CommandCall

SCHEMA = (
    *(("node", 2), ("incarnation", 2), ("factory", 2), ("actor", 3), ("spec", 4)),
    *(("reacts", 4), ("state", 3), ("todo", 4), ("errand", 4)),
)
"""Declared in every export, so that a goal about none of them fails instead of raising."""

_PLAIN = re.compile(r"[a-z][A-Za-z0-9_]*")


def export_prolog(facts: Iterable[Mapping[str, object]]) -> str:
    """Return a file that SWI-Prolog consults: the facts, each with its clock as a comment."""
    ordered = sorted(facts, key=lambda fact: str(fact["fact"]))
    known = dict.fromkeys(SCHEMA)
    known |= dict.fromkeys((str(fact["functor"]), _arity(fact)) for fact in ordered)
    indicators = [f"{_atom(functor)}/{arity}" for functor, arity in known]
    lines = [
        "% The knowledge base of a zactor cluster. Behind each fact: the clock of its change.",
        ":- encoding(utf8).",
        *(f":- dynamic({indicator})." for indicator in indicators),
        *(f":- discontiguous({indicator})." for indicator in indicators),
        "",
    ]
    for fact in ordered:
        clock = fact.get("clock")
        comment = ".".join(str(part) for part in clock) if isinstance(clock, list) else "?"
        lines.append(f"{fact['fact']}.  % {comment}")
    return "\n".join(lines)


def _arity(fact: Mapping[str, object]) -> int:
    arguments = fact["args"]
    assert isinstance(arguments, list), fact
    return len(arguments)


def _atom(name: str) -> str:
    if _PLAIN.fullmatch(name):
        return name
    from zactor.kernel.knowledge.writer import quote_atom

    return quote_atom(name)


def _export(prolog: bool, at: str | None) -> None:
    from zactor.cli.output import to_json

    given = settings(click.get_current_context())
    with deadline(given.timeout or TIMEOUT_S), open_session(given) as session:
        facts = actions.facts(session, {} if at is None else {"at": at})
        assert isinstance(facts, list)
    say(export_prolog(facts) if prolog and not given.json else to_json(facts))


def _at(at: str | None) -> bool:
    """`zactor kb --at CLOCK`, without a command: the facts as they were."""
    if at is None:
        return False
    perform(click.get_current_context(), CommandCall(find_words("kb facts"), {"at": at}))
    return True


def _at_option() -> click.Option:
    return click.Option(
        ["--at"], metavar="CLOCK", help="The facts as they were at a clock, like 3.17."
    )


kb = family(
    "kb",
    "Look into the knowledge base.",
    ("home", "endpoint", "json", "timeout"),
    [
        *(shell_command(find_words(f"kb {name}"), name) for name in ("facts", "query", "log")),
        Asking(
            "export",
            callback=_export,
            params=[
                click.Option(
                    ["--prolog"], is_flag=True, help="As a file that SWI-Prolog consults, not JSON."
                ),
                _at_option(),
            ],
            help="Print the knowledge base as a file.",
            context_settings=CONTEXT,
        ),
    ],
    params=[_at_option()],
    alone=_at,
)
