"""Who asks something of a node: a client at its door, another node over its link, or it itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from zactor.kernel import limits
from zactor.kernel.errors import Refused

_AUTHOR = re.compile(r"[!-?A-~\w]+@[!-?A-~\w]+ [!-?A-~\w]+")  # words without another @


@dataclass(frozen=True, slots=True)
class Asker:
    """Made by `client_at` and `node_called`; a node may bear any name, `client` too."""

    node: str  # at whose door the client is; or the node that asks
    is_client: bool
    connection: bytes = b""  # of a client: its routing id, which tells it from others
    who: str = ""  # `user@host program`, as the client says; "": it doesn't

    @classmethod
    def client_at(cls, node: str, connection: bytes = b"", who: str = "") -> Asker:
        """A client at the door of `node`.

        Raises:
            Refused: `who` has another form, with which it could pass for a node.
        """
        if who and (len(who) > limits.AUTHOR_CHARS_MAX or not _AUTHOR.fullmatch(who)):
            raise Refused(
                f"{who[: limits.AUTHOR_CHARS_MAX]!r} is nobody's name: want 'user@host program'"
                f" of at most {limits.AUTHOR_CHARS_MAX} characters"
            )
        return cls(node, is_client=True, connection=connection, who=who)

    @classmethod
    def node_called(cls, name: str) -> Asker:
        """A node of this cluster."""
        return cls(name, is_client=False)

    @property
    def author(self) -> str:
        """How logs and facts name it; no node's name has an @."""
        return self.who or (f"client@{self.node}" if self.is_client else self.node)
