"""What the operations of the catalogue do, and what they say of their results to people."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import cast

from zactor.kernel.errors import EXIT_DEGRADED, ConfigError
from zactor.operations import Session, Values

Row = dict[str, object]


# -- what they do ----------------------------------------------------------------------------
def text_of(values: Values, name: str) -> str:
    value = values[name]
    assert isinstance(value, str), f"{name} is {value!r}"
    return value


def seconds_of(values: Values, name: str) -> float:
    value = values[name]
    assert isinstance(value, float), f"{name} is {value!r}"
    return value


def _arguments(values: Values) -> tuple[object, ...]:
    return tuple(cast("Iterable[object]", values.get("arguments", ())))


def declare_node(session: Session, values: Values) -> object:
    return session.master.declare_node(text_of(values, "name"), text_of(values, "address"))


def declare_factory(session: Session, values: Values) -> object:
    source = session.find(text_of(values, "source"))
    session.progress(f"shipping {source} as {text_of(values, 'type')}")
    return session.master.declare_factory(text_of(values, "type"), source)


def deploy(session: Session, values: Values) -> object:
    kind, name, node = (text_of(values, key) for key in ("type", "name", "node"))
    given = cast("dict[str, object]", values.get("arg", {}))
    if taken := {"type", "name", "node"} & given.keys():
        raise ConfigError(f"no argument of a constructor may be called {taken.pop()!r} here")
    session.progress(f"deploying {name} on {node}")
    session.master.deploy_actor(kind, name, node, **given)
    return {"name": name, "type": kind, "node": node}


def destroy(session: Session, values: Values) -> object:
    name = text_of(values, "name")
    todo = values.get("todo") is True
    session.progress(f"waiting until {name} has finished its work")
    if "drain" in values:
        session.master.destroy_actor(name, todo=todo, drain=seconds_of(values, "drain"))
    else:
        session.master.destroy_actor(name, todo=todo)
    return {"name": name}


def wire(session: Session, values: Values) -> object:
    reactor, emitter, action = (text_of(values, key) for key in ("reactor", "emitter", "action"))
    service = values.get("service", "fifo")
    assert isinstance(service, str)
    session.master.react_interaction(reactor, emitter, action, service=service)
    return {"emitter": emitter, "action": action, "reactor": reactor, "service": service}


def unwire(session: Session, values: Values) -> object:
    reactor, emitter, action = (text_of(values, key) for key in ("reactor", "emitter", "action"))
    session.master.remove_interaction(reactor, emitter, action)
    return {"emitter": emitter, "action": action, "reactor": reactor}


def signal(session: Session, values: Values) -> object:
    actor, action = text_of(values, "actor"), text_of(values, "action")
    reached = session.master.send_signal(actor, action, *_arguments(values))
    return {"actor": actor, "action": action, "reached": reached}


def tell(session: Session, values: Values) -> object:
    actor, action = text_of(values, "actor"), text_of(values, "action")
    session.master.tell(actor, action, *_arguments(values))
    return {"actor": actor, "action": action}


def ask(session: Session, values: Values) -> object:
    return session.master.ask(
        text_of(values, "actor"), text_of(values, "action"), *_arguments(values), plain=True
    )


def query(session: Session, values: Values) -> object:
    return session.master.query(text_of(values, "goal"))


def wait(session: Session, values: Values) -> object:
    goal, seconds = text_of(values, "goal"), seconds_of(values, "seconds")
    return session.master.wait(goal, seconds)


def sleep(session: Session, values: Values) -> object:
    time.sleep(seconds_of(values, "seconds"))
    return {}


def facts(session: Session, values: Values) -> object:
    return session.master.facts()


# -- what they say ---------------------------------------------------------------------------
def row(result: object) -> Row:
    assert isinstance(result, dict), f"{result!r} is no record"
    return result


def _rows(result: object) -> list[Row]:
    assert isinstance(result, list), f"{result!r} is no list"
    return result


def say_solutions(result: object) -> str:
    solutions = _rows(result)
    if not solutions:
        return "no"
    return "\n".join(
        ", ".join(f"{name} = {_shown(value)}" for name, value in solution.items()) or "yes"
        for solution in solutions
    )


def _shown(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def say_signal(result: object) -> str:
    row = row(result)
    plural = "" if row["reached"] == 1 else "s"
    return f"{row['actor']}.{row['action']} reached {row['reached']} actor{plural}"


def say_facts(result: object) -> str:
    return "\n".join(f"{row['fact']}." for row in _rows(result))


def degraded(result: object) -> int:
    return EXIT_DEGRADED if row(result).get("degraded") else 0


def unhealthy(result: object) -> int:
    return 0 if all(row.get("ok") for row in _rows(result)) else EXIT_DEGRADED
