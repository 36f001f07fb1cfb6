"""What keeps a node true to the knowledge base: liveness, reconciliation, operations."""

if __name__ != "zactor.supervisor":
    raise ImportError(f"import this package as zactor.supervisor, not as {__name__}")
