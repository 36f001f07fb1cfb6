"""Script files: read them into commands with line numbers, and run them one after the other.

A line is a command as a term (`deployActor(counter, c1, n1).`) or in the shell's words
(`deploy counter c1 n1`). A term may go on over several lines until its parenthesis closes; a `.`
ends a command, so several fit on one line. `%` and `#` start comments. A `-` before a command
lets the script go on when it fails. Nothing is read ahead: what stands before a broken line has
been done.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from zactor.kernel.errors import ScriptError

# `name(` is a term, and so is `declareNode (n1, …)`: with camel case no shell word is meant.
_TERM = re.compile(r"[a-z]\w*\(|[a-z]+[A-Z]\w*\s+\(")

_ADDRESS = re.compile(r"(?<=[,(])(\s*)(\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?)(?=\s*[,)])")

_PIECE = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*"|[^\s\\'"]+""")  # of a shell word

_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')

_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word of a line in the shell's spelling; `start` and `end` are its place in the line."""

    text: str  # without its quotes
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One command of a script as it was written."""

    number: int  # of the line it begins on, from 1
    text: str  # without comments and the final dot; a term's lines are joined by newlines
    words: tuple[Word, ...] = ()  # () where the command is a term
    optional: bool = False  # began with `-`
    problem: str = ""  # why it can't be read; "" where it can
    unfinished: bool = False  # the script ended inside of a term


def read_script(text: str | Iterable[str]) -> Iterator[Line]:
    """Yield the commands of a script, in order, each as soon as its last line is there.

    `text` is the whole script, or its lines as they come (from a pipe).
    """
    source = enumerate(text.splitlines() if isinstance(text, str) else text, 1)
    for number, rest in source:
        rest = rest.rstrip("\r\n")
        while (rest := rest.lstrip()) and rest[0] not in "%#":
            optional = rest.startswith("-")
            if optional:
                rest = rest[1:].lstrip()
            if _TERM.match(rest):
                line, number, rest = _read_term(number, rest, source)
            else:
                line, rest = _read_words(number, rest)
            if line.text or line.problem:
                yield dataclasses.replace(line, optional=optional)


def is_unfinished(text: str) -> bool:
    """Whether `text` ends inside of a term, so that another line has to follow."""
    return any(line.unfinished for line in read_script(text))


# -- terms -----------------------------------------------------------------------------------
class _TermScan:
    """Finds the end of a term over one or more lines; comments fall away."""

    def __init__(self) -> None:
        self.text = ""
        self.open: list[str] = []

    def feed(self, line: str) -> int:
        """Take in `line`; return where the term ends in it, or -1 if it goes on.

        Raises:
            ScriptError: a quote or a bracket doesn't fit.
        """
        index = 0
        start = 0
        while index < len(line):
            char = line[index]
            if char in "%#":
                break
            if char in "'\"":
                index = _quote_end(line, index)
                continue
            if char in _BRACKETS:
                self.open.append(_BRACKETS[char])
            elif char in ")]}":
                if not self.open or self.open.pop() != char:
                    raise ScriptError(f"{char!r} closes nothing that is open: {line.strip()!r}")
                if not self.open:
                    self.text += line[start : index + 1]
                    return index + 1
            index += 1
        self.text += line[start:index].rstrip() + "\n"
        return -1


def _quote_end(line: str, index: int) -> int:
    """Return the place after the quoted text that begins at `index`; a doubled quote is inside."""
    quote = line[index]
    index += 1
    while index < len(line):
        if line[index] == "\\":
            index += 2
        elif line[index] != quote:
            index += 1
        elif line[index + 1 : index + 2] == quote:
            index += 2
        else:
            return index + 1
    raise ScriptError(f"the quote {quote} is never closed: {line.strip()!r}")


def _read_term(number: int, rest: str, source: Iterator[tuple[int, str]]) -> tuple[Line, int, str]:
    """Return the command at the start of `rest`, its last line's number, and what follows."""
    scan = _TermScan()
    last = number
    try:
        while (end := scan.feed(rest)) < 0:
            follows = next(source, None)
            if follows is None:
                problem = f"{scan.open[-1]!r} is missing at the end of the script"
                return (
                    Line(number=number, text=scan.text, problem=problem, unfinished=True),
                    last,
                    "",
                )
            last, rest = follows[0], follows[1].rstrip("\r\n")
    except ScriptError as error:
        return Line(number=number, text=scan.text or rest, problem=str(error)), last, ""
    text = re.sub(r"^(\w+)\s+\(", r"\1(", _quote_addresses(scan.text))
    rest = rest[end:].lstrip()
    if rest.startswith("."):
        return Line(number=number, text=text), last, rest[1:]
    if rest and rest[0] not in "%#":
        problem = f"after {text!r} comes a `.` or the end of the line, not {rest!r}"
        return Line(number=number, text=text, problem=problem), last, ""
    return Line(number=number, text=text), last, ""


