"""Code on its way to a node: build, manifest, store, load."""

if __name__ != "zactor.bundles":
    raise ImportError(f"import this package as zactor.bundles, not as {__name__}")
