"""Who asks something of a node: a client at its door, another node over its link, or it itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asker:
    """Made by `client_at` and `node_called`; a node may bear any name, `client` too."""

    node: str  # at whose door the client is; or the node that asks
    is_client: bool
    connection: bytes = b""  # of a client: its routing id, which tells it from others

    @classmethod
    def client_at(cls, node: str, connection: bytes = b"") -> Asker:
        """A client at the door of `node`."""
        return cls(node, is_client=True, connection=connection)

    @classmethod
    def node_called(cls, name: str) -> Asker:
        """A node of this cluster."""
        return cls(name, is_client=False)

    @property
    def author(self) -> str:
        """How logs and facts name it; no node's name has an @."""
        return f"client@{self.node}" if self.is_client else self.node
