"""Counter, Gui and the demos of the seed, each a story on real processes."""

if __name__ != "zactor.demos":
    raise ImportError(f"import this package as zactor.demos, not as {__name__}")
