"""kernel/groups/names.py: what programs may call groups and sessions, and send to."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError
from zactor.kernel.groups.names import check_destinations, check_group_name
from zactor.kernel.limits import GROUP_DESTINATIONS_MAX, GROUP_NAME_CHARS_MAX


@pytest.mark.parametrize("name", ["room", "a b", "ü", "/", "x" * GROUP_NAME_CHARS_MAX, "zactor"])
def test_nearly_everything_is_a_name(name: str) -> None:
    assert check_group_name("group", name) == name
    assert check_destinations(name) == (name,)
    assert check_destinations([name, f"#{name}#n1"]) == (name, f"#{name}#n1")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "'' is no name for a group: want 1 to 128 characters and no #"),
        ("a#b", "'a#b' is no name"),
        ("x" * (GROUP_NAME_CHARS_MAX + 1), "is no name"),
        ("zactor.kb", "'zactor.kb': names that begin with 'zactor.' are zactor's own"),
    ],
)
def test_what_is_no_name_is_refused_also_as_a_destination(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words.replace("(", "\\(")):
        check_group_name("group", name)
    with pytest.raises(ConfigError):
        check_destinations(("room", name))


@pytest.mark.parametrize("name", ["#", "##n1", "#alice", "#alice#", "#zactor.kb#n1", "#a#b#n1"])
def test_what_is_no_private_group_is_no_destination(name: str) -> None:
    with pytest.raises(ConfigError):
        check_destinations(name)


def test_a_message_goes_to_one_group_at_least_and_to_so_many_at_most() -> None:
    many = [f"g{number}" for number in range(GROUP_DESTINATIONS_MAX)]
    assert check_destinations(many) == tuple(many)
    with pytest.raises(ConfigError, match="1 to 100 groups, not to 101"):
        check_destinations([*many, "more"])
    with pytest.raises(ConfigError, match="not to 0"):
        check_destinations(())


@pytest.mark.parametrize("name", ["\ud800", "caf\udce9", "#\ud800#n1", "#alice#\ud800"])
def test_what_cannot_be_written_as_utf8_is_no_name(name: str) -> None:
    with pytest.raises(ConfigError, match="no text: it can't be written as UTF-8"):
        check_destinations(("room", name))
    with pytest.raises(ConfigError):
        check_group_name("group", name)


@pytest.mark.parametrize("groups", [5, None, b"room", (5,), [["room"]], ("room", None)])
def test_what_is_no_text_is_refused_in_words(groups: object) -> None:
    with pytest.raises(ConfigError):
        check_destinations(groups)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="a group has text for a name, not"):
        check_group_name("group", groups)  # type: ignore[arg-type]
