"""What the adversary looks for: moments at which trouble costs most."""

from __future__ import annotations

from zactor.kernel.messages.knowledge import KbAttempted
from zactor.testing.replica_coverage import attempt_of
from zactor.testing.replica_sim.shell import Node


def is_newborn(node: Node) -> bool:
    """Whether it has taken over a history, and agreed to no primary yet."""
    replica = node.replica
    return replica is not None and bool(replica.digest) and not replica.founding


def spoken(node: Node) -> float:
    """Which part of the voices of a node's attempt has spoken; -1: none is under way."""
    if node.replica is None or node.view is None:
        return -1.0
    attempt = attempt_of(node.replica)
    if attempt is None:
        return -1.0
    epoch = attempt.primary.epoch
    said = {
        one.sender
        for one in node.view.tickets
        if one is not None and isinstance(one.body, KbAttempted) and one.body.epoch == epoch
    }
    return len(said & set(attempt.voices)) / len(attempt.voices)
