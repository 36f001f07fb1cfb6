"""Commands spelt as terms: `deployActor(counter, c1, n1)` becomes a CommandCall."""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_never

from zactor.commands.catalogue import term_spellings
from zactor.commands.command import (
    Command,
    CommandCall,
    Kind,
    read_count,
    read_meanwhile,
    read_seconds,
    read_service,
)
from zactor.kernel.errors import ConfigError, ScriptError
from zactor.kernel.knowledge.reader import parse_term
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var
from zactor.kernel.knowledge.writer import format_term

_CONSTANTS: Mapping[str, object] = {"true": True, "false": False, "null": None}


def call_from_term(text: str) -> CommandCall:
    """Return the command that the term `text` stands for.

    Raises:
        ScriptError: there is no command of that name and number of arguments.
        ConfigError: it is no term, or an argument is of the wrong kind.
    """
    term = parse_term(text)
    if not isinstance(term, Compound):
        raise ScriptError(f"{text!r} is no operation: `help` lists them")
    spellings = [spelling for spelling in term_spellings() if spelling[0] == term.functor]
    for _, command, names, needed in spellings:
        if needed <= len(term.args) <= len(names):
            values = {
                name: _read(command, name, value)
                for name, value in zip(names, term.args, strict=False)
            }
            return CommandCall(command, values)
    if spellings:
        usages = [_usage(term.functor, names, needed) for _, _, names, needed in spellings]
        raise ScriptError(
            f"{term.functor} has {len(term.args)} arguments: want {' or '.join(usages)}"
        )
    raise ScriptError(f"{term.functor}/{len(term.args)} is no operation: `help` lists them")


def _usage(functor: str, names: tuple[str, ...], needed: int) -> str:
    optional = "".join(f"[, {name}]" for name in names[needed:])
    return f"{functor}({', '.join(names[:needed])}{optional})"


def _read(command: Command, name: str, term: Term) -> object:
    """Return the value of argument `name`."""
    found = next((each for each in command.parameters if each.name == name), None)
    kind = found.kind if found else Kind.TEXT  # emitter and action are one word in the shell
    match kind:
        case Kind.GOAL:
            return format_term(term)
        case Kind.SECONDS:
            return read_seconds(term)
        case Kind.COUNT:
            return read_count(term)
        case Kind.FLAG:
            flag = plain(term)
            if not isinstance(flag, bool):
                raise ConfigError(f"{name} is true or false, not {format_term(term)}")
            return flag
        case Kind.JSON:
            return [plain(each) for each in term] if isinstance(term, tuple) else [plain(term)]
        case Kind.PAIR:
            return _pairs(name, term)
        case Kind.SERVICE:
            return read_service(_text(name, term))
        case Kind.MEANWHILE:
            return read_meanwhile(
                format_term(term) if isinstance(term, Compound) else _text(name, term)
            )
        case Kind.PORT | Kind.REACTOR | Kind.ACTOR | Kind.NODE | Kind.TYPE | Kind.TEXT | Kind.FILE:
            if found is not None and found.many:
                return [_text(name, each) for each in (term if isinstance(term, tuple) else [term])]
            return _text(name, term)
        case _:
            assert_never(kind)


def _text(name: str, term: Term) -> str:
    if isinstance(term, Atom):
        return term.name
    if isinstance(term, str):
        return term
    if name == "action" and isinstance(term, Compound) and term.functor == ">":
        return ">".join(_text("signal or action", each) for each in term.args)
    hint = f": write it in quotes, '{term.name}'" if isinstance(term, Var) else ""
    raise ConfigError(f"{name} is a name, not {format_term(term)}{hint}")


def _pairs(name: str, term: Term) -> dict[str, object]:
    pairs: dict[str, object] = {}
    for each in term if isinstance(term, tuple) else (term,):
        if not (
            isinstance(each, Compound)
            and each.functor == "="
            and len(each.args) == 2
            and isinstance(each.args[0], Atom)
        ):
            raise ConfigError(f"{name} is a list like [start=5], not {format_term(term)}")
        pairs[each.args[0].name] = plain(each.args[1])
    return pairs


def plain(term: Term) -> object:
    """Return `term` as Python data: atoms and strings as text, but true, false and null.

    Raises:
        ConfigError: it has a variable or a compound term in it.
    """
    if isinstance(term, Atom):
        return _CONSTANTS.get(term.name, term.name)
    if isinstance(term, tuple):
        return [plain(each) for each in term]
    if isinstance(term, Var | Compound):
        raise ConfigError(f"{format_term(term)} is no plain value: want atoms, numbers and lists")
    return term
