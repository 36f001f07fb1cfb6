"""What is safe to show: text from elsewhere without what it would do to a terminal."""

from __future__ import annotations


def printable(text: str, keep: str = "") -> str:
    """Return `text` with all escaped that isn't seen: control characters, those that turn lines.

    Names, reasons and messages come from other machines. A terminal obeys ESC and, in UTF-8 too,
    the controls from U+0080 on; U+202E and its like show a line in another order than it has.

    Args:
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in keep else repr(char)[1:-1] for char in text
    )


def printable_json(text: str) -> str:
    """Return a JSON document with the same escaped as JSON has it; it means the same."""
    if text.isprintable():
        return text
    # Outside of strings nothing of the kind stands but ends of lines, which in them are escaped.
    return "".join(
        char if char.isprintable() or char == "\n" else _json_escape(char) for char in text
    )


def shortened(text: str, chars_max: int) -> str:
    """Return `text`, or its beginning and how long it was."""
    if len(text) <= chars_max:
        return text
    return f"{text[:chars_max]}… ({len(text)} characters)"


def _json_escape(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
