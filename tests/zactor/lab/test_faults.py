"""Lines of faults: what each does to what stands, and what is refused."""

from __future__ import annotations

import pytest

from zactor.kernel.errors import ConfigError, NoSuchThing, ZactorError
from zactor.lab.faults import PROCESS_WORDS, USAGES, Faults, LinkQuality, change

HOSTS = ("a", "b", "c", "d")


def after(*lines: str) -> Faults:
    faults = Faults(HOSTS)
    for line in lines:
        change(faults, line.split())
    return faults


def unreached(faults: Faults) -> set[str]:
    return {
        one + other
        for one in HOSTS
        for other in HOSTS
        if one != other and not faults.reaches(one, other)
    }


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("cable a out", "ab ac ad ba ca da"),
        ("cable a in", ""),
        ("cut a / b", "ab ba"),
        ("cut a,b / c,d", "ac ad bc bd ca cb da db"),
        ("cut a / b / c", "ab ac ba bc ca cb"),
        ("one-way a b", "ba"),
        ("loss 100 a b", "ab ba"),
        ("loss 100% a>b", "ab"),
        ("loss 50", ""),
    ],
)
def test_who_no_longer_reaches_whom(line: str, lost: str) -> None:
    assert unreached(after(line)) == set(lost.split())


def test_links_are_as_bad_as_all_lines_say_together() -> None:
    faults = after("delay 20~10 a", "loss 5 a b", "delay 0 a c", "rate 1000 c d")
    assert faults.quality["a", "b"] == LinkQuality(delay_ms=20, jitter_ms=10, loss=0.05)
    assert faults.quality["d", "a"] == LinkQuality(delay_ms=20, jitter_ms=10)
    assert ("a", "c") not in faults.quality, "it is perfect again"
    assert faults.quality["c", "d"] == LinkQuality(rate_kbit=1000)


def test_what_stands_is_told_and_healed() -> None:
    faults = after(
        "cable a out",
        "one-way b c",
        "delay 5 a>b",
        "freeze d",
        "clock b +60",
        "disk c full",
        "mtu 576 d",
    )
    assert faults.told() == [
        "cable a out",
        "blocked c -> b",
        "link a -> b: delay_ms=5",
        "freeze d",
        "disk c full",
        "mtu 576 d",
        "clock b +60",
    ]
    change(faults, ["heal"])
    assert faults == Faults(HOSTS)


def test_packets_are_as_long_again_as_a_cables() -> None:
    faults = after("mtu 576", "mtu 0 b")
    assert set(faults.mtu) == set(HOSTS) - {"b"}
    change(faults, ["mtu", "1500"])
    assert faults == Faults(HOSTS)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("cable a", ConfigError),
        ("cable a off", ConfigError),
        ("cable x out", NoSuchThing),
        ("cut a,b", ConfigError),
        ("cut a / ", ConfigError),
        ("cut a / x", NoSuchThing),
        ("one-way a a", ConfigError),
        ("delay", ConfigError),
        ("delay soon", ConfigError),
        ("delay -1", ConfigError),
        ("delay nan", ConfigError),
        ("loss 101", ConfigError),
        ("loss 5 a b c", ConfigError),
        ("freeze", ConfigError),
        ("clock a", ConfigError),
        ("clock a 1e99", ConfigError),
        ("mtu", ConfigError),
        ("mtu 575", ConfigError),
        ("mtu 576 x", NoSuchThing),
        ("heal all", ConfigError),
        ("kill a", ConfigError),
        ("break a", ConfigError),
    ],
)
def test_what_is_no_fault_changes_nothing(line: str, error: type[ZactorError]) -> None:
    faults = Faults(HOSTS)
    with pytest.raises(error):
        change(faults, line.split())
    assert faults == Faults(HOSTS)


def test_every_word_has_its_usage_and_its_meaning() -> None:
    for word in set(USAGES) - set(PROCESS_WORDS) - {"heal"}:
        with pytest.raises(ConfigError, match="want `"):
            change(Faults(HOSTS), [word])
