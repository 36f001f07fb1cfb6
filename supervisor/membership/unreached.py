"""Who doesn't reach whom, and why: all nodes must reach each other, so it is said to people.

Whoever finds a door closed tells all whom it is linked with: the person who can open it may be at
any of them, and so may the one who waits for a node to join. Kernel's loop only.
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
from zactor.kernel.transport.door_call import NO_NODE, why_unreached
from zactor.kernel.transport.hub import Hub
from zactor.kernel.transport.peer import Peer
from zactor.supervisor.observe.events import PeerUnreached, Tell

log = structlog.get_logger()

SAID_AGAIN_S = 10.0  # as long as it is so: to the others, and in the log
BELIEVED_S = 2.5 * SAID_AGAIN_S  # without being said again


_NEVER = float("-inf")


@dataclass(slots=True)
class _Heard:
    """What is known of one node that doesn't reach another."""

    why: str  # a sentence
    at_s: float  # loop time when it was said last
    told_s: float  # when it was told to people


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
        self._said: dict[tuple[str, str], _Heard] = {}  # (who, whom)
        self._due: dict[Peer, float] = {}  # loop time from which to find out why it isn't reached

    # -- what comes to be known --------------------------------------------------------------
    def keep(self) -> None:
        """Look who isn't reached, and say what keeps somebody out; every HOUSEKEEPING_MS."""
        now, broken = self._hub.loop.time(), self._hub.broken()
        cut_off = [peer for peer in self._hub.peers.values() if self._is_cut_off(peer, broken)]
        due = dict.fromkeys(cut_off, now + limits.LINK_UNREACHED_MS / 1000)
        due |= dict.fromkeys(self._hub.unreached(), now)
        self._due = {peer: self._due.get(peer, at_s) for peer, at_s in due.items()}
        for peer, at_s in self._due.items():
            if at_s <= now:
                self._due[peer] = now + SAID_AGAIN_S
                self._spawn(self._find_out(peer))
        for (who, whom), said in self._present():
            if now - said.told_s >= SAID_AGAIN_S:
                self._say(who, whom, said.why, is_news=said.told_s == _NEVER)
                said.told_s = now

    def _is_cut_off(self, peer: Peer, broken: set[str]) -> bool:
        """Whether it was a member, or could have been one, and its connection is broken."""
        name = peer.node.name
        return peer.up and name in broken and not self._is_member(name)

    def _say(self, who: str, whom: str, why: str, *, is_news: bool) -> None:
        if is_news:
            self._tell(PeerUnreached(who, whom, why))
        else:
            log.warning("peer_unreached", who=who, whom=whom, why=why)

    async def _find_out(self, peer: Peer) -> None:
        why = await why_unreached(peer.hello.endpoint)
        is_reached = why == NO_NODE if peer.up else peer.connected
        if not (is_reached or peer.dead or self._is_member(peer.node.name)):
            at = plain(peer.hello.endpoint)
            self.found(peer.node.name, f" at {at}: {why}; or --advertise what leads there")

    def found(self, whom: str, why: str) -> None:
        """This node doesn't reach `whom`: say so here, and to all it is linked with.

        Args:
            why: where, and what is to be done, as the end of a sentence.
        """
        me = self._hub.me.name
        text = f"{me} can't reach {whom}{why}; all nodes must reach each other"
        self._note(me, whom, text)
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

    def _note(self, who: str, whom: str, why: str) -> None:
        before = self._said.pop((who, whom), None)
        now = self._hub.loop.time()
        is_old = before is not None and now - before.at_s < BELIEVED_S
        told_s = before.told_s if before is not None and is_old else _NEVER
        self._said[who, whom] = _Heard(why, now, told_s)
        while len(self._said) > limits.UNREACHED_KEPT:
            del self._said[next(iter(self._said))]

    # -- what follows ------------------------------------------------------------------------
    def why_not(self, name: str) -> str:
        """Return why that node, which was met, can't be a member; "" if nothing is known."""
        return next((said.why for pair, said in self._present() if name in pair), "")

    def troubles(self) -> list[str]:
        """Return in a sentence each what keeps nodes that we are linked with out of our view."""
        return [said.why for _, said in self._present()]

    def _present(self) -> list[tuple[tuple[str, str], _Heard]]:
        """Return what was said of late, and still keeps somebody out.

        Of a host that is off others say so as well; there nobody who is reached is kept out.
        """
        since = self._hub.loop.time() - BELIEVED_S
        kept_out = {peer.node.name for peer in self._hub.peers.values() if self._is_kept_out(peer)}
        if kept_out:  # we may be the one who is out
            kept_out.add(self._hub.me.name)
        return [
            (pair, said)
            for pair, said in self._said.items()
            if said.at_s > since and not kept_out.isdisjoint(pair)
        ]

    def _is_kept_out(self, peer: Peer) -> bool:
        name = peer.node.name
        return not self._is_member(name) and (not peer.up or name not in self._hub.broken())
