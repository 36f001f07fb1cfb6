"""Rows: what nodes answer with, as plain data."""

from __future__ import annotations

import html

import msgspec

from zactor.kernel.errors import RemoteProtocolError

Row = dict[str, object]
"""One line of a listing; its keys stand in `Master`'s methods."""

HTML_ROWS_MAX = 200  # of what a notebook shows


class Rows(list[Row]):
    """A listing: a list, which a notebook shows as a table."""

    def _repr_html_(self) -> str:
        """Return it as a table. What nodes and people call themselves becomes text."""
        columns = list(dict.fromkeys(key for row in self[:HTML_ROWS_MAX] for key in row))
        lines = [_html_line("th", columns)]
        lines += [
            _html_line("td", [_shown(row.get(column)) for column in columns])
            for row in self[:HTML_ROWS_MAX]
        ]
        more = len(self) - HTML_ROWS_MAX
        note = f"<p>and {more} more</p>" if more > 0 else ""
        return f"<table>{''.join(lines)}</table>{note}" if self else "<p>none</p>"


def _html_line(tag: str, texts: list[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in texts)}</tr>"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_shown, value))
    return "" if value is None else str(value)


def rows_of(result: object) -> Rows:
    """Return a node's answer as the list that it has to be.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return Rows(msgspec.convert(result, list[Row]))
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"the node's answer is no list: {error}") from None


def row_of(result: object) -> Row:
    """Return a node's answer as the record that it has to be.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return msgspec.convert(result, Row)
    except msgspec.ValidationError as error:
        raise RemoteProtocolError(f"the node's answer is no record: {error}") from None
