"""What runs of knowledge bases have exercised: engines, replicas, faults."""

from __future__ import annotations

from zactor.testing.coverage import told
from zactor.testing.engine_coverage import EngineCoverage
from zactor.testing.kb_sim.rare_faults import FaultCoverage
from zactor.testing.replica_coverage import ReplicaCoverage


class KbCoverage:
    """All of it, over any number of runs."""

    def __init__(self) -> None:
        """Nothing has been exercised yet."""
        self.engines = EngineCoverage()
        self.replicas = ReplicaCoverage()
        self.faults = FaultCoverage()

    def lines(self) -> list[str]:
        """Return tables for people."""
        return told(self.engines, self.replicas, self.faults)

    def never(self) -> list[str]:
        """Return what no run has exercised."""
        parts = (self.engines, self.replicas, self.faults)
        return [key for part in parts for key in part.never()]
