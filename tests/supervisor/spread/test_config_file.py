"""Spread's configuration file, case by case as its daemons read it."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError
from zactor.supervisor.spread.config_file import Interface, SpreadConfig, read_config

LAB = """# the lab
Spread_Segment  192.168.70.255:4803 {
	m1	192.168.70.1   # the first
	m2	192.168.70.2 { D 192.168.70.2
		C 10.0.0.2 }
	m3.lab {
		192.168.70.3
	}
}
Spread_Segment 225.0.1.1
{ far 10.1.1.1 }
DebugFlags = { PRINT EXIT !EVENTS }
EventPriority = INFO
EventLogFile = testlog.out
EventTimeStamp = "[%a %d %b %Y %H:%M:%S]"
EventPreciseTimeStamp
DangerousMonitor = true
MaxSessionMessages = 5000
AllowedAuthMethods = "NULL IP"
"""


def read(text: str) -> SpreadConfig:
    return read_config(text, "spread.conf")


@pytest.mark.parametrize(
    ("text", "obeys"),
    [("", True), ("DangerousMonitor = yes", True), ("DangerousMonitor = FALSE", False)],
)
def test_monitors_are_obeyed_unless_the_file_says_no(text: str, obeys: bool) -> None:
    assert read(text).obeys_monitors is obeys


def test_a_yes_or_no_that_is_neither_is_named() -> None:
    with pytest.raises(ConfigError, match=r"^spread.conf:1: 'maybe': want true or false"):
        read("DangerousMonitor = maybe")


def test_a_whole_file() -> None:
    config = read(LAB)
    assert [(d.name, d.host, d.port) for d in config.daemons] == [
        ("m1", "192.168.70.1", 4803),
        ("m2", "192.168.70.2", 4803),
        ("m3.lab", "m3.lab", 4803),
        ("far", "10.1.1.1", 4803),
    ]
    assert config.daemons[1].interfaces == (
        Interface("192.168.70.2", "D"),
        Interface("10.0.0.2", "C"),
    )
    assert config.daemons[2].interfaces == (Interface("192.168.70.3", "DCM"),)
    assert config.methods == ("NULL", "IP")
    assert set(config.unused) == {
        "DebugFlags",
        "EventPriority",
        "EventLogFile",
        "EventTimeStamp",
        "EventPreciseTimeStamp",
        "MaxSessionMessages",
    }


@pytest.mark.parametrize(
    "text",
    [
        "Spread_Segment 1.2.3.255 { a 1.2.3.4 }",
        "Spread_Segment 1.2.3.255\n{\na 1.2.3.4\n}\n",
        "Spread_Segment 1.2.3.255 {\r\n a 1.2.3.4\r\n}\r\n",
        "Spread_Segment 1.2.3.255{a 1.2.3.4}#the end",
        "Spread_Segment 1.2.3.4:4803 { a#1 }\n1.2.3.4 }",  # a comment begins within a word
        "Spread_Segment 0.0.0.0 { a 1.2.3.4 VirtualID = 7 }",
    ],
)
def test_what_is_read_alike(text: str) -> None:
    daemons = read(text).daemons
    assert [(d.name, d.host, d.port) for d in daemons] == [("a", "1.2.3.4", 4803)]


def test_a_port_beyond_the_last_is_taken_as_spreads_daemon_takes_it_and_said() -> None:
    config = read("Spread_Segment 1.2.3.255:70000 { a 1.2.3.4 }")
    assert config.daemons[0].port == 4464
    assert config.unused == ("port 70000 is 4464, and more of it",)


def test_a_text_in_quotes_may_have_what_begins_a_comment_elsewhere() -> None:
    config = read(SEGMENT + 'EventTimeStamp = "day #%d" # a comment\nEventLogFile = "x"#"\n')
    assert config.unused == ("EventTimeStamp", "EventLogFile")


def test_addresses_of_spread_5() -> None:
    config = read("Spread_Segment [ff02::5]:3333 10.0.0.255 { a 2001:db8::1 b fe80::1%eth2 }")
    assert [(d.name, d.host, d.port) for d in config.daemons] == [
        ("a", "2001:db8::1", 3333),
        ("b", "fe80::1%eth2", 3333),
    ]


SEGMENT = "Spread_Segment 1.2.3.255:4803 {\n a 1.2.3.4\n}\n"
WRONG = {
    "no blanks": (SEGMENT + "EventPriority=INFO", 4, "syntax error at 'EventPriority=INFO'"),
    "lower case": (SEGMENT + "eventpriority = INFO", 4, "syntax error"),
    "unknown": (SEGMENT + "\nWhatever = 1", 5, "syntax error at 'Whatever'"),
    "two of one name": (SEGMENT.replace("}", "a 1.2.3.5 }"), 3, "Name not unique"),
    "two of one address": (SEGMENT.replace("}", "b 1.2.3.4 }"), 3, "one address"),
    "no address": (SEGMENT.replace("1.2.3.4", "300.0.0.1"), 2, "Invalid IP '300.0.0.1'"),
    "no port": (SEGMENT.replace("4803", "65536"), 1, "port '65536'"),
    "one timeout": (SEGMENT + "TokenTimeout = 100", 4, "all nine timeouts or none"),
    "an end too early": ("Spread_Segment 1.2.3.255 {\n a 1.2.3.4", 2, "the file ends"),
    "no end of a block": (SEGMENT + "DebugFlags = { ALL", 4, "the file ends"),
    "a segment without an address": ("Spread_Segment { a 1.2.3.4 }", 1, "without an address"),
    "too many": (
        "Spread_Segment 1.2.3.255 {\n" + "\n".join(f"d{n} 1.2.{n}.1" for n in range(129)) + "}",
        130,
        "more than 128 daemons",
    ),
}


@pytest.mark.parametrize("why", WRONG)
def test_what_is_wrong_is_said_with_its_line(why: str) -> None:
    text, line, what = WRONG[why]
    with pytest.raises(ConfigError) as raised:
        read(text)
    assert str(raised.value).startswith(f"spread.conf:{line}: ")
    assert what in str(raised.value)


def test_a_name_of_19_characters_and_one_of_20() -> None:
    config = read(f"Spread_Segment 1.2.3.255 {{ {'a' * 19} 1.2.3.4 {'b' * 20} 1.2.3.5 }}")
    assert config.daemon("a" * 19).host == "1.2.3.4"
    with pytest.raises(ConfigError, match="too long"):
        config.daemon("b" * 20)
    with pytest.raises(ConfigError, match="there is no daemon 'c'"):
        config.daemon("c")
