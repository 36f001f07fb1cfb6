"""The bundles a node holds, each in one file under its hash.

<folder>/<64 digits>.bundle    whole, its hash was checked
<folder>/<64 digits>.part      on its way: grows at its end, survives a cut and a restart
<folder>/unpacked/             those that are in use, as folders (bundles/unpacked.py)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import time
from collections.abc import Collection
from pathlib import Path

from zactor.bundles.manifest import Bundle, check_head, decode, hex_of
from zactor.bundles.unpacked import UnpackedBundles
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing
from zactor.kernel.room import is_full


class BundleStore:
    """A folder of bundles. Threads: any."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Nothing is created before there is something to keep."""
        self._folder = Path(folder)
        self._lock = threading.Lock()
        # Of each transfer under way: bytes held, and their hash so far. Hashing 64 MB at once, when
        # the last piece is there, would keep a node's kernel from its heartbeats.
        self._running: dict[Path, tuple[int, hashlib._Hash]] = {}
        self._modules: dict[str, frozenset[str]] = {}  # bundle -> identities of its modules
        self.unpacked = UnpackedBundles(self._folder / "unpacked")

    @property
    def folder(self) -> Path:
        """Where they lie."""
        return self._folder

    def has(self, identity: str) -> bool:
        """Whether the whole bundle is here."""
        return self._whole(identity).exists()

    def held(self, identity: str) -> int:
        """Return how many bytes of the bundle are here: where a sender goes on."""
        return _size(self._whole(identity)) or _size(self._partial(identity))

    def identities(self) -> list[str]:
        """Return the bundles that are here, sorted."""
        return sorted(f"sha256:{file.stem}" for file in self._folder.glob("*.bundle"))

    def beginning_with(self, digits: str) -> str:
        """Return the identity of the one bundle here whose hash begins so, "" if not just one."""
        if not digits or not set(digits) <= set("0123456789abcdef"):
            return ""
        found = list(self._folder.glob(f"{digits}*.bundle"))
        return f"sha256:{found[0].stem}" if len(found) == 1 else ""

    def with_module(self, module_identity: str) -> str:
        """Return the identity of a bundle here that has the module, "" if none has.

        Bundles whose manifests tell nothing of their modules aren't found.
        """
        for identity in self.identities():
            known = self._modules.get(identity)
            if known is None:
                try:
                    manifest = check_head(self._whole(identity))
                except (OSError, BundleRefused):  # it was removed, or damaged
                    continue
                known = self._modules[identity] = frozenset(manifest.modules.values())
            if module_identity in known:
                return identity
        return ""

    def wants_of(self, identity: str) -> tuple[str, ...]:
        """Return what a bundle's author asks for; () where it isn't here, or can't be read."""
        try:
            return check_head(self._whole(identity)).wants
        except (OSError, BundleRefused):
            return ()

    def put(self, bundle: Bundle) -> None:
        """Keep a bundle that is in memory."""
        with self._lock:
            self._keep(bundle.identity, bundle.data)

    def put_part(self, identity: str, offset: int, total: int, data: bytes) -> int:
        """Take a piece of a bundle of `total` bytes; return the bytes held from the beginning.

        A piece that doesn't begin where the last one ended changes nothing, or only adds what is
        new in it: the sender goes on at what is returned. It returns `total` when all is there.

        Raises:
            BundleRefused: a limit is reached, or the finished bundle isn't what its hash says (it
                is removed then, and may be sent again from 0).
        """
        if not 0 < total <= limits.BUNDLE_BYTES_MAX:
            raise BundleRefused(
                f"a bundle of {total} bytes: BUNDLE_BYTES_MAX is {limits.BUNDLE_BYTES_MAX}"
            )
        if len(data) > limits.PART_BYTES_MAX:
            raise BundleRefused(
                f"a part of {len(data)} bytes: PART_BYTES_MAX is {limits.PART_BYTES_MAX}"
            )
        if offset < 0 or offset + len(data) > total:
            raise BundleRefused(f"a part at {offset} of {len(data)} bytes ends behind {total}")
        with self._lock:
            whole, partial = self._whole(identity), self._partial(identity)
            if whole.exists():
                os.utime(whole)  # it isn't old any more: see `sweep`
                return _size(whole)
            held = _size(partial)
            if held > total:  # of another total: one of the two senders was wrong
                partial.unlink()
                self._running.pop(partial, None)
                held = 0
            if offset <= held < offset + len(data):
                self._append(partial, data[held - offset :])
                held = offset + len(data)
            if held == total:
                self._finish(identity, partial)
            return held

    def get_part(self, identity: str, offset: int) -> tuple[bytes, int]:
        """Return up to PART_BYTES_MAX bytes from `offset` on, and the length of the bundle.

        Raises:
            NoSuchThing: the bundle isn't here.
            BundleRefused: `offset` lies outside of it.
        """
        try:
            with self._whole(identity).open("rb") as file:
                total = os.fstat(file.fileno()).st_size
                if not 0 <= offset <= total:
                    raise BundleRefused(f"bundle {identity} has {total} bytes, not {offset}")
                file.seek(offset)
                return file.read(limits.PART_BYTES_MAX), total
        except FileNotFoundError:
            raise NoSuchThing(f"bundle {identity} isn't in the store") from None

    def open(self, identity: str) -> Bundle:
        """Return the bundle, its hash checked again.

        Raises:
            NoSuchThing: it isn't here.
            BundleRefused: the file was changed on the disk; it is removed and may come anew.
        """
        path = self._whole(identity)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise NoSuchThing(f"bundle {identity} isn't in the store") from None
        try:
            return decode(data, identity)
        except BundleRefused:
            path.unlink(missing_ok=True)
            raise

    def sweep(self, needed: Collection[str], in_use: Collection[str], kept_s: float) -> list[str]:
        """Remove the bundles that nobody needs and that are older than that; return them.

        Args:
            in_use: identities whose files this process may still read: those stay unpacked.
        """
        with self._lock:
            gone = []
            for identity in self.identities():
                if identity in needed or identity in in_use:
                    continue
                file = self._whole(identity)
                if time.time() - file.stat().st_mtime >= kept_s:
                    file.unlink(missing_ok=True)
                    self._modules.pop(identity, None)
                    gone.append(identity)
        self.unpacked.sweep({*in_use, *self.identities()})
        return gone

    def _whole(self, identity: str) -> Path:
        return self._folder / f"{hex_of(identity)}.bundle"

    def _partial(self, identity: str) -> Path:
        return self._folder / f"{hex_of(identity)}.part"

    def _finish(self, identity: str, partial: Path) -> None:
        hashed = self._hash_of(partial)
        self._running.pop(partial, None)
        try:
            if hashed.hexdigest() != hex_of(identity):
                raise BundleRefused(f"what came isn't what was asked for: want {identity}")
            check_head(partial)
        except BundleRefused:
            partial.unlink()
            raise
        partial.replace(self._whole(identity))
        self._sync_folder()

    def _keep(self, identity: str, data: bytes) -> None:
        whole = self._whole(identity)
        if whole.exists():
            return
        decode(data, identity)
        partial = self._partial(identity)
        with contextlib.suppress(FileNotFoundError):
            partial.unlink()
        self._append(partial, data)
        self._finish(identity, partial)

    def _append(self, partial: Path, data: bytes) -> None:
        if not partial.exists():
            self._make_folder()
            self._make_room()
        hashed = self._hash_of(partial)
        # A link that someone laid there must not lead the bytes elsewhere.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(partial, flags, 0o600), "ab") as file:
                file.write(data)
                file.flush()
                # Piece by piece: all at the end would take as long as the whole transfer at once.
                os.fdatasync(file.fileno())
                held = os.fstat(file.fileno()).st_size
        except OSError as error:
            if not is_full(error):
                raise
            partial.unlink(missing_ok=True)  # others need the room
            self._running.pop(partial, None)
            raise BundleRefused(f"{partial}: no space left on device: make room there") from error
        hashed.update(data)
        self._running[partial] = (held, hashed)

    def _make_folder(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            if not is_full(error):
                raise
            raise BundleRefused(
                f"{self._folder}: no space left on device: make room there"
            ) from error

    def _hash_of(self, partial: Path) -> hashlib._Hash:
        held, hashed = self._running.get(partial, (-1, hashlib.sha256()))
        if held == _size(partial):
            return hashed
        # Begun before a restart, or anew.
        return hashlib.sha256(partial.read_bytes() if partial.exists() else b"")

    def _make_room(self) -> None:
        """Drop the transfers that were left longest, so that unfinished ones can't pile up."""
        partials = sorted(self._folder.glob("*.part"), key=lambda file: file.stat().st_mtime)
        too_many = max(0, len(partials) + 1 - limits.BUNDLE_PARTIALS_MAX)
        for file in partials[:too_many]:
            file.unlink(missing_ok=True)
            self._running.pop(file, None)

    def _sync_folder(self) -> None:
        """Make the rename itself last."""
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
