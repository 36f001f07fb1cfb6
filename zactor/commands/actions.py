"""Actions of the catalogue's commands, and what is said of their results to people."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import cast

from zactor.commands.command import ConsoleSession, Values
from zactor.commands.text import cell
from zactor.kernel.errors import EXIT_DEGRADED, ConfigError, TimedOut
from zactor.kernel.ids import spoken_wire

Row = dict[str, object]

DIGEST_SHOWN = 19
"""Characters of "sha256:…" that people are shown; --json has all of them."""
WAIT_S = 30.0
"""How long `wait` waits when nobody says."""
_DRAINED_S = 30.0  # beyond --drain S, until a destroyed actor is out of the knowledge base


# -- what they do ----------------------------------------------------------------------------
def _text(values: Values, name: str) -> str:
    value = values[name]
    assert isinstance(value, str), f"{name} is {value!r}"
    return value


def _seconds(values: Values, name: str) -> float:
    value = values[name]
    assert isinstance(value, float), f"{name} is {value!r}"
    return value


def _arguments(values: Values) -> tuple[object, ...]:
    return tuple(cast("Iterable[object]", values.get("arguments", ())))


def _anyway(values: Values) -> bool:
    return values.get("anyway") is True


def doctor(session: ConsoleSession, values: Values) -> object:
    """The checks of all nodes; with `network` those of the way to each of them as well."""
    asked = time.time()
    checks = session.master.doctor()
    answered = time.time()
    if not values.get("network"):
        return checks
    from zactor.client.network_check import check_network

    return [*checks, *check_network(session.master.nodes(), checks, asked, answered)]


def declare_node(session: ConsoleSession, values: Values) -> object:
    """Name a node; its name and address."""
    return session.master.declare_node(_text(values, "name"), _text(values, "address"))


def forget(session: ConsoleSession, values: Values) -> object:
    """Take a dead member's vote, or what was ordered; what, and who is the primary now."""
    return session.master.forget(_text(values, "name"), values.get("i_know") is True)


def recover(session: ConsoleSession, values: Values) -> object:
    """Go on without a quorum; who does."""
    return session.master.recover(_text(values, "node"), values.get("i_know") is True)


def deploy(session: ConsoleSession, values: Values) -> object:
    """Create an actor; its name, type and node."""
    kind, name, node = (_text(values, key) for key in ("type", "name", "node"))
    given = cast("dict[str, object]", values.get("arg", {}))
    with_what = ", with what it needs (`zactor events -f` tells)" if values.get("install") else ""
    session.progress(f"deploying {name} on {node}{with_what}")
    restart, intensity = str(values.get("restart", "")), str(values.get("intensity", ""))
    if intensity and not restart:
        raise ConfigError("--intensity says how often it is restarted: say --restart too")
    install = values.get("install") is True
    if restart or install:
        session.master.deploy_with(
            kind, name, node, given, restart=restart, intensity=intensity, install=install
        )
    else:
        session.master.deploy_actor(kind, name, node, **given)
    return {"name": name, "type": kind, "node": node}


def restore(session: ConsoleSession, values: Values) -> object:
    """Deploy lost actors again; what became of each."""
    names = [str(name) for name in cast("Iterable[object]", values.get("names", ()))]
    if bool(names) == (values.get("all") is True):
        raise ConfigError("restore what? say names of lost actors (`zactor ps`), or --all")
    on = _text(values, "on") if "on" in values else ""
    session.progress(f"deploying {', '.join(names) or 'all that is lost'} again")
    return session.master.restore(*names, on=on)


def destroy(session: ConsoleSession, values: Values) -> object:
    """End an actor; its name, and the wires that went with it."""
    name = _text(values, "name")
    wires = [row for row in session.master.wires() if name in (row["emitter"], row["reactor"])]
    todo = values.get("todo") is True
    session.progress(f"waiting until {name} has finished its work")
    drain = _seconds(values, "drain") if "drain" in values else None
    timeout = session.timeout
    if timeout is None and drain is not None:
        timeout = drain + _DRAINED_S
    try:
        session.master.destroy_actor(name, todo=todo, drain=drain, timeout=timeout)
    except TimedOut as error:
        hint = f"`zactor destroy {name} --drain S` gives {name} only S seconds for its work"
        raise TimedOut(f"{error}; {hint}") from None
    remains = "" if drain is None else _what_remains(session, name)
    return {"name": name, "wires": wires, "remains": remains}


def _what_remains(session: ConsoleSession, name: str) -> str:
    """What of its code goes on though it is gone, as its node said in the knowledge base."""
    gone = f"{name} was destroyed; "
    said = [str(row["until_why"]) for row in session.master.why(name)]
    return next((why.removeprefix(gone) for why in reversed(said) if why.startswith(gone)), "")


