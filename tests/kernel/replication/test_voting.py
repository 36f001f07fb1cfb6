"""Dynamic voting: who may be the next primary, and whose log counts (PROTOCOL.md, P1 to P9)."""

from __future__ import annotations

import msgspec
import pytest

from zactor.kernel import limits
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.knowledge import KbStanding, Primary
from zactor.kernel.messages.views import ViewId
from zactor.kernel.replication.voting import decides, judge, majority, make_primary, settled

VIEW = ViewId(9, NodeId("a", 1))


def primary(epoch: int, *members: str, founding: str = "us") -> Primary:
    return Primary(epoch, members, members[0], founding)


def standing(
    formed: Primary | None = None,
    *attempts: Primary,
    epoch: int = 0,
    number: int = 0,
    chain: bytes = b"",
    role: str = "node",
) -> KbStanding:
    known = [one.epoch for one in (formed, *attempts) if one is not None]
    used = max(known, default=0)
    return KbStanding(VIEW, role, formed, attempts, epoch, number, chain, (0, 0), b"", used)


@pytest.mark.parametrize(("count", "more_than_half"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_a_majority_is_more_than_half(count: int, more_than_half: int) -> None:
    assert majority(count) == more_than_half


@pytest.mark.parametrize(
    ("members", "present", "expected"),
    [
        ("abc", "ab", True),
        ("abc", "bcx", True),
        ("abc", "a", False),
        ("abc", "xyz", False),
        ("ab", "a", True),  # half, with the decider
        ("ab", "b", False),
        ("abcd", "ad", True),
        ("abcd", "bc", False),
        ("a", "a", True),
        ("a", "b", False),
    ],
)
def test_half_of_a_primary_decides_with_its_decider_only(
    members: str, present: str, expected: bool
) -> None:
    assert decides(primary(1, *members), set(present)) is expected


def test_the_decider_is_the_first_that_hosts_actors_or_the_first() -> None:
    node, master = standing(), standing(role="master")
    assert make_primary(1, {"m": master, "n": node}, ["m", "n"], "us").decider == "n"
    assert make_primary(1, {"b": node, "a": node}, ["b", "a"], "us").decider == "a"
    assert make_primary(1, {"m": master, "l": master}, ["m", "l"], "us").decider == "l"


def test_the_last_primary_known_to_anybody_counts() -> None:
    old, new = primary(1, "a", "b", "c"), primary(2, "c", "d")
    verdict = judge("a", {"a": standing(old), "b": standing(old), "c": standing(new, epoch=2)})
    assert verdict.source == "c", "c decides for {c, d}"
    verdict = judge("a", {"a": standing(old), "b": standing(old), "d": standing(new)})
    assert not verdict.source
    assert "a sees 1 of 2 members of the last primary view (c, d)" in verdict.reason
    assert "of two halves the one with c takes changes" in verdict.reason


def test_an_open_attempt_counts_like_a_primary() -> None:
    last, open_ = primary(1, "a", "b", "c"), primary(2, "b", "c")
    verdict = judge("a", {"a": standing(last), "c": standing(last, open_)})
    assert not verdict.source
    assert "a view that may have been the last primary one (b, c)" in verdict.reason
    verdict = judge("a", {"a": standing(last), "b": standing(last, open_)})
    assert verdict.source == "a"


def test_an_attempt_that_a_member_with_its_memory_lacks_is_dead() -> None:
    last, open_ = primary(1, "a", "b", "c"), primary(2, "b", "c", "x", "y", "z")
    states = {"a": standing(last), "c": standing(last, open_)}
    assert "may have been the last" in judge("a", settled(states)).reason
    for b in (standing(last), standing(None, primary(1, "b", "c"))):
        assert settled(states | {"b": b})["c"].attempts == ()
    later = primary(3, "b", "x")
    for b in (standing(), standing(later), standing(primary(2, "b", "c", founding="them"))):
        assert settled(states | {"b": b})["c"].attempts == (open_,), b
    newer = standing(primary(2, "a", "b", "c"))  # b was in it, and its disk went back
    assert settled(states | {"a": newer, "b": standing(last)})["c"].attempts == (open_,)


def test_an_attempt_before_the_last_primary_is_settled() -> None:
    old = standing(primary(1, "a", "b", "c"), primary(2, "b", "c"))
    verdict = judge("a", {"a": standing(primary(3, "a", "c")), "c": old})
    assert verdict.source


def test_who_has_no_memory_has_no_vote() -> None:
    last = primary(1, "a", "b", "c")
    verdict = judge("a", {"a": standing(last), "b": standing()})
    assert verdict.voters == ("a",)
    assert not verdict.source


def test_a_member_without_memory_never_completes_a_majority() -> None:
    """It may have known of a later primary, whose other members aren't here."""
    last = primary(1, "a", "b", "c")
    verdict = judge("b", {"a": standing(), "b": standing(last), "c": standing()})
    assert not verdict.source
    assert "(missing: a, c); a, c came without what was on its disk; if" in verdict.reason
    verdict = judge("b", {"a": standing(), "b": standing(primary(1, "a", "b"))})
    assert "the one with a takes changes, bring it back; a came without what" in verdict.reason


def test_a_member_whose_disk_went_back_before_a_primary_has_no_vote() -> None:
    old, last = primary(1, "a", "b", "c"), primary(2, "a", "b", "c")
    verdict = judge("a", {"a": standing(last), "b": standing(old)})
    assert verdict.voters == ("a",)
    assert not verdict.source
    assert verdict.epoch == 3
    verdict = judge("a", {"a": standing(last), "b": standing(old), "c": standing(last)})
    assert verdict.source == "a", "b is brought up as one that is new"
    verdict = judge("a", {"a": standing(last), "b": standing(old, last)})
    assert verdict.source == "a", "b had it on disk, and crashed before it was formed"


def test_the_longest_log_of_the_highest_epoch_counts() -> None:
    last = primary(3, "a", "b", "c")
    verdict = judge(
        "a",
        {
            "a": standing(last, epoch=2, number=50),
            "b": standing(last, epoch=3, number=7),
            "c": standing(last, epoch=3, number=8),
        },
    )
    assert verdict.source == "c"
    assert verdict.epoch == 4


def test_a_new_attempt_has_an_epoch_above_all_that_anybody_knows() -> None:
    last = primary(3, "a", "b")
    states = {"a": standing(last, epoch=3), "b": standing(last, primary(6, "a", "b"), epoch=3)}
    assert judge("a", states).epoch == 7


def test_a_member_that_names_an_epoch_out_of_reach_is_a_stranger() -> None:
    last = primary(3, "a", "b", "c")
    far = 3 + limits.KB_EPOCHS_AHEAD_MAX + 1
    states = {"a": standing(last), "b": standing(last), "new": standing()}
    for c in (
        standing(primary(far, "c")),
        standing(last, primary(far, "c")),
        standing(last, epoch=far),
        msgspec.structs.replace(standing(last), used=far),
        msgspec.structs.replace(standing(last), clock=(far, 1)),
    ):
        verdict = judge("a", states | {"c": c})
        assert (verdict.strangers, verdict.epoch, verdict.source) == (("c",), 4, "a")
        assert judge("c", states | {"c": c}).camp == {"c"}, "all judge alike"
    near = standing(primary(far - 1, "a", "c"))
    assert judge("a", states | {"c": near}).epoch == far


def test_a_newcomer_that_names_an_epoch_out_of_reach_is_a_stranger() -> None:
    last = primary(3, "a", "b")
    far = 3 + limits.KB_EPOCHS_AHEAD_MAX + 1
    liar = msgspec.structs.replace(standing(), used=far)
    with_cluster = {"a": standing(last), "b": standing(last), "c": liar}
    for states in (with_cluster, {"a": standing(), "b": standing(), "c": liar}):
        verdict = judge("a", states)
        assert verdict.strangers == ("c",)
        assert verdict.epoch < far
        assert judge("c", states).camp == {"c"}, "all judge alike"
        assert judge("c", states).founding, "nor does it found a cluster"
    assert judge("a", with_cluster).source == "a"


def test_a_cluster_of_which_one_member_is_left_may_have_any_epoch() -> None:
    far = 3 + limits.KB_EPOCHS_AHEAD_MAX + 1
    assert judge("new", {"new": standing(), "c": standing(primary(far, "c"))}).epoch == far + 1


def test_who_belongs_nowhere_joins_the_larger_of_two_clusters() -> None:
    ours, theirs = primary(1, "a", "b"), primary(1, "x", founding="them")
    states = {"a": standing(ours), "b": standing(ours), "n": standing(), "x": standing(theirs)}
    assert judge("a", states).camp == {"a", "b", "n"}
    assert judge("n", states).source == "a"
    verdict = judge("x", states)
    assert (verdict.camp, verdict.strangers) == ({"x"}, ("a", "b", "n"))
    assert verdict.source == "x"


def test_an_attempt_to_found_needs_all_its_members() -> None:
    attempt = primary(1, "a", "b", "c")
    states = {"a": standing(None, attempt), "b": standing(None, attempt)}
    assert not judge("a", states).source
    assert judge("a", states | {"c": standing(None, attempt)}).source == "a"


def test_an_attempt_to_found_is_void_when_all_meet_and_one_never_recorded_it() -> None:
    attempt, other = primary(1, "a", "b"), primary(1, "b", "c", founding="them")
    for b in (standing(), standing(None, other), standing(other)):
        assert settled({"a": standing(None, attempt), "b": b})["a"].attempts == ()
    formed = standing(primary(2, "b", "c"))
    for there in ({"b": formed}, {"c": standing()}):
        states = {"a": standing(None, attempt), **there}
        assert settled(states)["a"].attempts == (attempt,), there
    of_three = primary(1, "a", "b", "c")
    states = {"a": standing(None, of_three), "b": standing(None, of_three)}
    assert settled({"a": states["a"], "c": standing()})["a"].attempts == (of_three,), "a new disk"
    assert settled(states | {"c": standing()})["a"].attempts == ()
    joined = msgspec.structs.replace(standing(), founding="us")
    for knows in (standing(of_three), joined):
        assert settled(states | {"c": standing(), "d": knows})["a"].attempts == (of_three,)
    bound = standing(primary(1, "a"), attempt)
    assert settled({"a": bound, "b": standing()})["a"] == bound


def test_who_lost_its_disk_returns_to_the_cluster_that_counts_on_it() -> None:
    ours, theirs = primary(3, "b", "c", founding="z"), primary(9, "a", "x", "y", founding="a")
    standings = {
        "a": standing(theirs),
        "x": standing(theirs),
        "c": standing(ours),
        "b": standing(),  # a member of theirs no more than anybody, of ours the half that decides
        "new": standing(),
    }
    verdict = judge("c", standings)
    assert verdict.camp == {"b", "c"}
    assert "sees 1 of 2 members of the last primary view (b, c)" in verdict.reason
    assert judge("b", standings).camp == {"b", "c"}, "all judge alike"
    assert judge("new", standings).camp == {"a", "x", "new"}, "others join the largest"
    assert judge("b", standings).strangers == ("a", "new", "x")
