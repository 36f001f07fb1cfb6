"""Marks of nodes: labels that they were started with, and which of them are drained. Pure.

`label(Node, Key, Value)` stays while a node is away. `drained(Node)` says that no actor is to run
there; `aside(Name, Why)` that an actor is lost when it has stopped, to be brought back later.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.knowledge.values import Atom
from zactor.kernel.knowledge.writer import format_term, quote_atom, text_of
from zactor.supervisor.kb import facts

_LABEL = re.compile(r"([A-Za-z0-9_.-]{1,64})(?:=([A-Za-z0-9_./:-]{0,64}))?")


def read_label(text: str) -> tuple[str, str]:
    """Return key and value of a label, "roof" or "site=north".

    Raises:
        ConfigError: it is none.
    """
    found = _LABEL.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no label: want KEY or KEY=VALUE, of letters, digits, _ . -")
    return found[1], found[2] or ""


def read_labels(texts: Iterable[str]) -> tuple[str, ...]:
    """Return labels as they are written, each once, sorted.

    Raises:
        ConfigError: one is none, a key has two values, or there are too many.
    """
    pairs = [read_label(text) for text in texts]
    keys = [key for key, _ in sorted(set(pairs))]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise ConfigError(f"the label {twice[0]} has two values")
    if len(keys) > limits.NODE_LABELS_MAX:
        raise ConfigError(f"{len(keys)} labels: a node has {limits.NODE_LABELS_MAX} at most")
    return tuple(f"{key}={value}" if value else key for key, value in sorted(set(pairs)))


def labels(theory: Theory) -> dict[str, tuple[str, ...]]:
    """Return the labels of each node that has some, of those that are away too."""
    found: dict[str, list[str]] = {}
    for fact in theory.facts("label", 3):
        node, key, value = map(text_of, facts.arguments_of(fact.term))
        found.setdefault(node, []).append(f"{key}={value}" if value else key)
    return {node: tuple(sorted(texts)) for node, texts in sorted(found.items())}


def label_fact(node: str, label: str) -> str:
    """Return the fact that a node has that label."""
    key, value = read_label(label)
    return f"label({quote_atom(node)}, {quote_atom(key)}, {quote_atom(value)})"


def label_pattern(node: str) -> str:
    """Return the pattern of the labels of a node."""
    return f"label({quote_atom(node)}, _, _)"


def labelled(labels: Mapping[str, Iterable[str]], wanted: str) -> list[str]:
    """Return the nodes with a label: of that key, or of that key and value."""
    key, value = read_label(wanted)
    return [
        node
        for node, texts in labels.items()
        if any(k == key and value in ("", v) for k, v in map(read_label, texts))
    ]


def drained(theory: Theory) -> list[str]:
    """Return the nodes on which no actor is to run, by name."""
    return sorted(text_of(facts.arguments_of(fact.term)[0]) for fact in theory.facts("drained", 1))


def is_drained(theory: Theory, node: str) -> bool:
    """Whether no actor is to run on a node."""
    return bool(theory.candidates("drained", 1, [(0, Atom(node))]))


def drained_fact(node: str) -> str:
    """Return the fact that no actor is to run on a node."""
    return f"drained({quote_atom(node)})"


def drained_words(node: str) -> str:
    """Return what is said to whoever wants something to run there."""
    return f"node {node} is drained: `zactor resume {node}` first"


def aside(theory: Theory, actor: str) -> str | None:
    """Return why an actor that stops is to be brought back later; None: it isn't."""
    for fact in theory.facts("aside", 2, Atom(actor)):
        return text_of(facts.arguments_of(fact.term)[1])
    return None


def aside_fact(actor: str, why: str) -> str:
    """Return the fact that an actor is to be brought back later."""
    return f"aside({quote_atom(actor)}, {format_term(why)})"


def aside_pattern(actor: str) -> str:
    """Return its pattern."""
    return f"aside({quote_atom(actor)}, _)"
