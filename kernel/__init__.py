"""What runs on every node: actors, router, knowledge base, links, wire, sockets."""

if __name__ != "zactor.kernel":
    raise ImportError(f"import this package as zactor.kernel, not as {__name__}")

from typing import TYPE_CHECKING  # after the refusal, which must come first

if TYPE_CHECKING:
    from zactor.kernel.runtime.kernel import Kernel as Kernel


def __getattr__(name: str) -> object:
    """Import Kernel when it is first used: the pure core must load without the runtime."""
    if name == "Kernel":
        from zactor.kernel.runtime.kernel import Kernel

        return Kernel
    raise AttributeError(f"module 'zactor.kernel' has no attribute {name!r}")
