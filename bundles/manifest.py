"""What a bundle is: one file with a manifest and the parts the manifest names, known by its hash.

    MAGIC (8 B) | sha256 of all that follows (32 B) | length of the manifest (4 B, big endian)
    | manifest (msgpack) | the bytes of each part, in the order of the manifest

Plain concatenation, not a zip: there is no compression that could blow up, no links, and no second
directory that could contradict the first. The whole file's sha256
is the bundle's identity; whoever has the identity can't be given other bytes.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing

MAGIC = b"zactor\x00B"
FORMAT_VERSION = 1
SOURCE = "src/"
"""Where module sources lie in a bundle: `src/counter.py` is the module `counter`."""
PICKLED = "pickled/"
"""Where classes lie that were bundled from memory."""

_DIGEST_BYTES = 32
_LENGTH_BYTES = 4
_HEAD_BYTES = len(MAGIC) + _DIGEST_BYTES + _LENGTH_BYTES
_PREFIX = "sha256:"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a bundle."""

    sha256: bytes
    size: int  # bytes


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in a bundle and what it needs."""

    format: int = FORMAT_VERSION
    name: str
    version: str
    python: tuple[int, int]  # of the builder; code in PICKLED runs on no other minor
    requirements: dict[str, str]  # top-level module -> version at the builder, "" if unknown
    types: dict[str, str]  # actor type -> "module:Class" or "pickled/Class:Class"
    parts: dict[str, Part]  # path -> what must be there; paths ascend
    entry: str  # module that was bundled; "" for a class from memory
    created_by: str
    signature: bytes = b""  # over the manifest with this field empty; b"" = not signed
    # Since format 1 was first written; bundles from before have none of these.
    perhaps: dict[str, str] = {}  # like `types`: derived from a class of a package that isn't here
    optional: dict[str, str] = {}  # like `requirements`: what an actor may never come to
    needs: dict[str, tuple[str, ...]] = {}  # module of types -> those requirements that it has
    modules: dict[str, str] = {}  # module -> its identity (bundles/identities.py)
    platform: str = ""  # of its compiled modules; "": it has none
    wants: tuple[str, ...] = ()  # requirements as the author wrote them (bundles/wanted.py)

    @property
    def is_pickled(self) -> bool:
        """Whether it has code that only the builder's Python minor can run."""
        return any(path.startswith(PICKLED) for path in self.parts)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in memory, every hash checked. Made by `decode` and `encode` only."""

    identity: str  # "sha256:…"
    data: bytes = field(repr=False)
    manifest: Manifest
    parts: Mapping[str, bytes] = field(repr=False)


def identity_of(data: bytes) -> str:
    """Return the identity of a bundle file's bytes: `sha256sum` prints the same digits."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def hex_of(identity: str) -> str:
    """Return the 64 hexadecimal digits of an identity, safe as a file name.

    Raises:
        BundleRefused: it is no identity.
    """
    digits = identity.removeprefix(_PREFIX)
    if (
        not identity.startswith(_PREFIX)
        or len(digits) != 64
        or not all(digit in "0123456789abcdef" for digit in digits)
    ):
        raise BundleRefused(f"{identity!r} identifies no bundle: want sha256: and 64 digits")
    return digits


def source_file(path: str, source: bytes) -> str:
    """Return what the code of a pickled class calls its file: no two sources share a name."""
    digits = hashlib.sha256(source).hexdigest()[:16]
    return f"zactor_source_{digits}/{path.removeprefix(SOURCE)}"


def encode(manifest: Manifest, parts: Mapping[str, bytes]) -> Bundle:
    """Put a bundle together; `manifest.parts` is filled in from `parts`.

    Raises:
        BundleRefused: a name isn't allowed or a limit is reached.
    """
    ordered = {path: parts[path] for path in sorted(parts)}
    manifest = msgspec.structs.replace(
        manifest,
        parts={
            path: Part(sha256=hashlib.sha256(data).digest(), size=len(data))
            for path, data in ordered.items()
        },
        requirements=dict(sorted(manifest.requirements.items())),
        types=dict(sorted(manifest.types.items())),
        perhaps=dict(sorted(manifest.perhaps.items())),
        optional=dict(sorted(manifest.optional.items())),
    )
    table = msgspec.msgpack.encode(manifest)
    body = b"".join((len(table).to_bytes(_LENGTH_BYTES, "big"), table, *ordered.values()))
    # Decoding what we just made holds the builder to exactly the rules of the receiver.
    return decode(MAGIC + hashlib.sha256(body).digest() + body)


