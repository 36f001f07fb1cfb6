"""Policies: what an actor's ends and deaths are answered with, as facts beside the actor. Pure.

`policy(Name, Restart, Intensity, Drain, On)`: restarted when, how often at most, how long it may
finish its work when it is replaced, and on which nodes it is brought back when its node is gone.
`next(Name, Type, Node, Bundle, Arguments, Deployment)`: who takes the place of an actor that is
told to stop, as soon as it has. `yields(Name)`: its node knows that it may run elsewhere, and ends
it when it is cut off; where it is placed so, or when its node has said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import deployment_uid
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.supervisor.kb import facts

PERMANENT, TRANSIENT, TEMPORARY = "permanent", "transient", "temporary"
RESTARTS = (PERMANENT, TRANSIENT, TEMPORARY)
INTENSITY = "3 in 10s"
DRAIN_S = 2.0
ON_MAX = 64  # nodes that one actor may go to
_INTENSITY = re.compile(r"(\d{1,4}) in (\d{1,6}(?:\.\d{1,3})?) ?s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an actor's ends and deaths are answered with."""

    restart: str = TRANSIENT  # permanent | transient | temporary, as in OTP
    intensity: str = INTENSITY  # "3 in 10s": more restarts than that, and it has failed
    drain_s: float = DRAIN_S  # for its work, when it is replaced or removed
    on: tuple[str, ...] = ()  # nodes that it may run on, the best first; (): it stays lost

    def names_others(self, node: str) -> bool:
        """Whether it lets an actor run on another node than that."""
        return any(other != node for other in self.on)

    def fact(self, name: str) -> str:
        """Return the fact that says so of the actor `name`."""
        return (
            f"policy({quote_atom(name)}, {self.restart}, {format_term(self.intensity)},"
            f" {format_term(float(self.drain_s))}, {self._nodes()})"
        )

    def somehow(self, name: str) -> str:
        """Return the pattern of its facts that name the same nodes."""
        return f"policy({quote_atom(name)}, _, _, _, {self._nodes()})"

    def _nodes(self) -> str:
        return f"[{', '.join(map(quote_atom, self.on))}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """Who takes the place of an actor that is told to stop."""

    name: str
    type: str
    node: str
    bundle: str
    arguments: str
    deployment: str
    installs: bool = False  # as the one that was there; see facts.installs_fact

    def fact(self) -> str:
        """Return the fact that says so."""
        return (
            f"next({quote_atom(self.name)}, {quote_atom(self.type)}, {quote_atom(self.node)},"
            f" {quote_atom(self.bundle)}, {format_term(self.arguments)},"
            f" {quote_atom(self.deployment)})"
        )

    def begins(self, policy: Policy | None) -> tuple[str, ...]:
        """Return the facts by which it is placed.

        Args: policy: what it has there. Who starts it knows that it yields by these very facts.
        """
        yields = policy is not None and policy.names_others(self.node)
        return (
            *start_facts(
                self.name, self.type, self.node, self.bundle, self.arguments, self.deployment
            ),
            born_fact(self.name, self.deployment),
            *((yields_fact(self.name),) if yields else ()),
        )


def start_facts(
    name: str, type_name: str, node: str, bundle: str, arguments: str, deployment: str
) -> tuple[str, ...]:
    """Return the facts by which an actor is placed on a node, which then starts it."""
    actor = quote_atom(name)
    return (
        f"actor({actor}, {quote_atom(type_name)}, {quote_atom(node)})",
        f"spec({actor}, {quote_atom(bundle)}, {format_term(arguments)}, {quote_atom(deployment)})",
        f'state({actor}, starting, "")',
    )


def born_fact(name: str, deployment: str) -> str:
    """Return the fact that gives an actor a uid of its own, where several are placed at once."""
    return f"born({quote_atom(name)}, {deployment_uid(deployment)})"


def check_intensity(text: str) -> tuple[int, float]:
    """Return what "3 in 10s" says: how many restarts, in how many seconds.

    Raises:
        ConfigError: it says nothing of the kind.
    """
    found = _INTENSITY.fullmatch(text.strip())
    if found is None or float(found[2]) <= 0:
        raise ConfigError(f'{text!r} is no intensity: want COUNT in SECONDS, like "3 in 10s"')
    return int(found[1]), float(found[2])


def check_restart(text: str) -> str:
    """Return `text` if it says when an actor is restarted.

    Raises:
        ConfigError: it doesn't.
    """
    if text not in RESTARTS:
        raise ConfigError(f"{text!r} is no restart: want {', '.join(RESTARTS[:2])} or {TEMPORARY}")
    return text


def policy(theory: Theory, name: str) -> Policy | None:
    """Return the policy of the actor `name`; None: it has none."""
    for fact in theory.facts("policy", 5, Atom(name)):
        _, restart, intensity, drain, on = facts.arguments_of(fact.term)
        return Policy(
            restart=text_of(restart),
            intensity=text_of(intensity),
            drain_s=float(text_of(drain)),
            on=tuple(map(text_of, on)) if isinstance(on, tuple) else (),
        )
    return None


def successor(theory: Theory, name: str) -> Successor | None:
    """Return who takes the place of the actor `name` when it has stopped."""
    for fact in theory.facts("next", 6, Atom(name)):
        _, type_name, node, bundle, arguments, deployment = map(
            text_of, facts.arguments_of(fact.term)
        )
        return Successor(
            name=name,
            type=type_name,
            node=node,
            bundle=bundle,
            arguments=arguments,
            deployment=deployment,
            installs=facts.installs(theory, name),
        )
    return None


def may_leave(theory: Theory, name: str, node: str) -> bool:
    """Whether the actor `name` may run on another node than `node`, as far as is known here."""
    wanted = policy(theory, name)
    return wanted is not None and wanted.names_others(node)


def yields(theory: Theory, name: str) -> bool:
    """Whether the node of the actor `name` ends it when it is cut off, as all are told."""
    return bool(theory.candidates("yields", 1, [(0, Atom(name))]))


def yields_fact(name: str) -> str:
    """Return the fact that says so, which is its pattern as well."""
    return f"yields({quote_atom(name)})"


def waiting_successors(theory: Theory) -> Iterable[Successor]:
    """Yield those whose predecessors are neither there nor lost, by name."""
    names = sorted(text_of(facts.arguments_of(fact.term)[0]) for fact in theory.facts("next", 6))
    for name in names:
        there = [
            theory.candidates(*fact, [(0, Atom(name))]) for fact in (("actor", 3), ("lost", 4))
        ]
        if not any(there):
            found = successor(theory, name)
            if found is not None:
                yield found


def next_pattern(name: str) -> str:
    """Return the pattern of the fact that names a successor."""
    return f"next({quote_atom(name)}, _, _, _, _, _)"


def policy_pattern(name: str) -> str:
    """Return the pattern of the policy of the actor `name`."""
    return f"policy({quote_atom(name)}, _, _, _, _)"
