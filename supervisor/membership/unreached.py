"""Who doesn't reach whom, and why: all nodes must reach each other, so it is said to people.

Whoever finds a door closed tells all whom it is linked with: the person who can open it may be at
any of them, and so may the one who waits for a node to join. Kernel thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from zactor.kernel import limits
from zactor.kernel.errors import ConfigError
from zactor.kernel.ids import check_name
from zactor.kernel.printable import shortened
from zactor.kernel.transport.addresses import plain
from zactor.kernel.transport.door_call import why_unreached
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.observe.events import PeerUnreached, Tell

log = structlog.get_logger()

SAID_AGAIN_S = 10.0  # as long as it is so: to the others, and in the log
BELIEVED_S = 2.5 * SAID_AGAIN_S  # without being said again


@dataclass(frozen=True, slots=True)
class _Said:
    """What is known of one node that doesn't reach another."""

    why: str  # a sentence
    at_s: float  # loop time


class Unreached:
    """What this node has found out, and what others have told it."""

    def __init__(
        self,
        hub: Hub,
        *,
        is_member: Callable[[str], bool],
        tell: Tell,
        spawn: Callable[[Coroutine[Any, Any, object]], None],
    ) -> None:
        """`is_member` is asked of the names of peers; `spawn` runs what has to wait."""
        self._hub = hub
        self._is_member = is_member
        self._tell = tell
        self._spawn = spawn
        self._said: dict[tuple[str, str], _Said] = {}  # (who, whom)
        self._asked: set[Peer] = set()  # why they aren't reached is being found out, or said

    # -- what comes to be known --------------------------------------------------------------
    def keep(self) -> None:
        """Look whether a peer isn't reached; every HOUSEKEEPING_MS."""
        for peer in self._hub.unreached():
            if peer not in self._asked:
                self._asked.add(peer)
                self._spawn(self._find_out(peer))
        self._asked.intersection_update(self._hub.peers.values())

    async def _find_out(self, peer: Peer) -> None:
        why = await why_unreached(peer.hello.endpoint)
        if not peer.connected and not peer.dead:
            at = plain(peer.hello.endpoint)
            self.found(peer.node.name, f" at {at}: {why}; or --advertise what leads there")

    def found(self, whom: str, why: str) -> None:
        """This node doesn't reach `whom`: say so here, and to all it is linked with.

        Args:
            why: where, and what is to be done, as the end of a sentence.
        """
        me = self._hub.me.name
        text = f"{me} can't reach {whom}{why}"
        if self._note(me, whom, text):
            for peer in self._hub.peers.values():
                self._hub.tell_unreached(peer, whom, text)

    def hear(self, peer: Peer, whom: str, why: str) -> None:
        """A peer doesn't reach `whom`, as it says, in its words."""
        try:
            check_name("node", whom)
        except ConfigError as error:
            log.debug("peer_unreached_refused", peer=str(peer.node), why=str(error))
            return
        self._note(peer.node.name, whom, shortened(why, limits.LOG_VALUE_CHARS_MAX))

    def _note(self, who: str, whom: str, why: str) -> bool:
        """Keep it; return whether it is time to say so."""
        now = self._hub.loop.time()
        before = self._said.get((who, whom))
        if before is not None and now - before.at_s < SAID_AGAIN_S:
            return False
        is_news = before is None or now - before.at_s >= BELIEVED_S
        self._said.pop((who, whom), None)
        self._said[who, whom] = _Said(why, now)
        while len(self._said) > limits.UNREACHED_KEPT:
            del self._said[next(iter(self._said))]
        if is_news:
            self._tell(PeerUnreached(who, whom, why))
        else:
            log.warning("peer_unreached", who=who, whom=whom, why=why)
        return True

    # -- what follows ------------------------------------------------------------------------
    def why_not(self, name: str) -> str:
        """Return why that node, which was met, can't be a member; "" if nothing is known."""
        return next((why for pair, why in self._present() if name in pair), "")

    def troubles(self) -> list[str]:
        """Return in a sentence each what keeps nodes that we are linked with out of our view."""
        return [why for _, why in self._present()]

    def _present(self) -> list[tuple[tuple[str, str], str]]:
        """Return what was said of late, and still keeps somebody out.

        Of a host that is off others say so as well; there nobody who is reached is kept out.
        """
        since = self._hub.loop.time() - BELIEVED_S
        kept_out = {peer.node.name for peer in self._hub.peers.values() if self._is_kept_out(peer)}
        if kept_out:  # we may be the one who is out
            kept_out.add(self._hub.me.name)
        return [
            (pair, said.why)
            for pair, said in self._said.items()
            if said.at_s > since and not kept_out.isdisjoint(pair)
        ]

    def _is_kept_out(self, peer: Peer) -> bool:
        name = peer.node.name
        return not self._is_member(name) and (not peer.up or name not in self._hub.broken())
