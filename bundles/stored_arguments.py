"""Constructor arguments that are too long for a fact: in a bundle that holds nothing else.

So they are known by their hash, come in pieces, are fetched by the node that needs them, and go
when nobody needs them, as code does.
"""

from __future__ import annotations

import sys

from zactor.bundles.manifest import PICKLED, Bundle, Manifest, encode
from zactor.bundles.requirements import created_by
from zactor.kernel.errors import BundleRefused

_PART = f"{PICKLED}arguments"


def store_arguments(payload: bytes) -> Bundle:
    """Return the bundle that holds `payload`.

    Raises:
        BundleRefused: they are longer than BUNDLE_BYTES_MAX.
    """
    manifest = Manifest(
        name="arguments",
        version="",
        python=sys.version_info[:2],
        requirements={},
        types={},
        parts={},
        entry="",
        created_by=created_by(),
    )
    return encode(manifest, {_PART: payload})


def stored_payload(bundle: Bundle) -> bytes:
    """Return what `store_arguments` was given.

    Raises:
        BundleRefused: the bundle holds something else.
    """
    try:
        return bundle.parts[_PART]
    except KeyError:
        raise BundleRefused(f"bundle {bundle.identity} holds no arguments") from None
