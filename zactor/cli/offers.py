"""Offers: what TAB in a shell may make of a word, with the names of the cluster as they are now."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem

from zactor.cli.common import Settings
from zactor.commands.command import Kind
from zactor.kernel.errors import ZactorError
from zactor.kernel.messages.service import Service

_NAMED = (Kind.ACTOR, Kind.NODE, Kind.TYPE, Kind.PORT, Kind.REACTOR)

LOOK_S = 1.0  # a person waits: rather nothing than later

Offer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offer(kind: Kind, name: str) -> Offer:
    """Return what completes an argument of that kind and name."""

    def complete(
        context: click.Context, parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        found = _found(context, kind, name)
        return [CompletionItem(each) for each in sorted(set(found)) if each.startswith(incomplete)]

    return complete


def _found(context: click.Context, kind: Kind, name: str) -> Iterable[str]:
    if kind is Kind.SERVICE:
        return [service.value for service in Service]
    if kind is Kind.MEANWHILE:
        return ["drop", "hold:1000", "block"]
    if kind not in _NAMED and name != "action":
        return ()
    try:
        return _of_cluster(context, kind, name)
    except (ZactorError, OSError):  # nobody answers: nothing is offered, and nothing said
        return ()


def _of_cluster(context: click.Context, kind: Kind, name: str) -> Iterable[str]:
    from zactor.client.connect import connect
    from zactor.client.rates import Rates

    given = context.find_object(Settings) or Settings()
    with connect(given.endpoint, given.home_folder, timeout=LOOK_S) as master:
        if kind is Kind.NODE:
            return [str(row["name"]) for row in master.nodes() if row["name"]]
        if kind is Kind.TYPE:
            return [str(row["type"]) for row in master.factories()]
        if kind is Kind.ACTOR and name != "action":
            return [str(row["name"]) for row in master.actors()]
        rates = Rates()
        rates.take(master.watch({}))
        if name == "action":
            actor = rates.actors.get(str(context.params.get("actor")))
            return () if actor is None else {*actor.actions, *actor.signals}
        found = rates.actors.values()
        if kind is Kind.REACTOR:
            does = [f"{each.name}.{action}" for each in found for action in each.actions]
            return [*(each.name for each in found), *does]
        return [f"{each.name}.{signal}" for each in found for signal in each.signals]


def actors_offered(
    context: click.Context, parameter: click.Parameter, text: str
) -> list[CompletionItem]:
    """What TAB offers in a shell where an actor's name belongs."""
    return offer(Kind.ACTOR, "actor")(context, parameter, text)
