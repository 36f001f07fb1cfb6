"""Text as terms: the part of SWI-Prolog's grammar that facts, goals and scripts use."""

from __future__ import annotations

import math
import re
from typing import NamedTuple, NoReturn

from zactor.kernel import limits
from zactor.kernel.errors import TermError
from zactor.kernel.knowledge.operators import ARGUMENT, HIGHEST, INFIX, PREFIX
from zactor.kernel.knowledge.values import Atom, Compound, Term, Var

_ESCAPE = re.compile(
    r"""\\(?:x([0-9a-fA-F]{1,8})\\? | ([0-7]{1,7})\\ | u([0-9a-fA-F]{4}) | U([0-9a-fA-F]{8})
        | (\n) | (.))
      | (''|"") """,
    re.VERBOSE | re.DOTALL,
)

_NAMED = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0",
    "e": "\x1b", "s": " ", "\\": "\\", "'": "'", '"': '"', "`": "`",
}  # fmt: skip


def unescape(token: str, start: int) -> str:
    """Return the text inside the quoted `token`, which begins at `start` of what is read.

    Raises:
        TermError: an escape that doesn't exist, or that names no character.
    """
    quote, text = token[0], token[1:-1]
    if "\\" not in text and quote not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        hexadecimal, octal, short, long, newline, name, doubled = found.groups()
        if doubled:
            return quote if doubled[0] == quote else doubled
        if newline:
            return ""
        if name is not None:
            character = _NAMED.get(name)
            if character is None:
                _fail(start + 1 + found.start(), found[0])
            return character
        code = int(octal, 8) if octal else int(hexadecimal or short or long, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            _fail(start + 1 + found.start(), found[0])
        return chr(code)

    return _ESCAPE.sub(replace, text)


def _fail(position: int, escape: str) -> NoReturn:
    column, expected = position + 1, "an escape such as \\n, \\\\ or \\x41\\"
    raise TermError(
        f"column {column}: expected {expected}, found {escape!r}", column=column, expected=expected
    )


_SIMPLE = r"""[a-zA-Z_]\w*|'[^'\\\n]*'|"[^"\\\n]*"|-?(?:0|[1-9][0-9]{0,17})(?![0-9'.eExob])"""

_NOT = "\\+ "

_FLAT = re.compile(rf"([a-z][a-zA-Z0-9_]*)\((?:{_SIMPLE})(?:,\s?(?:{_SIMPLE}))*\)")

_FLAT_ARGUMENT = re.compile(rf"[(,]\s?({_SIMPLE})")


_TOKEN = re.compile(
    r"""
      (?P<space>(?:\s|%[^\n]*|/\*(?s:.*?)\*/)+)
    | (?P<address>\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]))
    | (?P<number>0'(?:\\[\\'"abfnrtv0]|''|[^\\'])|0x[0-9a-fA-F]+|0o[0-7]+|0b[01]+
        |[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[^\W\d]\w*)
    | (?P<atom>'(?>[^'\\]|\\x[0-9a-fA-F]+\\?|\\[0-7]+\\?|\\(?s:.)|'')*+')
    | (?P<string>"(?>[^"\\]|\\x[0-9a-fA-F]+\\?|\\[0-7]+\\?|\\(?s:.)|"")*+")
    | (?P<end>\.(?=\s|%|$))
    | (?P<symbol>[#$&*+\-./:<=>?@^~\\]+)
    | (?P<solo>\[\]|\{\}|[\[\](),!;|])
    """,
    re.VERBOSE,
)

_COMMENT_LINE = re.compile(r"\s*[#%]")

_HALF = re.compile("[\ud800-\udfff]")

_BASES = {"0x": 16, "0o": 8, "0b": 2}

_CODES = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "0": 0}


class _Token(NamedTuple):
    kind: str  # of _TOKEN's groups, or "over" after the last
    text: str
    start: int
    end: int


def parse_term(text: str) -> Term:
    """Return the term that `text` is; spaces, comments and one `.` at the end are allowed.

    Raises:
        TermError: it isn't one; says at which column, and what was expected there.
    """
    flat = _parse_flat(text.removeprefix(_NOT))
    if flat is not None:
        return Compound("\\+", (flat,)) if text.startswith(_NOT) else flat
    term = _Reader(text, addresses=False).whole()
    if term is None:
        raise TermError("column 1: expected a term, found nothing", column=1, expected="a term")
    return term


