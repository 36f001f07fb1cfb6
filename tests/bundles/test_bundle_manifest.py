"""The container: what is refused before anything is stored or run (SECURITY S15, S16)."""

from __future__ import annotations

import hashlib
import io
import os
import random
import zipfile
from pathlib import Path

import msgspec
import pytest

from zactor.bundles import manifest as container
from zactor.bundles.manifest import Bundle, Manifest, Part, decode, pick_type, read_manifest, verify
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing


def forge(contents: dict[str, bytes], **changes: object) -> bytes:
    """A bundle's bytes with any content, right in every checksum."""
    table = {
        path: Part(hashlib.sha256(data).digest(), len(data)) for path, data in contents.items()
    }
    fields: dict[str, object] = {
        "name": "evil",
        "version": "",
        "python": (3, 11),
        "requirements": {},
        "types": {},
        "parts": table,
        "entry": "",
        "created_by": "",
    } | changes
    return seal(msgspec.msgpack.encode(fields), b"".join(contents.values()))


def seal(table: bytes, rest: bytes) -> bytes:
    body = len(table).to_bytes(4, "big") + table + rest
    return container.MAGIC + hashlib.sha256(body).digest() + body


def manifest_with(types: dict[str, str]) -> Manifest:
    return Manifest(
        name="b",
        version="",
        python=(3, 11),
        requirements={},
        types=types,
        parts={},
        entry="",
        created_by="",
    )


def test_the_forger_of_these_tests_makes_a_bundle_that_is_accepted() -> None:
    bundle = decode(forge({"src/a.py": b"A = 1"}))
    assert bundle.parts == {"src/a.py": b"A = 1"}


