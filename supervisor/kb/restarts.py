"""Restarts: whether and when an actor that ended or raised is started again. Pure.

As in OTP: permanent is always started again, transient where something went wrong, temporary never;
and whoever needs more restarts than its intensity allows has failed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from zactor.kernel.errors import ConfigError
from zactor.supervisor.kb.policies import INTENSITY, PERMANENT, TEMPORARY, Policy, check_intensity

FIRST_WAIT_S = 0.1  # before the first restart of a row; each further one waits twice as long …
LAST_WAIT_S = 5.0  # … up to this


@dataclass(frozen=True, slots=True)
class StartAgain:
    """It is started again."""

    wait_s: float
    count: int  # of the restarts in the time that its intensity counts, this one included


@dataclass(frozen=True, slots=True)
class GiveUp:
    """It has failed."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveIt:
    """Its end is its own business."""


Verdict = StartAgain | GiveUp | LeaveIt


class Restarts:
    """Remembers the restarts of the actors of one node."""

    def __init__(self) -> None:
        """Nothing was restarted yet."""
        self._times: dict[str, deque[float]] = {}  # by deployment

    def judge(
        self, deployment: str, policy: Policy | None, now_s: float, why: str, *, is_failure: bool
    ) -> Verdict:
        """Return what follows from an end of that deployment.

        Args:
            why: it ended, for people.
            is_failure: something went wrong, it didn't just end.
        """
        if policy is None or not is_restarted(policy, is_failure=is_failure):
            return LeaveIt()
        most, within_s = _intensity(policy)
        times = self._times.setdefault(deployment, deque())
        while times and now_s - times[0] > within_s:
            times.popleft()
        if len(times) >= most:
            self.forget(deployment)
            return GiveUp(f"restarted {policy.intensity}, then again: {why}")
        times.append(now_s)
        wait_s = min(FIRST_WAIT_S * 2.0 ** (len(times) - 1), LAST_WAIT_S)
        return StartAgain(wait_s, len(times))

    def forget(self, deployment: str) -> None:
        """It is no more: another under that name begins with a clean slate."""
        self._times.pop(deployment, None)


def is_restarted(policy: Policy | None, *, is_failure: bool) -> bool:
    """Whether an actor is to be restarted after an end of that kind."""
    if policy is None or policy.restart == TEMPORARY:
        return False
    return is_failure or policy.restart == PERMANENT


def _intensity(policy: Policy) -> tuple[int, float]:
    try:
        return check_intensity(policy.intensity)
    except ConfigError:  # a fact that nobody of ours wrote
        return check_intensity(INTENSITY)
