"""Bundles as folders: each unpacked once, under its hash, so that its files are files.

The files are read-only. Folders aren't: `rm -r` of a home must work for its owner.

<folder>/<16 digits>/…       what lies below `src/` in the bundle
<folder>/.<16 digits>.*      on its way: renamed when it is whole
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path

from zactor.bundles.manifest import SOURCE, Bundle, hex_of
from zactor.kernel.errors import BundleRefused
from zactor.kernel.room import is_full

DIGITS = 16  # of the identity in a folder's name; what is in it is compared

_numbers = itertools.count(1)


class UnpackedBundles:
    """A folder of unpacked bundles; several processes may share it. Threads: any."""

    def __init__(self, folder: Path) -> None:
        """Nothing is created before there is something to unpack."""
        self.folder = folder
        self._lock = threading.Lock()

    def path_of(self, bundle: Bundle) -> Path:
        """Return the folder of a bundle, unpacked, with exactly the bundle's files in it.

        Raises:
            BundleRefused: there is no room for it, or it can't be written.
        """
        target = self.folder / hex_of(bundle.identity)[:DIGITS]
        with self._lock:
            if not _holds(target, bundle):
                try:
                    self._unpack(bundle, target)
                except OSError as error:
                    why = "no space left on device" if is_full(error) else error.strerror
                    raise BundleRefused(f"{target}: {why}: the bundle can't be unpacked") from error
        return target

    def sweep(self, needed: Iterable[str]) -> list[str]:
        """Remove the folders of all bundles but the `needed` identities; return their names."""
        kept = {hex_of(identity)[:DIGITS] for identity in needed}
        gone = []
        with self._lock:
            for path in sorted(self.folder.glob("*")):
                if path.name not in kept and len(path.name) == DIGITS:
                    _remove(path)
                    gone.append(path.name)
        return gone

    def _unpack(self, bundle: Bundle, target: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.folder / f".{target.name}.{os.getpid()}.{next(_numbers)}"
        try:
            draft.mkdir(mode=0o700)
            for path, data in bundle.parts.items():
                if path.startswith(SOURCE):
                    file = draft / path.removeprefix(SOURCE)
                    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
                    with os.fdopen(made, "wb") as out:
                        out.write(data)
            if target.exists():  # not what it should be: someone wrote into it
                _remove(target)
            # Another process may be first: what it has unpacked is the same.
            with contextlib.suppress(FileExistsError):
                draft.rename(target)
        finally:
            _remove(draft)


class PrivateUnpackedBundles(UnpackedBundles):
    """In a folder that goes when this process ends: for who has no store."""

    def __init__(self) -> None:
        super().__init__(Path(tempfile.mkdtemp(prefix="zactor-code-")))
        atexit.register(self.remove)

    def remove(self) -> None:
        """Remove it now."""
        atexit.unregister(self.remove)
        _remove(self.folder)


def _holds(folder: Path, bundle: Bundle) -> bool:
    """Whether exactly the bundle's files lie in a folder."""
    if not folder.is_dir():
        return False
    wanted = {
        path.removeprefix(SOURCE): data
        for path, data in bundle.parts.items()
        if path.startswith(SOURCE)
    }
    found = 0
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root, name)
            data = wanted.get(file.relative_to(folder).as_posix())
            try:
                mode = file.lstat().st_mode
                if data is None or not stat.S_ISREG(mode) or file.read_bytes() != data:
                    return False
            except OSError:
                return False
            found += 1
    return found == len(wanted)


def _remove(folder: Path) -> None:
    """Remove a folder and what is in it; no matter if it isn't there."""
    shutil.rmtree(folder, ignore_errors=True)
