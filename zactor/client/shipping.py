"""Shipping: bundles of what is to be sent. What makes them is imported when the first is made.

It takes 30 ms, which `zactor ps` needn't wait for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zactor.bundles.manifest import Bundle


def build(source: type[Any] | str | os.PathLike[str]) -> Bundle:
    """Return the bundle of a class, a .py file, a folder or a bundle file.

    Raises:
        BundleRefused: there is no actor class in it, or it can't be shipped.
    """
    from zactor.bundles.build import build_bundle

    return build_bundle(source)


def stored(encoded: bytes) -> Bundle:
    """Return the bundle that holds constructor arguments which are too long for a fact."""
    from zactor.bundles.stored_arguments import store_arguments

    return store_arguments(encoded)
