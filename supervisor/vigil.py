"""Watching over the other nodes: the detector with its clock, its probes and its words."""

from __future__ import annotations

import structlog

from zactor.kernel import config
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.detector import Detector
from zactor.supervisor.journal import Journal

log = structlog.get_logger()


class Vigil:
    """Puts out who is dead, and says who is stuck. Kernel thread only."""

    def __init__(self, hub: Hub, journal: Journal) -> None:
        """`hub` has the peers that are watched."""
        self.stuck: set[str] = set()  # nodes whose process lives and whose loop is silent
        self._hub = hub
        self._journal = journal
        self._detector = Detector(
            tick_ms=config.HEARTBEAT_MS, silence_ms=config.SILENCE_MS, stuck_ms=config.STUCK_MS
        )

    @property
    def lag_ms(self) -> int:
        """How late our own loop was at the last look."""
        return self._detector.lag_ms

    def heard(self, name: str) -> None:
        """A sign of life of a member."""
        self._detector.heard(name, self._hub.now_ms())

    def forget(self, name: str) -> None:
        """It is no member any more."""
        self._detector.forget(name)
        self.stuck.discard(name)

    def keep(self) -> None:
        """Look at everybody; called every HEARTBEAT_MS."""
        now_ms = self._hub.now_ms()
        broken = self._hub.broken()
        for peer in list(self._hub.peers.values()):
            if not peer.up:
                continue
            if peer.frames_in != peer.frames_seen:
                peer.frames_seen = peer.frames_in
                self._detector.heard(peer.node.name, now_ms)
            if peer.node.name in broken:
                self._hub.probe(peer)  # its link may live though no heartbeat comes through
            self._tell_stuck(peer, now_ms)
        for name in self._detector.tick(now_ms, broken):
            limit_ms = config.SILENCE_MS if name in broken else config.STUCK_MS
            self._hub.drop_peer(name, f"{name} has been silent for {limit_ms} ms")

    def _tell_stuck(self, peer: Peer, now_ms: int) -> None:
        """Say once when the loop of a node whose process lives is silent, and when it is back."""
        name = peer.node.name
        stuck = self._detector.silence_ms(name, now_ms) > config.STUCK_TOLD_MS
        if stuck == (name in self.stuck):
            return
        (self.stuck.add if stuck else self.stuck.discard)(name)
        event = "node_stuck" if stuck else "node_unstuck"
        log.warning(event, peer=str(peer.node))
        self._journal.record(event, name=name)
