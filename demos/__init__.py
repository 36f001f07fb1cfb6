"""Two types of actors, Counter and Gui, and four demos, each a story on real processes."""

# As a bundle, `declareFactory(counter, demos)`, it has a package of its own.
if __name__ != "zactor.demos" and not __name__.startswith("zactor_bundle_"):
    raise ImportError(f"import this package as zactor.demos, not as {__name__}")