def wire(session: ConsoleSession, values: Values) -> object:
    """Begin an interaction; its parts."""
    reactor, emitter, action = (_text(values, key) for key in ("reactor", "emitter", "action"))
    service = values.get("service", "fifo")
    meanwhile = values.get("meanwhile", "drop")
    assert isinstance(service, str)
    assert isinstance(meanwhile, str)
    session.master.react_interaction(
        reactor, emitter, action, service=service, meanwhile=meanwhile, anyway=_anyway(values)
    )
    parts = {"emitter": emitter, "action": action, "reactor": reactor}
    return {**parts, "service": service, "meanwhile": meanwhile}


def unwire(session: ConsoleSession, values: Values) -> object:
    """End an interaction; its three parts."""
    reactor, emitter, action = (_text(values, key) for key in ("reactor", "emitter", "action"))
    session.master.remove_interaction(reactor, emitter, action)
    return {"emitter": emitter, "action": action, "reactor": reactor}


def signal(session: ConsoleSession, values: Values) -> object:
    """Make an actor emit; how many it reached."""
    actor, action = _text(values, "actor"), _text(values, "action")
    arguments, anyway = _arguments(values), _anyway(values)
    reached = session.master.send_signal(actor, action, *arguments, anyway=anyway)
    return {"actor": actor, "action": action, "reached": reached}


def tell(session: ConsoleSession, values: Values) -> object:
    """Send a message; who got what."""
    actor, action = _text(values, "actor"), _text(values, "action")
    session.master.tell(actor, action, *_arguments(values), anyway=_anyway(values))
    return {"actor": actor, "action": action}


def ask(session: ConsoleSession, values: Values) -> object:
    """Send a message; the reply as plain data."""
    actor, action = _text(values, "actor"), _text(values, "action")
    arguments, anyway = _arguments(values), _anyway(values)
    return session.master.ask(actor, action, *arguments, plain=True, anyway=anyway)


def query(session: ConsoleSession, values: Values) -> object:
    """The solutions of a goal."""
    return session.master.query(_text(values, "goal"))


def wait(session: ConsoleSession, values: Values) -> object:
    """The solutions of a goal, once there are some."""
    limits = [] if session.timeout is None else [session.timeout]
    if "seconds" in values:
        limits.append(_seconds(values, "seconds"))
    return session.master.wait(_text(values, "goal"), min(limits, default=WAIT_S))


def sleep(session: ConsoleSession, values: Values) -> object:
    """Do nothing for a while."""
    time.sleep(_seconds(values, "seconds"))
    return {}


def facts(session: ConsoleSession, values: Values) -> object:
    """All facts, now or as they were."""
    at = values.get("at", "")
    assert isinstance(at, str)
    if "at" in values and not at:  # which would mean now
        raise ConfigError("'' is no clock: want EPOCH.INDEX, like 3.17 (see `zactor kb log`)")
    return session.master.facts(at)


def why(session: ConsoleSession, values: Values) -> object:
    """Where every fact that mentions a name comes from."""
    return session.master.why(_text(values, "name"))


def dead_letters(session: ConsoleSession, values: Values) -> object:
    """What could not be delivered, oldest first."""
    return _last(session.master.dead_letters(_node(values)), values)


def failures(session: ConsoleSession, values: Values) -> object:
    """The actions that raised, oldest first."""
    return _last(session.master.failures(_node(values)), values)


def _node(values: Values) -> str:
    return _text(values, "node") if "node" in values else ""


def _last(rows: list[Row], values: Values) -> list[Row]:
    count = values.get("count", len(rows))
    assert isinstance(count, int)
    return rows[-count:] if count else []


# -- what they say ---------------------------------------------------------------------------
def _row(result: object) -> Row:
    assert isinstance(result, dict), f"{result!r} is no record"
    return result


def _rows(result: object) -> list[Row]:
    assert isinstance(result, list), f"{result!r} is no list"
    return result


def sentence(template: str) -> Callable[[object], str]:
    """Return what says a record by a template with the names of its fields."""
    return lambda result: template.format(**_row(result)) if template else ""


def spoken(row: Mapping[str, object]) -> str:
    """Return a wire as people read it: `s1.reading -> r1.store`."""
    return spoken_wire(str(row["emitter"]), str(row["action"]), str(row["reactor"]))


def say_wired(result: object) -> str:
    """What was wired, and how."""
    row = _row(result)
    how = row.get("meanwhile", "drop")
    meanwhile = "" if how == "drop" else f", {how}"
    return f"{spoken(row)} ({row['service']}{meanwhile})"


def say_unwired(result: object) -> str:
    """What was."""
    return f"{spoken(_row(result))} removed"


def say_solutions(result: object) -> str:
    """`X = c1, Y = n1` for each solution, or yes, or no."""
    solutions = _rows(result)
    if not solutions:
        return "no"
    return "\n".join(
        ", ".join(f"{name} = {_shown(value)}" for name, value in solution.items()) or "yes"
        for solution in solutions
    )


