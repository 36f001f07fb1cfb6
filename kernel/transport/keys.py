"""The cluster's and the node's keys: made on first use, kept private, passed on as a token.

One secret of 32 bytes makes a cluster. From it follow its id, the CURVE pair of every socket that
any of its nodes binds (server), and the pair with which clients and a node's first HELLO knock
(door). Every node has a pair of its own beside it, for its links.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from zactor.kernel.errors import ConfigError, NoSuchThing, Refused
from zactor.kernel.limits import KEY_FILE_BYTES_MAX
from zactor.kernel.transport.private_files import (
    ALL,
    WRITE,
    check_home,
    check_private,
    private_folder,
    unfit,
    written_to,
)

CLUSTER_FILE = "cluster.key"
NODE_FILE = "node.key"

_SECRET_BYTES = 32
_CHECKSUM_BYTES = 4
_CLUSTER_PREFIX = "zactor1"  # the digit is the version of the derivation below
_NODE_PREFIX = "zactornode1"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A CURVE pair as ZeroMQ takes it: 40 bytes of Z85 each. Printing it hides the secret."""

    public: bytes
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ClusterKeys:
    """What a home's cluster secret stands for."""

    cluster: str  # the cluster's id: public, the same wherever the secret is the same
    server: KeyPair  # of every bound socket
    door: KeyPair  # of clients, and of a node that introduces itself


def cluster_keys(home: Path) -> ClusterKeys:
    """Return the cluster's keys of this home; the first call makes them.

    Processes that start at the same time agree: whoever comes second reads the first one's key.

    Raises:
        ConfigError: the home, or the key, is open to another user, or the key is damaged.
    """
    return _derive(_cluster_secret(home))


def node_keys(state: Path) -> KeyPair:
    """Return the pair of the node whose state this folder holds; the first call makes it.

    Raises:
        ConfigError: the key could be read or replaced by another user, or is damaged.
    """
    # The folder holds more than keys, so others may look into it, but not change it.
    secret = _make_or_read(state, NODE_FILE, _NODE_PREFIX, WRITE)
    return _curve_pair(_hash(secret, b"zactor node"))


def token(home: Path) -> str:
    """Return the line that lets another machine join this cluster. It is the secret itself."""
    return _encode(_CLUSTER_PREFIX, _cluster_secret(home))


def join(home: Path, token: str) -> str:
    """Make this home one of the token's cluster and return the cluster's id.

    Raises:
        ConfigError: it is no token, or mistyped.
        Refused: the home has another cluster's key.
    """
    secret = _decode(_CLUSTER_PREFIX, token)
    if secret is None:
        raise ConfigError(
            "the token is damaged or of another version: copy the whole line that"
            " `zactor keys token` prints there"
        )
    check_home(home)
    folder = home / "keys"
    with private_folder(folder, ALL) as directory:
        if _publish(folder, directory, CLUSTER_FILE, _encode(_CLUSTER_PREFIX, secret)):
            return cluster_id(secret)
        present = _read(directory, folder / CLUSTER_FILE, _CLUSTER_PREFIX)
    if not hmac.compare_digest(present, secret):
        raise Refused(
            f"{str(home)!r} belongs to cluster {cluster_id(present)}, the token to cluster"
            f" {cluster_id(secret)}: use another --home, or remove {str(home)!r} to give up"
            " what it holds"
        )
    return cluster_id(secret)


def describe(home: Path) -> dict[str, str]:
    """Return what may be shown of the keys: file, cluster id and fingerprints, no secret.

    Raises:
        NoSuchThing: this home has no keys yet.
        ConfigError: as `cluster_keys`.
    """
    file = home / "keys" / CLUSTER_FILE
    if not os.path.lexists(file):
        raise NoSuchThing(
            f"{str(home)!r} has no keys yet: `zactor keys init` makes a new cluster,"
            " `zactor keys join TOKEN` joins one"
        )
    keys = cluster_keys(home)
    return {
        "file": str(file),
        "cluster": keys.cluster,
        "server": fingerprint(keys.server.public),
        "door": fingerprint(keys.door.public),
    }