def decode(data: bytes, identity: str = "") -> Bundle:
    """Check the bytes of a bundle file to the last bit and return what they hold.

    Args:
        identity: the hash that was asked for; "" takes the bytes' own.

    Raises:
        BundleRefused: it is no bundle, it was damaged, or it breaks a rule. Nothing was executed.
    """
    if len(data) > limits.BUNDLE_BYTES_MAX:
        raise BundleRefused(
            f"the bundle has {len(data)} bytes: BUNDLE_BYTES_MAX is {limits.BUNDLE_BYTES_MAX}"
        )
    found = identity_of(data)
    if identity and identity != found:
        raise BundleRefused(f"the bundle isn't what was asked for: want {identity}, found {found}")
    manifest, at = _head(data, len(data))
    digest = data[len(MAGIC) : len(MAGIC) + _DIGEST_BYTES]
    if hashlib.sha256(data[len(MAGIC) + _DIGEST_BYTES :]).digest() != digest:
        raise BundleRefused("the bundle was damaged: its content doesn't fit its checksum")
    parts: dict[str, bytes] = {}
    for path, part in manifest.parts.items():
        piece = data[at : at + part.size]
        if hashlib.sha256(piece).digest() != part.sha256:
            raise BundleRefused(f"the bundle was damaged: {path!r} isn't what the manifest says")
        parts[path] = piece
        at += part.size
    _check_types(manifest)
    return Bundle(found, data, manifest, parts)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Return what a bundle file says of itself, its parts unchecked.

    Raises:
        NoSuchThing: there is no such file.
        BundleRefused: it is no bundle.
    """
    data = _read(path)
    return _head(data, len(data))[0]


def check_head(path: Path) -> Manifest:
    """Check what needs no hashing: for a file whose identity is known to hold. Reads the head only.

    Raises:
        BundleRefused: it is no bundle, or breaks a rule.
    """
    with path.open("rb") as file:
        total = os.fstat(file.fileno()).st_size
        manifest, _ = _head(file.read(_HEAD_BYTES + limits.BUNDLE_MANIFEST_BYTES_MAX), total)
    _check_types(manifest)
    return manifest


def verify(path: str | os.PathLike[str], identity: str = "") -> Bundle:
    """Read a bundle file and check every hash in it.

    Raises:
        NoSuchThing: there is no such file.
        BundleRefused: it is no bundle, was damaged, or isn't `identity`.
    """
    return decode(_read(path), identity)


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Whether the file at `path` begins as a bundle does."""
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def class_names(manifest: Manifest) -> list[str]:
    """Return the names of the actor classes, each once, sorted."""
    first: dict[str, str] = {}
    for name, target in sorted((manifest.types or manifest.perhaps).items()):
        # Of `Counter` and `counter`, both in the table, the class's own name is the one to show.
        if target not in first or name == target.rpartition(":")[2]:
            first[target] = name
    return sorted(first.values())


def pick_type(manifest: Manifest, type_name: str) -> str:
    """Return the target ("module:Class") that actors of type `type_name` are made from.

    The class of exactly that name; else the one whose name is equal without regard to case, `_`
    and `-`; else the only one. Of classes that may be no actors only one that is named counts,
    unless there is no other.

    Raises:
        BundleRefused: none of these, or several are equally good; names the candidates.
    """
    for types in (manifest.types, manifest.perhaps):
        if type_name in types:
            return types[type_name]
        loose = {target for name, target in types.items() if _loosely(name, type_name)}
        if len(loose) == 1:
            return loose.pop()
    everything = set((manifest.types or manifest.perhaps).values())
    if len(everything) == 1:
        return everything.pop()
    names = ", ".join(class_names(manifest)) or "none"
    raise BundleRefused(
        f"bundle {manifest.name!r} has no actor class for type {type_name!r}; it has: {names}"
    )