def _shown(value: object) -> str:
    """Return a value as Prolog prints it; which texts were strings is not known here."""
    from zactor.kernel.knowledge.writer import quote_atom

    if isinstance(value, list):
        return f"[{','.join(_shown(each) for each in value)}]"
    return quote_atom(value) if isinstance(value, str) else str(value)


def say_destroyed(result: object) -> str:
    """Who is gone, and what went with it."""
    row = _row(result)
    wires = cast("list[Row]", row["wires"])
    gone = f"; gone with it: {', '.join(map(spoken, wires))}" if wires else ""
    remains = f"; {row['remains']}" if row["remains"] else ""
    return f"{row['name']} destroyed{gone}{remains}"


def say_signal(result: object) -> str:
    """How many actors a signal reached."""
    row = _row(result)
    plural = "" if row["reached"] == 1 else "s"
    return f"{row['actor']}.{row['action']} reached {row['reached']} actor{plural}"


def say_facts(result: object) -> str:
    """The facts as Prolog prints them."""
    return "\n".join(f"{row['fact']}." for row in _rows(result))


def say_why(result: object) -> str:
    """Each fact, and below it who wrote it, when and why, and who took it back.

    What is there comes first, then the newest.
    """
    lines = []
    newest_first = _rows(result)[::-1]
    for row in sorted(newest_first, key=lambda row: not row["present"]):
        lines.append(f"{row['fact']}{'' if row['present'] else '  (gone)'}")
        for word, prefix in (("since", ""), ("until", "until_")):
            clock = row["clock" if word == "since" else "until"]
            if clock is not None:
                told = [row[f"{prefix}{field}"] for field in ("at", "who", "why")]
                lines.append(f"  {word} {_origin(clock, *told)}")
            elif word == "since":
                lines.append("  since before what is kept of the past")
    return "\n".join(lines)


def why_verdict(result: object, values: Values) -> str:
    """What the name is, or what became of it."""
    from zactor.commands.why_verdict import of_why  # loads terms, which -h can do without

    return of_why(_rows(result), _text(values, "name"))


def doctor_verdict(result: object, values: Values) -> str:
    """Whether all is well, or how much isn't and what first."""
    rows = _rows(result)
    bad = [row for row in rows if not row.get("ok")]
    nodes = len({str(row.get("node")) for row in rows})
    checks = f"{len(rows)} checks at {nodes} node{'' if nodes == 1 else 's'}"
    if not bad:
        return f"all is well: {checks}"
    first = bad[0]
    return (
        f"{len(bad)} of {checks} failed, the first at {first.get('node')}:"
        f" {first.get('check')}: {first.get('detail')}"
    )


def _origin(clock: object, at: object, who: object, why: object) -> str:
    return f"{cell('clock', clock)}  {cell('at', at)}  {who}: {why}"


def say_failure(row: Mapping[str, object]) -> str:
    """When an action raised, whose and where, and what."""
    where = f" ({row['where']})" if row["where"] else ""
    who = f"{row['actor']}.{row['action']} on {row['node']}"
    return f"{cell('at', row['at'])}  {who} raised {row['error']}{where}"


def say_restored(result: object) -> str:
    """Each actor and where it runs, or why it doesn't."""
    lines = [
        f"{row['name']} is lost still: {row['error']}"
        if row["error"]
        else f"{row['name']}: {row['type']} on {row['node']}"
        for row in _rows(result)
    ]
    return "\n".join(lines) or "nothing is lost"


def lost_still(result: object) -> int:
    """The exit code of a restoration."""
    return EXIT_DEGRADED if any(row["error"] for row in _rows(result)) else 0


def say_forgotten(result: object) -> str:
    """Who is forgotten, and whether that was enough."""
    row = _row(result)
    if row["forgot"] is not None:
        forgot = [str(name) for name in cast("list[object]", row["forgot"])]
        if forgot == [row["node"]]:
            return f"{row['node']} isn't wanted any more"
        along = f", and not wanted any more: {', '.join(forgot)}" if forgot else ""
        return f"{row['node']} is missed no more{along}"
    primary = ", ".join(map(str, cast("list[object]", row["primary"])))
    then = f"changes are taken by {primary}" if primary else f"but {row['waits']}"
    return f"nothing waits for {row['node']}: {then}"


def say_recovered(result: object) -> str:
    """Who goes on."""
    primary = ", ".join(map(str, cast("list[object]", _row(result)["primary"])))
    return f"changes are taken by {primary}, as a cluster of their own"


def still_waits(result: object) -> int:
    """The exit code of a forgetting: changes may not be taken still."""
    return 0 if _row(result)["primary"] else EXIT_DEGRADED


def degraded(result: object) -> int:
    """The exit code of a status."""
    return EXIT_DEGRADED if _row(result).get("degraded") else 0


def unhealthy(result: object) -> int:
    """The exit code of the doctor's checks."""
    return 0 if all(row.get("ok") for row in _rows(result)) else EXIT_DEGRADED