def parse_goal(text: str) -> Term:
    """Return the goal that `text` is: facts with variables, `,`, `\\+` and comparisons.

    Raises:
        TermError: it isn't a term; whether it can be solved shows in `query.solve`.
    """
    return parse_term(text)


def parse_clause_line(text: str) -> Term | None:
    """Return the term on one line of a script, or None where the line is empty or a comment.

    Beyond `parse_term` it takes `#` comments and addresses without quotes (192.168.70.39).

    Raises:
        TermError: it is neither.
    """
    if _COMMENT_LINE.match(text):
        return None
    flat = _parse_flat(text)
    return flat if flat is not None else _Reader(text, addresses=True).whole()


def _parse_flat(text: str) -> Compound | None:
    found = _FLAT.fullmatch(text)
    if found is None or len(text) > limits.TERM_CHARS_MAX or not text.isascii():
        return None
    functor = found[1]
    arguments: list[Term] = []
    for argument in _FLAT_ARGUMENT.findall(text, len(functor)):
        first = argument[0]
        if first == "'":
            arguments.append(Atom(argument[1:-1]))
        elif first == '"':
            arguments.append(argument[1:-1])
        elif first == "-" or first.isdigit():
            arguments.append(int(argument))
        elif first == "_" or first.isupper():
            arguments.append(Var(argument))
        else:
            arguments.append(Atom(argument))
    return Compound(functor, tuple(arguments))