def _loosely(one: str, other: str) -> bool:
    bare = str.maketrans("", "", "_-")
    return one.translate(bare).casefold() == other.translate(bare).casefold()


def _read(path: str | os.PathLike[str]) -> bytes:
    try:
        if Path(path).stat().st_size > limits.BUNDLE_BYTES_MAX:
            raise BundleRefused(
                f"{os.fspath(path)!r} is longer than BUNDLE_BYTES_MAX={limits.BUNDLE_BYTES_MAX}"
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise NoSuchThing(f"can't read {os.fspath(path)!r}: {error.strerror}") from None


def _head(data: bytes, total: int) -> tuple[Manifest, int]:
    """The manifest, held to every rule that needs no hashing, and where the parts begin.

    `data` may end behind the manifest; `total` is the length of the file.
    """
    if not data.startswith(MAGIC):
        raise BundleRefused("this is no zactor bundle")
    if len(data) < _HEAD_BYTES:
        raise BundleRefused("the bundle is cut off")
    length = int.from_bytes(data[_HEAD_BYTES - _LENGTH_BYTES : _HEAD_BYTES], "big")
    if length > limits.BUNDLE_MANIFEST_BYTES_MAX:
        raise BundleRefused(f"the bundle's manifest claims {length} bytes")
    try:
        manifest = msgspec.msgpack.decode(data[_HEAD_BYTES : _HEAD_BYTES + length], type=Manifest)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise BundleRefused(f"the bundle's manifest can't be read: {error}") from None
    if manifest.format != FORMAT_VERSION:
        raise BundleRefused(
            f"the bundle has format {manifest.format}, this zactor reads {FORMAT_VERSION}"
        )
    _check_paths(manifest)
    if any(part.size < 0 for part in manifest.parts.values()):
        raise BundleRefused("the bundle's manifest has a part of negative size")
    end = _HEAD_BYTES + length + sum(part.size for part in manifest.parts.values())
    if end != total:
        raise BundleRefused(f"the bundle has {total} bytes, its manifest wants {end}")
    return manifest, _HEAD_BYTES + length


def _check_paths(manifest: Manifest) -> None:
    if len(manifest.parts) > limits.BUNDLE_FILES_MAX:
        raise BundleRefused(
            f"the bundle has {len(manifest.parts)} files, "
            f"more than BUNDLE_FILES_MAX={limits.BUNDLE_FILES_MAX}"
        )
    seen: dict[str, str] = {}
    for path in manifest.parts:
        if not _is_plain(path):
            raise BundleRefused(
                f"the bundle has a file with the name {path!r}, which isn't allowed"
            )
        # Two names that some file system takes for one.
        twin = seen.setdefault(unicodedata.normalize("NFC", path).casefold(), path)
        if twin != path:
            raise BundleRefused(f"the bundle has both {twin!r} and {path!r}")
    if list(manifest.parts) != sorted(manifest.parts):
        raise BundleRefused("the bundle's files aren't in order")


def _is_plain(path: str) -> bool:
    steps = path.split("/")
    return (
        path.startswith((SOURCE, PICKLED))
        and len(path.encode("utf-8", "surrogatepass")) <= limits.BUNDLE_NAME_BYTES_MAX
        and path.isprintable()
        and "\\" not in path
        and ":" not in path
        and all(step not in ("", ".", "..") for step in steps)
    )


def _check_types(manifest: Manifest) -> None:
    for name, target in (*manifest.types.items(), *manifest.perhaps.items()):
        module, colon, class_name = target.partition(":")
        if not colon or not class_name.isidentifier() or not _part_of(manifest, module):
            raise BundleRefused(
                f"the bundle's type {name!r} points to {target!r}, which isn't there"
            )


def _part_of(manifest: Manifest, module: str) -> bool:
    if module.startswith(PICKLED):
        return module in manifest.parts
    path = SOURCE + module.replace(".", "/")
    return f"{path}.py" in manifest.parts or f"{path}/__init__.py" in manifest.parts
