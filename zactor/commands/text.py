"""Values as text for people: cells of tables, moments."""

from __future__ import annotations

import time

from zactor.kernel.moment import moment
from zactor.kernel.printable import printable


def cell(column: str, value: object) -> str:
    """Return `value` as it stands in a table."""
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if column == "at" and isinstance(value, int | float):
        return moment(value)
    if column == "since" and isinstance(value, int | float):
        return since(value)
    if column == "clock" and isinstance(value, list | tuple):
        return ".".join(str(each) for each in value)
    if isinstance(value, list | tuple):
        return printable(" ".join(str(each) for each in value))
    return printable(str(value))


def since(seconds: float) -> str:
    """Return a wall clock time as short as it may be: of today the hours, else the day."""
    when, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if when[:3] == today[:3] else "%Y-%m-%d", when)
