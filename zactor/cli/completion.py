"""Completion, what TAB offers in the console: commands first, then what an argument may be."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Sequence

from zactor.commands.catalogue import COMMANDS, term_spellings
from zactor.commands.command import Command, Kind
from zactor.kernel.messages.service import Service

WORDS = ("help", "exit")
"""What the console itself understands, beside the commands."""

DELIMITERS = " \t\n(),[]'\""
"""Where readline thinks that a word begins; not `.`, so that EMITTER.ACTION is one."""

Names = Callable[[Kind], Iterable[str]]
"""The names of a kind that exist at the moment."""


def complete(line: str, text: str, names: Names) -> list[str]:
    """Return what `text`, the end of `line`, may become."""
    before = line[: len(line) - len(text)]
    return sorted(found for found in set(_offers(before, text, names)) if found.startswith(text))


def _offers(before: str, text: str, names: Names) -> Iterable[str]:
    head = before.rpartition(". ")[2].lstrip(" -")
    term = re.match(r"(\w+)\s*\((.*)$", head, re.DOTALL)
    if term:
        return _of_term(term[1], term[2], text, names)
    words = head.split()
    if not words:
        firsts = [command.words.partition(" ")[0] for command in COMMANDS]
        terms = [f"{functor}(" for functor, *_ in term_spellings()]
        return [*firsts, *terms, *WORDS]
    for command in COMMANDS:
        mine = command.words.split()
        if words[: len(mine)] == mine:
            return _of_words(command, words[len(mine) :], text, names)
    pairs = [command.words.split() for command in COMMANDS]
    return [pair[1] for pair in pairs if len(pair) == 2 and pair[:1] == words]


def _of_words(command: Command, done: Sequence[str], text: str, names: Names) -> Iterable[str]:
    options = {each.option: each for each in command.parameters if each.option}
    if text.startswith("-"):
        return [*options, "--json"]
    if done and done[-1] in options:
        return _of_kind(options[done[-1]].kind, text, names)
    places = [parameter for parameter in command.parameters if not parameter.option]
    index = len([word for word in done if not word.startswith("--")])
    return _of_kind(places[index].kind, text, names) if index < len(places) else ()


def _of_term(functor: str, done: str, text: str, names: Names) -> Iterable[str]:
    for name, command, arguments, _ in term_spellings():
        index = done.count(",")
        if name == functor and index < len(arguments):
            argument = arguments[index]
            kinds = {parameter.name: parameter.kind for parameter in command.parameters}
            default = Kind.ACTOR if argument == "emitter" else Kind.TEXT
            return _of_kind(kinds.get(argument, default), text, names)
    return ()


def _of_kind(kind: Kind, text: str, names: Names) -> Iterable[str]:
    match kind:
        case Kind.ACTOR | Kind.NODE | Kind.TYPE | Kind.PORT:
            return names(kind)
        case Kind.REACTOR:
            return names(Kind.ACTOR)
        case Kind.SERVICE:
            return [service.value for service in Service]
        case Kind.MEANWHILE:
            return ["drop", "hold(1000)", "block"]
        case Kind.FILE:
            found = glob.glob(f"{glob.escape(os.path.expanduser(text))}*")
            return [f"{path}/" if os.path.isdir(path) else path for path in found]
        case Kind.GOAL:
            return ["actor(", "factory(", "incarnation(", "node(", "reacts(", "spec(", "state("]
        case _:
            return ()