class _Reader:
    """One text on its way to a term: tokens on demand, one token of look-ahead."""

    def __init__(self, text: str, *, addresses: bool) -> None:
        if len(text) > limits.TERM_CHARS_MAX:
            raise TermError(
                f"a term of {len(text)} characters is too long: at most {limits.TERM_CHARS_MAX}"
            )
        half = None if text.isascii() else _HALF.search(text)
        self._text = text
        if half is not None:
            self._fail(half.start(), "whole characters")
        self._lenient = addresses
        self._depth = 0
        self._token = self._read(0)

    def whole(self) -> Term | None:
        """Return the one term of the text, or None where there is none."""
        if self._token.kind == "over":
            return None
        term = self._term(HIGHEST)
        if self._token.kind == "end":
            self._next()
            self._want("over", "nothing after the '.'")
        self._want("over", "an operator or the end")
        return term

    # -- tokens ------------------------------------------------------------------------------
    def _read(self, position: int) -> _Token:
        while True:
            if position >= len(self._text):
                return _Token("over", "", position, position)
            found = _TOKEN.match(self._text, position)
            if found is None:
                self._fail_at_character(position)
            kind = found.lastgroup or ""
            if kind == "address" and not self._lenient:
                self._fail(position, "quotes around an address, as in '127.0.0.1'")
            if kind == "symbol" and found[0].startswith("#") and self._lenient:
                return _Token("over", "", position, position)
            if kind != "space":
                return _Token(kind, found[0], position, found.end())
            position = found.end()

    def _next(self) -> _Token:
        token = self._token
        self._token = self._read(token.end)
        return token

    def _want(self, kind: str, expected: str, text: str = "") -> None:
        if self._token.kind != kind or (text and self._token.text != text):
            self._fail(self._token.start, expected)

    def _fail(self, position: int, expected: str) -> NoReturn:
        found = repr(self._text[position : position + 20]) if self._text[position:] else "the end"
        column = position + 1
        raise TermError(
            f"column {column}: expected {expected}, found {found}", column=column, expected=expected
        )

    def _fail_at_character(self, position: int) -> NoReturn:
        character = self._text[position]
        if character in "'\"":
            self._fail(position, f"a closing {character}")
        self._fail(position, "a term")

    # -- terms -------------------------------------------------------------------------------
    def _term(self, priority: int) -> Term:
        """Read a term of at most `priority`; the token after it is the look-ahead."""
        self._depth += 1
        if self._depth > limits.TERM_DEPTH_MAX:
            self._fail(self._token.start, f"a term nested at most {limits.TERM_DEPTH_MAX} deep")
        left, reached = self._operand(priority)
        while (operator := self._infix()) is not None:
            own, left_max, right_max = INFIX[operator]
            if own > priority or reached > left_max:
                break
            self._next()
            left, reached = Compound(operator, (left, self._term(right_max))), own
        self._depth -= 1
        return left

    def _infix(self) -> str | None:
        token = self._token
        if token.kind == "symbol" or (token.kind == "solo" and token.text == ","):
            return token.text if token.text in INFIX else None
        return None

    def _operand(self, priority: int) -> tuple[Term, int]:
        token = self._next()
        opens = self._token.text == "(" and self._token.start == token.end
        match token.kind:
            case "number":
                return self._number(token.text, token.end), 0
            case "address":
                return Atom(token.text), 0
            case "string":
                return unescape(token.text, token.start), 0
            case "atom":
                name = unescape(token.text, token.start)
                return (self._compound(name) if opens else Atom(name)), 0
            case "name":
                if token.text[0] == "_" or token.text[0].isupper():
                    return Var(token.text), 0
                return (self._compound(token.text) if opens else Atom(token.text)), 0
            case "symbol":
                return self._symbol(token, priority, opens)
            case "solo":
                return self._solo(token), 0
        self._fail(token.start, "a term")

    def _symbol(self, token: _Token, priority: int, opens: bool) -> tuple[Term, int]:
        following = self._token
        if token.text == "-" and following.kind == "number" and following.start == token.end:
            self._next()
            return self._number("-" + following.text, following.end), 0
        if opens:
            return self._compound(token.text), 0
        if token.text in PREFIX and not self._ends_operand():
            own, argument_max = PREFIX[token.text]
            if own > priority:
                self._fail(token.start, f"parentheses around {token.text} and its operand")
            return Compound(token.text, (self._term(argument_max),)), own
        return Atom(token.text), 0

    def _ends_operand(self) -> bool:
        token = self._token
        closes = token.kind == "solo" and token.text in ("]", ")", ",", "|")
        return closes or token.kind in ("over", "end") or self._infix() not in (None, "-", "+")

    def _solo(self, token: _Token) -> Term:
        if token.text == "(":
            term = self._term(HIGHEST)
            self._want("solo", "')' or an operator", ")")
            self._next()
            return term
        if token.text == "[":
            return self._sequence("]", "',' or ']'")
        if token.text == "[]":
            return ()
        if token.text in ("!", ";", "{}"):
            opens = self._token.text == "(" and self._token.start == token.end
            return self._compound(token.text) if opens else Atom(token.text)
        self._fail(token.start, "a term")

    def _compound(self, functor: str) -> Compound:
        self._next()
        if self._token.text == ")":
            self._fail(self._token.start, f"an argument of {functor} (without any: no parentheses)")
        return Compound(functor, self._sequence(")", "',' or ')'"))

    def _sequence(self, closing: str, expected: str) -> tuple[Term, ...]:
        elements = [self._term(ARGUMENT)]
        while self._token.kind == "solo" and self._token.text == ",":
            self._next()
            elements.append(self._term(ARGUMENT))
        self._want("solo", expected, closing)
        self._next()
        return tuple(elements)

    def _number(self, text: str, end: int) -> int | float:
        if self._token.kind in ("name", "number", "address") and self._token.start == end:
            self._fail(end, "an operator or ',' after the number")
        sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text)
        prefix = digits[:2]
        if prefix == "0'":
            return sign * _character_code(digits[2:])
        if prefix in _BASES:
            return sign * self._integer(digits[2:], _BASES[prefix], end)
        if any(mark in digits for mark in ".eE"):
            value = float(text)
            if value in (float("inf"), float("-inf")):
                self._fail(end - len(text), "a finite number")
            return value
        return sign * self._integer(digits, 10, end)

    def _integer(self, digits: str, base: int, end: int) -> int:
        # The length is checked first: int() of many digits takes time that grows with their square.
        if len(digits) * math.log2(base) < limits.TERM_INTEGER_BITS_MAX + 4:
            value = int(digits, base)
            if value.bit_length() <= limits.TERM_INTEGER_BITS_MAX:
                return value
        self._fail(end - len(digits), f"an integer of at most {limits.TERM_INTEGER_BITS_MAX} bits")


def _character_code(text: str) -> int:
    if text[0] == "\\":
        return _CODES.get(text[1], ord(text[1]))
    return ord(text[0])
