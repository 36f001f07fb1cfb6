"""Who is let in, and how daemons are called as nodes."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import check_name
from zactor.supervisor.spread.spread_settings import node_name, read_access


@pytest.mark.parametrize(
    ("rules", "admitted", "refused"),
    [
        ("", [], ["", "127.0.0.1", "10.0.0.1"]),
        ("unix", [""], ["127.0.0.1"]),
        ("local", ["", "127.0.0.1", "::1"], ["10.0.0.1"]),
        ("10.0.0.0/8 # ours\n1.2.3.4", ["10.9.9.9", "1.2.3.4"], ["", "1.2.3.5", "::1"]),
    ],
)
def test_who_passes(rules: str, admitted: list[str], refused: list[str]) -> None:
    found = read_access(rules, "spread.access_ip")
    assert all(map(found.admits, admitted))
    assert not any(map(found.admits, refused))


def test_a_rule_that_is_none_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^spread.access_ip:2: '1.2.3' is no address"):
        read_access("unix\n1.2.3", "spread.access_ip")


def test_each_daemon_has_a_name_that_a_node_may_have() -> None:
    daemons = ["d1", "m3.lab", "m3_lab", "10.0.0.1", "$a~", "x" * 19]
    names = [check_name("node", node_name(daemon)) for daemon in daemons]
    assert len(set(names)) == len(daemons)
    assert names[0] == "d1"
