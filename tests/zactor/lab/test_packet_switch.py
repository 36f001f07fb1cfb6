"""The packet switch's decisions: what becomes of each frame, by rule and seed."""

from __future__ import annotations

from zactor.lab.packet_switch import BACKLOG_S, FrameQueue

RULE = {"loss": 0.0, "duplicate": 0.0, "reorder": 0.0, "delay_ms": 0.0, "jitter_ms": 0.0}
FRAMES = 1_000


def queue(seed: int = 1, **rule: float) -> FrameQueue:
    made = FrameQueue(seed)
    made.rules = {(1, 2): {**RULE, "rate_kbit": 0.0, **rule}}
    return made


def numbers(made: FrameQueue, count: int = FRAMES, until_s: float = 100.0) -> list[int]:
    """Send numbered frames, one each ms; return what comes out, in order."""
    for number in range(count):
        assert not made.take(number / 1000, 1, 2, b"%d" % number)
    return [int(frame) for _, frame in made.due(until_s)]


def test_a_link_without_a_rule_is_passed_at_once() -> None:
    assert queue().take(0.0, 2, 1, b"")


def test_frames_are_late_and_keep_their_order() -> None:
    made = queue(delay_ms=50)
    assert not made.take(1.0, 1, 2, b"x")
    assert made.due(1.049) == []
    assert abs((made.wait_s(1.0) or 0.0) - 0.05) < 1e-9
    assert made.due(1.0501) == [(2, b"x")]
    assert made.wait_s(1.0501) is None
    assert numbers(queue(delay_ms=50)) == list(range(FRAMES))


def test_jitter_and_reordering_let_frames_overtake() -> None:
    for made in (queue(delay_ms=5, jitter_ms=20), queue(reorder=0.2)):
        came = numbers(made)
        assert sorted(came) == list(range(FRAMES))
        assert came != sorted(came)


def test_loss_and_doubles_are_about_as_many_as_said_and_the_same_for_a_seed() -> None:
    came = numbers(queue(loss=0.2))
    assert 700 < len(came) < 900
    assert came == numbers(queue(loss=0.2))
    assert came != numbers(queue(2, loss=0.2))
    doubled = numbers(queue(duplicate=0.1))
    assert 1_050 < len(doubled) < 1_150
    assert set(doubled) == set(range(FRAMES))


def test_a_slow_link_keeps_little_waiting_and_loses_the_rest() -> None:
    made = queue(rate_kbit=8)  # 1,000 bytes each s
    for _ in range(100):
        made.take(0.0, 1, 2, bytes(100))
    came = made.due(1_000.0)
    assert len(came) == int(BACKLOG_S * 10) + 1