@pytest.mark.parametrize(
    "path",
    [
        "../a.py",
        "src/../../a.py",
        "src/../a.py",
        "/etc/passwd",
        "src//a.py",
        "src/./a.py",
        "src/",
        "src/a\0.py",
        "src/a\n.py",
        "src/a\u202e.py",
        "src\\..\\a.py",
        "C:/a.py",
        "src/C:a.py",
        "src/" + "x" * 300,
        "elsewhere/a.py",
        "",
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(BundleRefused, match="isn't allowed"):
        decode(forge({path: b""}))


@pytest.mark.parametrize(
    ("one", "other"), [("src/A.py", "src/a.py"), ("src/e\u0301.py", "src/\u00e9.py")]
)
def test_two_names_that_some_disk_takes_for_one_are_refused(one: str, other: str) -> None:
    with pytest.raises(BundleRefused, match="has both"):
        decode(forge({one: b"1", other: b"2"}))


def test_too_many_files_are_refused() -> None:
    parts = {f"src/f{number:05}.py": b"" for number in range(limits.BUNDLE_FILES_MAX + 1)}
    with pytest.raises(BundleRefused, match="BUNDLE_FILES_MAX"):
        decode(forge(parts))


def test_as_many_files_as_are_allowed_are_accepted() -> None:
    parts = {f"src/f{number:05}.py": b"" for number in range(limits.BUNDLE_FILES_MAX)}
    assert len(decode(forge(parts)).parts) == limits.BUNDLE_FILES_MAX


def test_a_million_claimed_files_cost_no_memory() -> None:
    table = msgspec.msgpack.encode({f"src/{number}": 0 for number in range(1_000_000)})
    with pytest.raises(BundleRefused, match="manifest claims"):
        decode(seal(table, b""))


def test_a_bundle_larger_than_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = forge({"src/a.py": b"x" * 1000})
    monkeypatch.setattr(limits, "BUNDLE_BYTES_MAX", len(data) - 1)
    with pytest.raises(BundleRefused, match="BUNDLE_BYTES_MAX"):
        decode(data)


@pytest.mark.parametrize("size", [10**12, -1, 2**63])
def test_a_part_that_lies_about_its_size_is_refused(size: int) -> None:
    with pytest.raises(BundleRefused):
        decode(forge({"src/a.py": b"x"}, parts={"src/a.py": Part(b"", size)}))


def test_sizes_that_cancel_each_other_out_are_refused() -> None:
    parts = {
        "src/a.py": Part(hashlib.sha256(b"").digest(), -1),
        "src/b.py": Part(hashlib.sha256(b"").digest(), 1),
    }
    with pytest.raises(BundleRefused, match="negative"):
        decode(forge({}, parts=parts))


def test_bytes_behind_the_last_part_are_refused() -> None:
    table = forge({"src/a.py": b"x"})
    body = table[len(container.MAGIC) + 32 :] + b"more"
    with pytest.raises(BundleRefused, match="manifest wants"):
        decode(container.MAGIC + hashlib.sha256(body).digest() + body)


def test_a_type_that_points_nowhere_is_refused() -> None:
    with pytest.raises(BundleRefused, match="isn't there"):
        decode(forge({"src/a.py": b""}, types={"a": "os:system"}))


def test_a_field_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BundleRefused, match="can't be read"):
        decode(forge({}, surprise=1))


def test_another_format_is_refused_by_its_number() -> None:
    with pytest.raises(BundleRefused, match="format 9"):
        decode(forge({}, format=9))


def test_every_bundle_that_is_cut_off_is_refused(counter: Bundle) -> None:
    for length in range(len(counter.data)):
        with pytest.raises(BundleRefused):
            decode(counter.data[:length])


def test_every_flipped_bit_is_found_without_knowing_the_identity(counter: Bundle) -> None:
    for at in range(len(counter.data)):
        changed = bytearray(counter.data)
        changed[at] ^= 1 << at % 8
        with pytest.raises(BundleRefused):
            decode(bytes(changed))


def test_other_bytes_than_were_asked_for_are_refused(counter: Bundle) -> None:
    with pytest.raises(BundleRefused, match="isn't what was asked for"):
        decode(forge({"src/a.py": b""}), counter.identity)


def test_a_manifest_swapped_for_another_bundles_is_refused(counter: Bundle) -> None:
    foreign = msgspec.structs.replace(counter.manifest, name="trusted")
    rest = b"".join(data.upper() for data in counter.parts.values())
    with pytest.raises(BundleRefused, match="isn't what the manifest says"):
        decode(seal(msgspec.msgpack.encode(foreign), rest))


def test_mutated_manifests_raise_nothing_but_refusals() -> None:
    chance = random.Random(4810)
    table = msgspec.msgpack.encode(msgspec.to_builtins(manifest_with({"a": "a:A"})))
    for _ in range(5_000):
        changed = bytearray(table)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        try:
            decode(seal(bytes(changed), b""))
        except BundleRefused:
            continue


def test_a_zip_is_no_bundle_whatever_is_in_it(tmp_path: Path) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("bomb", b"\0" * (8 << 20))
    (tmp_path / "bomb.zip").write_bytes(target.getvalue())
    with pytest.raises(BundleRefused, match="no zactor bundle"):
        verify(tmp_path / "bomb.zip")


def test_a_bundle_file_shows_and_verifies(counter: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "counter.bundle"
    file.write_bytes(counter.data)
    assert read_manifest(file) == counter.manifest
    assert verify(file) == counter
    assert counter.identity == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


def test_a_missing_file_is_no_such_thing(tmp_path: Path) -> None:
    with pytest.raises(NoSuchThing, match="No such file"):
        verify(tmp_path / "absent")


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    file = tmp_path / "huge"
    with file.open("wb") as target:
        os.truncate(target.fileno(), 1 << 40)
    with pytest.raises(BundleRefused, match="BUNDLE_BYTES_MAX"):
        verify(file)


@pytest.mark.parametrize(
    ("type_name", "target"),
    [
        ("Counter", "m:Counter"),
        ("counter", "m:Counter"),
        ("COUNTER", "m:Counter"),
        ("lazy_counter", "m:LazyCounter"),
        ("lazy-counter", "m:LazyCounter"),
    ],
)
def test_a_type_picks_the_class_of_that_name(type_name: str, target: str) -> None:
    types = {"Counter": "m:Counter", "LazyCounter": "m:LazyCounter"}
    assert pick_type(manifest_with(types), type_name) == target


def test_the_only_class_serves_any_type() -> None:
    assert pick_type(manifest_with({"Tally": "m:Tally", "tally": "m:Tally"}), "c") == "m:Tally"


def test_a_type_that_fits_no_class_is_refused_with_the_candidates() -> None:
    types = {"Counter": "m:Counter", "counter": "m:Counter", "Gui": "m:Gui", "gui": "m:Gui"}
    with pytest.raises(BundleRefused, match=r"type 'clock'; it has: Counter, Gui$"):
        pick_type(manifest_with(types), "clock")


def test_exact_names_win_over_loose_ones() -> None:
    types = {"Counter": "m:Counter", "COUNTER": "m:COUNTER"}
    assert pick_type(manifest_with(types), "COUNTER") == "m:COUNTER"
    with pytest.raises(BundleRefused, match="COUNTER, Counter"):
        pick_type(manifest_with(types), "counter")
