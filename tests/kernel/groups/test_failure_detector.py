"""The failure detector's rules F1 to F8."""

from __future__ import annotations

import pytest

from zactor.kernel import limits
from zactor.kernel.groups.failure_detector import Condition, FailureDetector
from zactor.kernel.groups.settings import Settings
from zactor.kernel.ids import NodeId
from zactor.kernel.messages.groups import GroupHeartbeat
from zactor.kernel.messages.views import ViewId

A, B, C = NodeId("a", 1), NodeId("b", 1), NodeId("c", 1)


def beat(
    sender: NodeId,
    number: int,
    hears: tuple[NodeId, ...] = (A,),
    held: tuple[NodeId, ...] = (),
    follows: NodeId = A,
    epoch: int = 0,
    leads: tuple[NodeId, ...] = (),
) -> GroupHeartbeat:
    return GroupHeartbeat(
        sender=sender,
        number=number,
        view=ViewId(0, sender),
        promised=ViewId(epoch, sender),
        follows=follows,
        hears=hears,
        held=held,
        lag_ms=0,
        line=0,
        streams=(0,),
        leads=leads,
    )


class Ear:
    """A detector that hears heartbeats at their rhythm."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.detector = FailureDetector(A, settings or Settings(), 0)
        self.now_ms = 0
        self.number = 0

    def hear(self, *senders: NodeId, times: int = 1, hears: tuple[NodeId, ...] = (A,)) -> None:
        for _ in range(times):
            self.now_ms += 100
            self.number += 1
            for sender in senders:
                self.detector.heard(beat(sender, self.number, hears), self.now_ms)
            self.detector.judge(self.now_ms)

    def wait(self, ms: int) -> list[str]:
        self.now_ms += ms
        return [trace.event for trace in self.detector.judge(self.now_ms)]

    def condition(self, node: NodeId) -> Condition:
        peer = self.detector.peer(node)
        assert peer is not None
        return peer.condition


def test_a_peer_that_is_heard_and_hears_us_is_alive() -> None:
    ear = Ear()
    ear.hear(B)
    assert ear.detector.alive == (A, B)
    assert ear.detector.leader == A


def test_one_way_contact_is_no_contact() -> None:
    ear = Ear()
    ear.hear(B, hears=())
    assert ear.condition(B) is Condition.ONE_WAY
    assert ear.detector.alive == (A,)
    assert ear.detector.hears() == (B,)


def test_a_refused_connection_proves_death_at_once_and_for_ever() -> None:
    ear = Ear()
    ear.hear(B)
    ear.detector.gone(B, ear.now_ms)
    assert ear.detector.alive == (A,)
    assert not ear.detector.heard(beat(B, 99), ear.now_ms)
    assert ear.detector.peer(B) is None


def test_nobody_can_tell_a_node_that_it_is_dead() -> None:
    ear = Ear()
    ear.hear(B)
    ear.detector.gone(NodeId("a", 2), ear.now_ms)
    assert ear.detector.alive == (A, B)


def test_a_higher_incarnation_proves_the_lower_dead() -> None:
    ear = Ear()
    ear.hear(B)
    again = NodeId("b", 2)
    ear.hear(again)
    assert ear.detector.is_gone(B)
    assert ear.detector.alive == (A, again)
    assert not ear.detector.heard(beat(B, 50), ear.now_ms)


def test_silence_is_noticed_by_the_rhythm_of_the_heartbeats() -> None:
    ear = Ear()
    ear.hear(B, times=20)
    assert ear.wait(500) == []
    assert ear.wait(100) == ["peer_suspected"]
    assert ear.condition(B) is Condition.SILENT


def test_an_irregular_peer_gets_more_time() -> None:
    ear = Ear()
    for _ in range(30):
        ear.hear(B)
        ear.now_ms += 300
        ear.hear(B)
    peer = ear.detector.peer(B)
    assert peer is not None
    assert 900 < peer.timeout_ms <= 2_000


def test_a_peer_with_a_living_link_is_stuck_first() -> None:
    ear = Ear()
    ear.detector.link(B, True)
    ear.hear(B, times=20)
    assert ear.wait(700) == ["peer_stuck"]
    assert ear.detector.alive == (A, B)
    assert ear.detector.hears() == (B,)
    assert ear.detector.is_stuck(B)
    assert ear.wait(19_000) == []
    assert ear.wait(400) == ["peer_suspected"]
    assert not ear.detector.is_stuck(B)


def test_a_broken_link_ends_the_patience() -> None:
    ear = Ear()
    ear.hear(B, times=20)
    ear.detector.link(B, True)
    ear.wait(700)
    ear.detector.link(B, False)
    assert ear.wait(0) == ["peer_suspected"]


def test_it_is_quiet_when_all_that_are_heard_hear_each_other() -> None:
    ear = Ear()
    assert ear.detector.is_quiet()
    ear.hear(B, C)
    assert not ear.detector.is_quiet(), "B and C don't hear each other yet"
    ear.number += 1
    ear.detector.heard(beat(B, ear.number, hears=(A, C)), ear.now_ms)
    ear.detector.heard(beat(C, ear.number, hears=(A, B)), ear.now_ms)
    assert ear.detector.is_quiet()
    ear.detector.heard(beat(C, ear.number + 1, hears=(B,)), ear.now_ms)
    ear.detector.judge(ear.now_ms)
    assert not ear.detector.is_quiet(), "C doesn't hear us"


def test_links_of_peers_not_heard_yet_are_remembered_within_bounds() -> None:
    ear = Ear(Settings(peers_max=1))
    ear.detector.link(B, True)
    ear.detector.link(C, True)
    ear.detector.link(B, False)
    ear.hear(B)
    ear.hear(C)
    assert ear.detector.alive == (A, B)


def test_who_slept_does_not_accuse_the_others() -> None:
    ear = Ear()
    ear.hear(B, times=20)
    ear.detector.wake(ear.now_ms, ear.now_ms + 100)
    assert ear.detector.wake(ear.now_ms + 5_000, 0) == 4_900
    ear.now_ms += 5_000
    assert ear.wait(0) == []
    assert ear.detector.wake(ear.now_ms, 0) > 0


def test_a_peer_that_flapped_must_be_steady_longer_each_time() -> None:
    ear = Ear()
    ear.hear(B, times=5)
    # in 0.1 s: the silence of 2.1 s counts, of 0.5, 1, 2, 4 and 8 s, down to 0.5 s
    for steady in (5, 5, 5, 19, 59):
        ear.hear(B)
        assert ear.wait(limits.GROUP_SILENCE_MS_MAX + 1) == ["peer_suspected"]
        ear.hear(B, times=steady)
        assert ear.condition(B) is Condition.HELD
        assert ear.detector.held(ear.now_ms) == (B,)
        ear.hear(B)
        assert ear.condition(B) is Condition.ALIVE
        assert ear.detector.held(ear.now_ms) == ()


def flapped(times: int) -> Ear:
    """B was lost that many times, and is silent."""
    ear = Ear()
    ear.hear(B, times=5)
    for _ in range(times - 1):
        ear.wait(60_000)
        ear.hear(B, times=6)
        assert ear.condition(B) is Condition.ALIVE, "after a long silence it is soon trusted"
    return ear


@pytest.mark.parametrize(("silence_s", "steady"), [(15, 149), (29, 9), (60, 5)])
def test_the_silence_counts_as_time_that_it_was_held_down(silence_s: int, steady: int) -> None:
    ear = flapped(8)
    ear.wait(silence_s * 1_000)
    ear.hear(B, times=steady)
    assert ear.condition(B) is Condition.HELD
    ear.hear(B)
    assert ear.condition(B) is Condition.ALIVE


def test_a_contact_that_ends_has_used_the_silence_before_it_up() -> None:
    ear = flapped(8)
    ear.wait(60_000)
    ear.hear(B, times=2)
    ear.hear(B, hears=())  # it doesn't hear us any more
    ear.hear(B, times=300)
    assert ear.condition(B) is Condition.HELD
    ear.hear(B)
    assert ear.condition(B) is Condition.ALIVE


def test_who_is_accused_has_used_the_silence_up() -> None:
    ear = flapped(8)
    ear.wait(60_000)
    ear.hear(B, times=6)
    ear.detector.accuse(B, ear.now_ms)
    ear.hear(B, times=299)
    assert ear.condition(B) is Condition.HELD
    ear.hear(B)
    assert ear.condition(B) is Condition.ALIVE


def test_a_peer_that_holds_us_down_is_not_alive() -> None:
    ear = Ear()
    ear.detector.heard(beat(B, 1, held=(A,)), 10)
    ear.detector.judge(10)
    assert ear.condition(B) is Condition.HELD


def test_flaps_are_forgiven_after_a_long_time_alive() -> None:
    ear = Ear(Settings(forgive_ms=1_000))
    ear.hear(B, times=5)
    ear.wait(3_000)
    ear.hear(B, times=30)
    peer = ear.detector.peer(B)
    assert peer is not None
    assert peer.flaps == 0


@pytest.mark.parametrize(("up", "steady"), [(True, 10), (False, 5)])
def test_silence_doubles_the_hold_down_only_if_there_was_a_link_for_the_answer(
    up: bool, steady: int
) -> None:
    ear = Ear()
    ear.hear(B, times=5)
    ear.wait(3_000)  # a cut: one flap
    ear.hear(B, times=6)
    ear.detector.link(B, up)
    ear.detector.accuse(B, ear.now_ms)
    ear.hear(B, times=steady - 1)
    assert ear.condition(B) is Condition.HELD
    ear.hear(B)
    assert ear.condition(B) is Condition.ALIVE


def test_an_accused_peer_is_held_down() -> None:
    ear = Ear()
    ear.hear(B, C)
    ear.detector.accuse(B, ear.now_ms)
    ear.detector.accuse(NodeId("z", 1), ear.now_ms)
    assert ear.detector.alive == (A, C)
    assert ear.condition(B) is Condition.HELD


@pytest.mark.parametrize("number", [1, 2])
def test_old_and_repeated_heartbeats_tell_nothing(number: int) -> None:
    detector = FailureDetector(A, Settings(), 0)
    assert detector.heard(beat(B, 2), 10)
    assert not detector.heard(beat(B, number), 20)
    assert not detector.heard(beat(A, 5), 20)


def test_who_follows_a_lower_node_is_not_ours_to_lead() -> None:
    detector = FailureDetector(B, Settings(), 0)
    zero = NodeId("0", 1)
    detector.heard(beat(C, 1, hears=(B,), follows=zero), 0)
    detector.judge(0)
    assert detector.alive == (B, C)
    assert detector.followers() == (B,)
    detector.gone(zero, 0)
    assert detector.followers() == (B, C)


def test_a_leader_leads_only_who_trust_each_other_and_members_before_newcomers() -> None:
    detector = FailureDetector(A, Settings(), 0)
    d = NodeId("d", 1)
    detector.heard(beat(B, 1, hears=(A,)), 0)
    detector.heard(beat(C, 1, hears=(A, d)), 0)
    detector.heard(beat(d, 1, hears=(A, C)), 0)
    detector.judge(0)
    assert detector.alive == (A, B, C, d)
    assert detector.followers() == (A, B)
    assert detector.followers((A, C, d)) == (A, C, d)
    detector.heard(beat(d, 2, hears=(A, C), held=(C,)), 0)
    assert detector.followers((A, C, d)) == (A, C), "who is held down isn't trusted"


def test_no_more_are_led_than_a_view_holds() -> None:
    detector = FailureDetector(A, Settings(view_members_max=2), 0)
    for other, third in ((B, C), (C, B)):
        detector.heard(beat(other, 1, hears=(A, third)), 0)
    detector.judge(0)
    assert detector.followers() == (A, B)
    assert detector.followers((A, C)) == (A, C)


class Followed:
    """The detector of C, which hears A and B; each beat says whom these would lead."""

    def __init__(self) -> None:
        self.detector = FailureDetector(C, Settings(follow_ms=600), 0)
        self.now_ms = 0
        self.number = 0

    def run(self, ms: int, **leads: tuple[NodeId, ...]) -> NodeId:
        for _ in range(ms // 100):
            self.now_ms += 100
            self.number += 1
            for node in (A, B):
                if node.name in leads:
                    said = beat(node, self.number, (C,), leads=leads[node.name])
                    self.detector.heard(said, self.now_ms)
            self.detector.judge(self.now_ms)
        return self.detector.leader


def test_the_lowest_alive_is_followed_while_it_would_have_us() -> None:
    ear = Followed()
    assert ear.run(5_000, a=(A, B, C), b=()) == A


def test_who_goes_on_without_us_is_passed_over_and_taken_back_as_soon_as_it_would_have_us() -> None:
    ear = Followed()
    assert ear.run(700, a=(A, B), b=()) == A
    assert ear.run(100, a=(A, B), b=()) == B
    assert ear.run(600, a=(A, B), b=()) == B, "its own patience begins now"
    assert ear.run(100, a=(A, B), b=()) == C
    assert ear.run(100, a=(A, B, C), b=()) == A
    assert ear.run(600, a=(A, B), b=()) == A, "and has all patience again"


def test_a_node_that_followed_a_dead_leader_has_time_to_lead() -> None:
    ear = Followed()
    ear.run(5_000, a=(A, B, C), b=())
    ear.detector.gone(A, ear.now_ms)
    assert ear.detector.leader == B
    assert ear.run(600, b=()) == B
    assert ear.run(100, b=()) == C


def test_who_slept_has_as_much_patience_as_before() -> None:
    ear = Followed()
    ear.run(600, a=(A, B), b=())
    ear.detector.wake(ear.now_ms, ear.now_ms + 100)
    ear.now_ms += 5_000
    assert ear.detector.wake(ear.now_ms, ear.now_ms + 100) == 4_900
    ear.detector.judge(ear.now_ms)
    assert ear.detector.leader == A


def test_the_highest_epoch_is_remembered() -> None:
    detector = FailureDetector(A, Settings(), 0)
    detector.heard(beat(B, 1, epoch=7), 0)
    detector.heard(beat(B, 2, epoch=3), 0)
    assert detector.epoch == 7
