"""What stands between quotes: escapes of quoted atoms and of strings, read back."""

from __future__ import annotations

import re
from typing import NoReturn

from zactor.kernel.errors import TermError

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
