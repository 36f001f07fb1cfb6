"""The table of peers: those that live, their keys, and the incarnations that are dead to us."""

from __future__ import annotations

from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists, Buried, Refused, Unconfigured
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Hello
from zactor.kernel.transport.keys import fingerprint
from zactor.kernel.transport.peer import Peer


class PeerTable:
    """The peers of one node. Kernel thread only."""

    def __init__(self, me: str, cluster: str) -> None:
        """`me` is "" for an unconfigured node, which meets nobody."""
        self._me = me
        self._cluster = cluster
        self.peers: dict[str, Peer] = {}
        self._by_key: dict[str, Peer] = {}
        self._dead: dict[str, str] = {}  # node key -> name@incarnation

    def add(self, peer: Peer) -> None:
        """Know a peer by its name and its key."""
        self.peers[peer.node.name] = peer
        self._by_key[peer.hello.key] = peer

    def remove(self, name: str) -> Peer | None:
        """Know it no more; who was a member, or has used its link, must come back as another."""
        peer = self.peers.pop(name, None)
        if peer is None:
            return None
        self._by_key.pop(peer.hello.key, None)
        if peer.up or peer.link.is_used:
            self._dead[peer.hello.key] = str(peer.node)
        while len(self._dead) > limits.DOOR_CLIENTS_MAX:
            self._dead.pop(next(iter(self._dead)))
        return peer

    def by_key(self, key: str) -> Peer | None:
        """Return whose link's key this is."""
        return self._by_key.get(key)

    def dead_life(self, key: str) -> str | None:
        """Return the dead incarnation whose key this was."""
        return self._dead.get(key)

    def clear(self) -> None:
        """Know nobody."""
        self.peers.clear()
        self._by_key.clear()

    def check(self, hello: Hello) -> None:
        """Refuse who can't be met.

        Raises:
            Buried: this incarnation counts as dead.
            Refused: another version or cluster, or an incarnation that is past.
            AlreadyExists: the name, or the key, belongs to somebody else who lives.
        """
        if hello.version != WIRE_VERSION:
            raise Refused(
                f"node {hello.name!r} speaks version {hello.version} of the wire,"
                f" {self._me!r} speaks {WIRE_VERSION}: run the same zactor on both"
            )
        if hello.cluster != self._cluster:
            raise Refused(
                f"node {hello.name!r} belongs to cluster {hello.cluster}, {self._me!r} to"
                f" {self._cluster}: give it this cluster's token (zactor keys join)"
            )
        if not self._me:
            raise Unconfigured("the node at this address is unconfigured: declareNode names it")
        if hello.name == self._me:
            raise AlreadyExists(f"a node named {hello.name} is running already")
        if hello.key in self._dead and self._dead[hello.key] == _life(hello):
            raise Buried(f"{_life(hello)} counts as dead here: come back as a new incarnation")
        owner = self._by_key.get(hello.key)
        if owner is not None and owner.node.name != hello.name:
            raise AlreadyExists(
                f"node {hello.name} has the key of {owner.node.name}, which is running: its state"
                " folder is a copy; move it away, then start the node anew"
            )
        known = self.peers.get(hello.name)
        if known is None:
            return
        if known.hello.key != hello.key:
            raise AlreadyExists(
                f"a node named {hello.name} is running already, with another key"
                f" ({fingerprint(known.hello.key.encode())})"
            )
        is_known = hello.incarnation == known.node.incarnation
        if is_known and hello.endpoint != known.hello.endpoint:
            raise AlreadyExists(
                f"{known.node} is running already at {known.hello.endpoint}: the state folder of"
                " one of the two is a copy; stop one and move its folder away"
            )
        if hello.incarnation < known.node.incarnation:
            raise Refused(f"{_life(hello)} is past: {known.node} lives")


def _life(hello: Hello) -> str:
    return f"{hello.name}@{hello.incarnation}"
