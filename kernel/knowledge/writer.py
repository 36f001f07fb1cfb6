"""Terms as text, the way SWI-Prolog's writeq prints them.

The printed form is canonical: equal facts print alike, unlike facts don't, and reading the text
gives the term again.
"""

from __future__ import annotations

import math
import re

from zactor.kernel import limits
from zactor.kernel.errors import TermError
from zactor.kernel.knowledge.operators import (
    ARGUMENT,
    HIGHEST,
    INFIX,
    OPERATOR_ATOMS,
    PLAIN_ATOM,
    PREFIX,
    SYMBOLS,
)
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var

Json = str | int | float | list["Json"]

_VARIABLE = re.compile(r"[^\W\d]\w*")
_NAMED_ESCAPES = {
    "\\": "\\\\",
    "\n": "\\n",
    "\t": "\\t",
    "\r": "\\r",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\v": "\\v",
}
_PREFIX_PRINTED = "\\+"  # the others print as -(a): right everywhere, and -(1) is not -1


def format_term(term: Term) -> str:
    """Return the canonical text of `term`.

    Raises:
        TermError: it has no text: a boolean, a number that isn't finite, half a character, …
    """
    return _format(term, HIGHEST, 0)


def quote_atom(name: str) -> str:
    """Return the text of the atom `name`, in quotes if it needs them."""
    if PLAIN_ATOM.fullmatch(name) and name != "." and not name.startswith("/*"):
        return name
    return "'" + _escape(name, "'") + "'"


def quote_string(text: str) -> str:
    """Return the text of the Prolog string `text`."""
    return '"' + _escape(text, '"') + '"'


def to_json(term: Term) -> Json:
    """Return `term` as JSON's types: atoms and strings as text, lists as lists, others printed."""
    if isinstance(term, Atom):
        return term.name
    if isinstance(term, tuple):
        return [to_json(element) for element in term]
    if isinstance(term, str | int | float):
        return term
    return format_term(term)


def text_of(term: Term) -> str:
    """Return the bare text of an atom or a string, without quotes; other terms printed."""
    if isinstance(term, Atom):
        return term.name
    return term if isinstance(term, str) else format_term(term)


def _format(term: Term, priority: int, depth: int) -> str:
    if isinstance(term, Atom):
        text = quote_atom(term.name)
        return f"({text})" if priority < ARGUMENT and term.name in OPERATOR_ATOMS else text
    if isinstance(term, str):
        return quote_string(term)
    if isinstance(term, bool):
        raise TermError(f"{term!r} is no term: use Atom('true') or Atom('false')")
    if isinstance(term, int):
        return _format_integer(term)
    if isinstance(term, float):
        return _format_float(term)
    if isinstance(term, Var):
        first = term.name[:1]
        if not (_VARIABLE.fullmatch(term.name) and (first == "_" or first.isupper())):
            raise TermError(f"{term.name!r} is no name of a variable: want a capital or _ first")
        return term.name
    if depth > limits.TERM_DEPTH_MAX:
        raise TermError(f"a term is nested more than {limits.TERM_DEPTH_MAX} deep")
    if isinstance(term, tuple):
        return "[" + ",".join([_format(one, ARGUMENT, depth + 1) for one in term]) + "]"
    return _format_compound(term, priority, depth)


def _format_compound(term: Compound, priority: int, depth: int) -> str:
    if not term.args:
        raise TermError(f"{term.functor!r} has no arguments: use Atom({term.functor!r})")
    if len(term.args) == 2 and term.functor in INFIX:
        own, left_max, right_max = INFIX[term.functor]
        left = _format(term.args[0], left_max, depth + 1)
        right = _format(term.args[1], right_max, depth + 1)
        text = _join(left, term.functor, right)
    elif (
        len(term.args) == 1 and term.functor == _PREFIX_PRINTED and not _begins_infix(term.args[0])
    ):
        own, argument_max = PREFIX[term.functor]
        operand = _format(term.args[0], argument_max, depth + 1)
        text = term.functor + (" " if operand[0] in SYMBOLS or operand[0] == "(" else "") + operand
    else:
        inner = ",".join([_format(one, ARGUMENT, depth + 1) for one in term.args])
        return f"{quote_atom(term.functor)}({inner})"
    return f"({text})" if own > priority else text


def _begins_infix(operand: Term) -> bool:
    """Whether it is printed as an infix operator before a parenthesis: \\+ :(a) isn't \\+(:(a))."""
    return isinstance(operand, Compound) and operand.functor in INFIX and len(operand.args) != 2


def _join(left: str, operator: str, right: str) -> str:
    # Symbol characters that touch would be read as one longer symbol: a= -1, not a=-1.
    if operator == ",":
        return f"{left},{right}"
    before = " " if left[-1] in SYMBOLS else ""
    after = " " if right[0] in SYMBOLS else ""
    return f"{left}{before}{operator}{after}{right}"


def _format_integer(value: int) -> str:
    if value.bit_length() > limits.TERM_INTEGER_BITS_MAX:
        raise TermError(f"an integer has more than {limits.TERM_INTEGER_BITS_MAX} bits")
    return str(value)


def _format_float(value: float) -> str:
    if not math.isfinite(value):
        raise TermError(f"{value!r} is no term: a number must be finite")
    mantissa, e, exponent = repr(value).partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def _escape(text: str, quote: str) -> str:
    if text.isprintable() and "\\" not in text and quote not in text:
        return text
    # Each character once, however often it is there: a fact may be a megabyte of them.
    escapes = {ord(character): _escape_character(character, quote) for character in set(text)}
    return text.translate(escapes)


def _escape_character(character: str, quote: str) -> str:
    if character == quote:
        return "\\" + quote
    named = _NAMED_ESCAPES.get(character)
    if named is not None:
        return named
    if "\ud800" <= character <= "\udfff":
        raise TermError(f"{character!r} is half a character: no text may hold it")
    if character.isprintable():
        return character
    return f"\\x{ord(character):x}\\"
