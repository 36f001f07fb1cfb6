"""Rows: what nodes answer with, as plain data."""

from __future__ import annotations

import msgspec

from zactor.kernel.errors import RemoteProtocolError

Row = dict[str, object]
"""One line of a listing; its keys stand in `Master`'s methods."""


def rows_of(result: object) -> list[Row]:
    """Return a node's answer as the list that it has to be.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return msgspec.convert(result, list[Row])
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
