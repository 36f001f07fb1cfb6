"""Arguments of commands: JSON, or text; a typo in JSON is never taken for text."""

from __future__ import annotations

import pytest

from zactor.commands.command import read_json
from zactor.kernel.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        (" [1]", [1]),
        ('"a"', "a"),
        ("a", "a"),
        ("a{", "a{"),
        ("NaN", "NaN"),
        ("01", "01"),
        ("-", "-"),
        ("", ""),
        ("'a'", "'a'"),
        ("nul", "nul"),
    ],
)
def test_what_does_not_begin_as_json_may_be_text(text: str, value: object) -> None:
    assert read_json(text) == value


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":1', "'{\"a\":1' is no JSON: expecting ',' delimiter at character 7"),
        ("{a: 1}", "at character 2"),
        ("[1, 2", "is no JSON"),
        ('"a', "unterminated string"),
        ("  [1,]", "is no JSON"),
        ("[NaN]", "NaN isn't"),
        ("[] x", "extra data at character 4"),
        ("[" * 100_000, "nested too deep"),
        ('{"' + "a" * 1000, "aaa…' is no JSON"),
    ],
)
def test_what_begins_as_json_and_is_none_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_json(text)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 200