def fingerprint(public: bytes | str) -> str:
    """Return a short name of a public key, for logs and for people to compare."""
    data = public.encode() if isinstance(public, str) else public
    return "key:" + hashlib.blake2b(data, digest_size=6, person=b"zactor print").hexdigest()


def cluster_id(secret: bytes) -> str:
    """Return the public id of the cluster with this secret."""
    return hashlib.blake2b(secret, digest_size=8, person=b"zactor cluster").hexdigest()


# -- derivation ------------------------------------------------------------------------------
def _derive(secret: bytes) -> ClusterKeys:
    return ClusterKeys(
        cluster=cluster_id(secret),
        server=_curve_pair(_hash(secret, b"zactor server")),
        door=_curve_pair(_hash(secret, b"zactor door")),
    )


def _hash(secret: bytes, person: bytes) -> bytes:
    # The secret is the key of the hash, so that no output tells anything about another.
    return hashlib.blake2b(key=secret, digest_size=_SECRET_BYTES, person=person).digest()


def _curve_pair(scalar: bytes) -> KeyPair:
    # Any 32 bytes are a curve25519 secret: the multiplication clamps them.
    import zmq
    from zmq.utils import z85

    secret = z85.encode(scalar)
    return KeyPair(zmq.curve_public(secret), secret)


# -- one line of text ------------------------------------------------------------------------
def _checksum(prefix: str, secret: bytes) -> bytes:
    data = prefix.encode() + secret
    return hashlib.blake2b(data, digest_size=_CHECKSUM_BYTES, person=b"zactor check").digest()


def _encode(prefix: str, secret: bytes) -> str:
    return f"{prefix}-{_body(prefix, secret)}"


def _body(prefix: str, secret: bytes) -> str:
    data = base64.b32encode(secret + _checksum(prefix, secret))
    return data.decode().rstrip("=").lower()


def _decode(prefix: str, line: str) -> bytes | None:
    """Return the secret in `line`, or None. The line itself must never get into a message."""
    found, _, body = line.strip().partition("-")
    if found != prefix or not body.isascii():
        return None
    try:
        data = base64.b32decode(body.upper() + "=" * (-len(body) % 8))
    except (binascii.Error, ValueError):
        return None
    secret, checksum = data[:_SECRET_BYTES], data[_SECRET_BYTES:]
    if checksum != _checksum(prefix, secret):
        return None
    # The last character has two bits to spare; there is one spelling all the same.
    return secret if body.lower() == _body(prefix, secret) else None


# -- files -----------------------------------------------------------------------------------
def _cluster_secret(home: Path) -> bytes:
    check_home(home)
    return _make_or_read(home / "keys", CLUSTER_FILE, _CLUSTER_PREFIX, ALL)


def _make_or_read(folder: Path, name: str, prefix: str, forbidden: int) -> bytes:
    with private_folder(folder, forbidden) as directory:
        try:
            return _read(directory, folder / name, prefix)
        except FileNotFoundError:
            _publish(folder, directory, name, _encode(prefix, os.urandom(_SECRET_BYTES)))
        return _read(directory, folder / name, prefix)


def _read(directory: int, file: Path, prefix: str) -> bytes:
    # NONBLOCK: a FIFO in the key's place must not hold us up.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file.name, flags, dir_fd=directory)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unfit(file, error, "file") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{str(file)!r} is no file: remove it")
        check_private(file, status, ALL, "600")
        text = os.read(descriptor, KEY_FILE_BYTES_MAX)
    finally:
        os.close(descriptor)
    secret = _decode(prefix, text.decode("ascii", "replace"))
    if secret is None:
        raise ConfigError(f"{str(file)!r} holds no key: restore it from a copy, or remove it")
    return secret


def _publish(folder: Path, directory: int, name: str, line: str) -> bool:
    """Put the key into the folder whole, unless there is one; return whether it is ours.

    A link instead of writing to the name itself: nobody ever sees half a key, also after a crash.
    """
    draft = f".{name}.{os.getpid()}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=directory)
    try:
        try:
            os.fchmod(descriptor, 0o600)  # whatever the umask says
            with written_to(folder / name):
                os.write(descriptor, line.encode() + b"\n")
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(draft, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
        except FileExistsError:
            return False
        os.fsync(directory)
        return True
    finally:
        os.unlink(draft, dir_fd=directory)
