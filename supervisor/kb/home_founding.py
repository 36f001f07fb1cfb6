"""What a home remembers of the cluster that its nodes belong to, beside the keys.

A node whose store is new can't tell by itself whether it never belonged to a cluster, or has lost
its disk. The home can: so who has lost everything founds no other in silence.
"""

from __future__ import annotations

import os
from pathlib import Path

import structlog

from zactor.kernel.printable import printable
from zactor.kernel.room import is_full
from zactor.kernel.transport.private_files import open_private, private_folder

log = structlog.get_logger()

_BYTES_MAX = 1_024  # of the name of a founding: a node's, with a time


class HomeFounding:
    """The file keys/founding of one home: the founding of the cluster of its nodes.

    Threads: one at a time.
    """

    def __init__(self, home: Path) -> None:
        """Read what is there.

        Raises:
            ConfigError: another user may have written it.
        """
        self.file = home / "keys" / "founding"
        self._noted = self._read()

    def _read(self) -> str:
        if not os.path.lexists(self.file):
            return ""
        with private_folder(self.file.parent), os.fdopen(open_private(self.file), "rb") as file:
            return file.read(_BYTES_MAX).decode("utf-8", "replace").strip()

    def bars(self, name: str) -> str:
        """Return why the node `name`, whose store is new, begins no cluster; "" if it may.

        It may where no node of this home ever belonged to one.
        """
        if not self._noted:
            return ""
        return (
            f"{name} has a new store, and its home belongs to the cluster"
            f" {printable(self._noted)}: it begins no other; start a node that has that cluster's"
            f" state, or join one (`--join HOST:PORT`); to begin anew, remove {self.file}"
        )

    def note(self, founding: str) -> None:
        """The nodes of this home belong to the cluster `founding`.

        Where there is no room for that it is noted at the next time.
        """
        if founding in ("", self._noted):
            return
        draft = self.file.with_name(f".founding.{os.getpid()}.new")
        try:
            with private_folder(self.file.parent):
                with os.fdopen(open_private(draft), "wb") as file:
                    file.write(founding.encode()[:_BYTES_MAX])
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(self.file)
        except OSError as error:
            draft.unlink(missing_ok=True)
            if not is_full(error):
                raise
            log.warning("founding_not_noted", why=f"{self.file}: no space left on device")
            return
        self._noted = founding