def _quote_addresses(text: str) -> str:
    """Put quotes around bare addresses: `declareNode(n1, 192.168.70.39)` is no term."""
    return _ADDRESS.sub(r"\1'\2'", text)


# -- words -----------------------------------------------------------------------------------
def _read_words(number: int, rest: str) -> tuple[Line, str]:
    """Return the command at the start of `rest` and what follows its dot."""
    try:
        words, end = split_words(rest)
    except ScriptError as error:
        return Line(number=number, text=rest, problem=str(error)), ""
    text = rest[: words[-1].end] if words else ""
    return Line(number=number, text=text, words=tuple(words)), rest[end:]


def split_words(line: str) -> tuple[list[Word], int]:
    """Split `line` as a shell would, up to a comment or a `.` that ends an unquoted word.

    A word that begins with `[` or `{` goes on to its closing bracket with its quotes, so JSON needs
    no quotes around it. Returns the words and the place behind the last one and its dot.

    Raises:
        ScriptError: a quote or a bracket is never closed.
    """
    words: list[Word] = []
    index = 0
    while index < len(line):
        if line[index].isspace():
            index += 1
            continue
        if line[index] in "%#":
            return words, len(line)
        word, dot = _read_word(line, index)
        words.append(word)
        index = word.end
        if dot:
            return words, index + 1
    return words, index


def _read_word(line: str, start: int) -> tuple[Word, bool]:
    """Return the word at `start`, and whether a dot behind it ends the command."""
    if line[start] in "[{":
        text, end = _read_json(line, start)
    else:
        text, end = "", start
    while end < len(line) and not line[end].isspace():
        piece = _PIECE.match(line, end)
        if piece is None:
            raise ScriptError(f"the quote {line[end]} is never closed: {line.strip()!r}")
        text += _unquoted(piece[0])
        end = piece.end()
    # `.`, `..` and `../` are folders; a quoted or escaped dot is text
    dot = text.endswith(".") and line[end - 2 : end] != "\\." and bool(line[start:end].strip("./"))
    if dot and line[end - 1] == ".":
        return Word(text=text[:-1], start=start, end=end - 1), True
    return Word(text=text, start=start, end=end), False


def _unquoted(piece: str) -> str:
    if piece[0] == "'":
        return piece[1:-1]
    if piece[0] == '"':
        return re.sub(r'\\(["\\])', r"\1", piece[1:-1])
    return piece[1:] if piece[0] == "\\" else piece


def _read_json(line: str, start: int) -> tuple[str, int]:
    """Return the text from the bracket at `start` to its closing one, with quotes, and its end."""
    expected: list[str] = []
    index = start
    while index < len(line):
        char = line[index]
        if char == '"':
            string = _JSON_STRING.match(line, index)
            if string is None:
                raise ScriptError(f'the quote " is never closed: {line.strip()!r}')
            index = string.end()
            continue
        index += 1
        if char in "[{":
            expected.append(_BRACKETS[char])
        elif char in "]}":
            if expected.pop() != char:
                raise ScriptError(f"{char!r} closes another bracket: {line.strip()!r}")
            if not expected:
                return line[start:index], index
    raise ScriptError(f"{expected[-1]!r} is missing: {line.strip()!r}")
