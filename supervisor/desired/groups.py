"""Groups of actors that are restarted together, as a file wants them and as they are. Pure."""

from __future__ import annotations

from collections.abc import Collection

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import check_name
from zactor.supervisor.desired.comparison import Comparison
from zactor.supervisor.kb import policies, restart_groups
from zactor.supervisor.kb.restart_groups import RestartGroup
from zactor.supervisor.kb.wishes import Wish, WishedGroup


def compare_groups(c: Comparison) -> None:
    """Add, change and remove groups; nothing is restarted for that."""
    there = {group.name: group for group in restart_groups.groups(c.theory, c.wish.name)}
    for each in c.wish.groups:
        wanted, known = _group(c.wish.name, each), there.pop(each.name, None)
        words = f"group {each.name} was changed meanwhile"
        if known is None:
            c.draft.require(f"\\+ {wanted.pattern()}", words)
            c.draft.row("+", "group", each.name, _said(wanted))
        else:
            c.draft.require(known.fact(), words)
        if known == wanted:
            c.as_is("group", each.name)
            continue
        if known is not None:
            c.draft.retract(known.pattern())
            said, before = _said(wanted), _said(known)
            c.draft.row("~", "group", each.name, f"{before} -> {said}", old=before, new=said)
        c.draft.bring(wanted.fact())
    for name, known in there.items():
        c.draft.require(known.fact(), f"group {name} was changed meanwhile")
        c.draft.retract(known.pattern())
        c.draft.row("-", "group", name, "no longer in the file")


def _group(file: str, wished: WishedGroup) -> RestartGroup:
    return RestartGroup(
        file=file,
        name=wished.name,
        strategy=wished.strategy,
        intensity=wished.intensity,
        actors=wished.actors,
    )


def _said(group: RestartGroup) -> str:
    return f"{group.strategy}, {group.intensity}: {', '.join(group.actors)}"


def check_groups(wish: Wish) -> None:
    """Raise ConfigError where a group of a wish contradicts itself or another."""
    actors = {actor.name: actor for actor in wish.actors if not actor.each}
    taken: dict[str, str] = {}
    for group in wish.groups:
        check_name("group", group.name)
        check_members(group, actors)
        for name in group.actors:
            if name in taken:
                raise ConfigError(f"{name} is in two groups, {taken[name]} and {group.name}")
            taken[name] = group.name
            if actors[name].restart == policies.TEMPORARY:
                raise ConfigError(
                    f"{name} of group {group.name} is temporary: it is never restarted"
                )


def check_members(group: WishedGroup, actors: Collection[str]) -> None:
    """Raise ConfigError where a group isn't of these actors, or isn't one."""
    restart_groups.check_strategy(group.strategy)
    policies.check_intensity(group.intensity)
    most = restart_groups.GROUP_ACTORS_MAX
    if not 0 < len(group.actors) <= most:
        raise ConfigError(f"group {group.name} has {len(group.actors)} actors: want 1 to {most}")
    for name in group.actors:
        if name not in actors:
            raise ConfigError(f"there is no actor {name} for group {group.name} (none with each)")
    if len(set(group.actors)) != len(group.actors):
        raise ConfigError(f"group {group.name} names an actor twice")
