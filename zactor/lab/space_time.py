"""The space-time picture of a story: who saw what, and when; time goes down, a column for each.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zactor.kernel.printable import printable

_TEXT_CHARS_MAX = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A row: somebody saw something, or (`who` is "") something was done to all."""

    at_ns: int
    who: str
    text: str


def picture(moments: Iterable[Moment], names: Sequence[str]) -> str:
    """Return the picture; `names` are the columns, times are s since the first moment."""
    ordered = sorted(moments, key=lambda one: one.at_ns)
    began = ordered[0].at_ns if ordered else 0
    lines = [" " * 10 + " ".join(names)]
    for one in ordered:
        at = f"{(one.at_ns - began) / 1e9:9.3f} "
        text = printable(one.text)
        if len(text) > _TEXT_CHARS_MAX:
            text = f"{text[: _TEXT_CHARS_MAX - 1]}…"
        cells = []
        for name in names:
            sign = "●" if one.who == name else "│" if one.who else "┼"
            cells.append(sign + (" " if one.who else "─") * (len(name) - 1))
        joint = " " if one.who else "─"
        lines.append(f"{at}{joint.join(cells)}{joint} {text}")
    return "\n".join(lines)
