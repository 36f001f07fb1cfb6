"""Listings as a notebook shows them."""

from __future__ import annotations

import json

from zactor.client.rows import HTML_ROWS_MAX, rows_of


def test_a_listing_is_a_list_and_in_a_notebook_a_table() -> None:
    rows = rows_of([{"name": "n1", "clock": [4, 7]}, {"name": "n2", "clock": None, "state": "up"}])
    assert rows == [
        {"name": "n1", "clock": [4, 7]},
        {"name": "n2", "clock": None, "state": "up"},
    ]
    assert json.loads(json.dumps(rows)) == rows
    shown = rows._repr_html_()
    assert "<tr><th>name</th><th>clock</th><th>state</th></tr>" in shown
    assert "<tr><td>n1</td><td>4, 7</td><td></td></tr>" in shown


def test_what_others_call_themselves_is_text_and_a_long_listing_is_cut() -> None:
    shown = rows_of([{"<b>": "<script>alert(1)</script>"}] * (HTML_ROWS_MAX + 3))._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert shown.count("<tr>") == HTML_ROWS_MAX + 1
    assert "and 3 more" in shown
    assert rows_of([])._repr_html_() == "<p>none</p>"
