"""The table of peers: those that live, their keys, and the incarnations that are dead to us."""

from __future__ import annotations

from collections.abc import Sequence

from zactor.kernel import limits
from zactor.kernel.errors import AlreadyExists, Buried, ConfigError, Refused, Unconfigured
from zactor.kernel.ids import check_name
from zactor.kernel.messages.base import WIRE_VERSION
from zactor.kernel.messages.operations import Hello
from zactor.kernel.transport.addresses import is_loopback, parse_address
from zactor.kernel.transport.keys import fingerprint
from zactor.kernel.transport.own_address import is_here
from zactor.kernel.transport.peer import Peer

_SHOWN_CHARS = 63  # of a name that may be any text
_KEY_CHARS = 40  # of a CURVE key in Z85


class PeerTable:
    """The peers of one node. Kernel's loop only."""

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

    def check_place(self, hello: Hello, host: str) -> None:
        """Refuse who comes from `host` and would never be a member: all must reach all.

        Raises:
            Refused: it listens for its own machine only and somebody is on another one, or the
                other way round.
        """
        is_near = not host or is_here(host)
        if is_local(hello):
            far = [name for name, peer in self.peers.items() if peer.up and not peer.is_here]
            far = far if is_near else [self._me]
            if far:
                raise Refused(local_only([hello.name], " and ".join(sorted(far))))
        elif not is_near:
            deaf = [name for name, peer in self.peers.items() if peer.up and is_local(peer.hello)]
            if deaf:
                raise Refused(local_only(sorted(deaf), hello.name))

    def check(self, hello: Hello) -> None:
        """Refuse who can't be met.

        Raises:
            Buried: this incarnation counts as dead.
            Refused: what it says can't be, another version or cluster, an incarnation that is
                past, or one node too many.
            AlreadyExists: the name, or the key, belongs to somebody else who lives.
        """
        if hello.version != WIRE_VERSION:
            raise Refused(
                f"node {hello.name[:_SHOWN_CHARS]!r} speaks version {hello.version} of the wire,"
                f" {self._me!r} speaks {WIRE_VERSION}: run the same zactor on both"
            )
        _check_words(hello)
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
            if len(self.peers) >= limits.GROUP_PEERS_MAX:
                raise Refused(f"{self._me} knows {len(self.peers)} other nodes already: no more")
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


def _check_words(hello: Hello) -> None:
    """Refuse what no honest node says of itself, before it is shown, kept or called upon."""
    try:
        check_name("node", hello.name)
        for there in (hello.endpoint, hello.heartbeats):
            parse_address(there[: limits.ENDPOINT_CHARS_MAX + 1])
    except ConfigError as error:
        raise Refused(str(error)) from None
    lengths = (len(hello.cluster), len(hello.endpoint), len(hello.heartbeats))
    if max(lengths) > limits.ENDPOINT_CHARS_MAX or not hello.cluster.isprintable():
        raise Refused(f"node {hello.name} says what no node says: a cluster or address too long")
    if hello.role not in ("node", "master") or hello.incarnation < 1:
        raise Refused(f"node {hello.name} says what no node says: another role, or no incarnation")
    if len(hello.key) != _KEY_CHARS or not hello.key.isascii() or not hello.key.isprintable():
        raise Refused(f"node {hello.name} says what no node says: its key is none")


def is_local(hello: Hello) -> bool:
    """Return whether a node listens for its own machine only."""
    return is_loopback(parse_address(hello.endpoint)[0])


def local_only(names: Sequence[str], whom: str) -> str:
    """Return what to say of nodes that listen for their own machine only."""
    one = len(names) == 1
    return (
        f"{' and '.join(names)} {'listens' if one else 'listen'} on 127.0.0.1 only, so {whom} can't"
        f" reach {'it' if one else 'them'}: start {'it' if one else 'them'} with --bind ADDRESS, an"
        " address of that machine"
    )


def _life(hello: Hello) -> str:
    return f"{hello.name}@{hello.incarnation}"
