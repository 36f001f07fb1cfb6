"""What runs on every node: actors, router, knowledge base, links, wire, sockets."""

if __name__ != "zactor.kernel":
    raise ImportError(f"import this package as zactor.kernel, not as {__name__}")
