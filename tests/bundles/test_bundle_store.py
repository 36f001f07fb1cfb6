"""The store of a node: pieces, cuts, hashes."""

from __future__ import annotations

from pathlib import Path

import pytest

from zactor.bundles.build import build_bundle
from zactor.bundles.manifest import Bundle
from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused, NoSuchThing


@pytest.fixture
def store(tmp_path: Path) -> BundleStore:
    return BundleStore(tmp_path / "store")


def names(tmp_path: Path) -> list[str]:
    return sorted(file.name for file in (tmp_path / "store").iterdir())


def test_a_bundle_arrives_in_pieces(store: BundleStore, counter: Bundle) -> None:
    data, total = counter.data, len(counter.data)
    for offset in range(0, total, 100):
        assert not store.has(counter.identity)
        held = store.put_part(counter.identity, offset, total, data[offset : offset + 100])
        assert held == store.held(counter.identity) == min(offset + 100, total)
    assert store.has(counter.identity)
    assert store.open(counter.identity) == counter
    assert store.identities() == [counter.identity]


def test_a_transfer_goes_on_after_a_cut_and_a_restart(tmp_path: Path, counter: Bundle) -> None:
    total = len(counter.data)
    BundleStore(tmp_path / "store").put_part(counter.identity, 0, total, counter.data[:100])
    again = BundleStore(tmp_path / "store")
    assert again.held(counter.identity) == 100
    assert again.put_part(counter.identity, 100, total, counter.data[100:]) == total
    assert again.open(counter.identity) == counter
    assert names(tmp_path) == [f"{counter.identity[7:]}.bundle"]


def test_a_transfer_that_was_cut_before_its_last_step_is_finished(
    tmp_path: Path, counter: Bundle
) -> None:
    total = len(counter.data)
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / f"{counter.identity[7:]}.part").write_bytes(counter.data)
    again = BundleStore(folder)
    assert not again.has(counter.identity)
    assert again.put_part(counter.identity, total, total, b"") == total
    assert again.open(counter.identity) == counter


def test_a_transfer_that_somebody_swept_away_begins_anew(
    store: BundleStore, tmp_path: Path, counter: Bundle
) -> None:
    total = len(counter.data)
    store.put_part(counter.identity, 0, total, counter.data[:100])
    next((tmp_path / "store").iterdir()).unlink()
    assert store.put_part(counter.identity, 100, total, counter.data[100:]) == 0
    assert store.put_part(counter.identity, 0, total, counter.data) == total
    assert store.open(counter.identity) == counter


def test_a_bundle_that_breaks_a_rule_is_not_stored_though_its_hash_holds(
    store: BundleStore, tmp_path: Path, counter: Bundle
) -> None:
    from zactor.bundles.manifest import identity_of

    cut = counter.data[:-1]
    with pytest.raises(BundleRefused, match="manifest wants"):
        store.put_part(identity_of(cut), 0, len(cut), cut)
    assert names(tmp_path) == []


def test_a_piece_that_comes_twice_or_too_early_changes_nothing(
    store: BundleStore, counter: Bundle
) -> None:
    total = len(counter.data)
    assert store.put_part(counter.identity, 50, total, counter.data[50:]) == 0
    assert store.put_part(counter.identity, 0, total, counter.data[:100]) == 100
    assert store.put_part(counter.identity, 0, total, counter.data[:100]) == 100
    assert store.put_part(counter.identity, 60, total, counter.data[60:150]) == 150
    assert store.put_part(counter.identity, 150, total, counter.data[150:]) == total
    assert store.put_part(counter.identity, 0, total, b"xxx") == total
    assert store.open(counter.identity) == counter


def test_a_wrong_byte_is_found_at_the_end_and_nothing_stays(
    store: BundleStore, counter: Bundle, tmp_path: Path
) -> None:
    data = bytearray(counter.data)
    data[-1] ^= 1
    with pytest.raises(BundleRefused, match="isn't what was asked for"):
        store.put_part(counter.identity, 0, len(data), bytes(data))
    assert names(tmp_path) == []
    assert store.held(counter.identity) == 0
    assert store.put_part(counter.identity, 0, len(data), counter.data) == len(data)


def test_bytes_that_fit_their_hash_but_are_no_bundle_are_not_stored(
    store: BundleStore, tmp_path: Path
) -> None:
    from zactor.bundles.manifest import identity_of

    with pytest.raises(BundleRefused, match="no zactor bundle"):
        store.put_part(identity_of(b"evil"), 0, 4, b"evil")
    assert names(tmp_path) == []


def test_a_file_that_changed_on_the_disk_is_not_opened(
    store: BundleStore, counter: Bundle, tmp_path: Path
) -> None:
    store.put(counter)
    file = tmp_path / "store" / f"{counter.identity[7:]}.bundle"
    file.write_bytes(file.read_bytes().replace(b"return 1", b"return 2"))
    with pytest.raises(BundleRefused):
        store.open(counter.identity)
    assert not store.has(counter.identity)
    store.put(counter)
    assert store.open(counter.identity) == counter


def test_a_bundle_goes_from_store_to_store(
    store: BundleStore, tmp_path: Path, counter: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PART_BYTES_MAX", 97)
    store.put(counter)
    other = BundleStore(tmp_path / "other")
    while not other.has(counter.identity):
        data, total = store.get_part(counter.identity, other.held(counter.identity))
        assert 0 < len(data) <= 97
        other.put_part(counter.identity, other.held(counter.identity), total, data)
    assert other.open(counter.identity) == counter


def test_what_is_not_there_is_no_such_thing(store: BundleStore, counter: Bundle) -> None:
    assert not store.has(counter.identity)
    assert store.held(counter.identity) == 0
    for ask in (store.open, lambda identity: store.get_part(identity, 0)):
        with pytest.raises(NoSuchThing, match="isn't in the store"):
            ask(counter.identity)


def test_a_bundle_is_found_by_how_its_hash_begins(store: BundleStore, counter: Bundle) -> None:
    assert store.beginning_with(counter.identity[7:23]) == ""
    store.put(counter)
    assert store.beginning_with(counter.identity[7:23]) == counter.identity
    for digits in ("", "*", "../", "0" * 16):
        assert store.beginning_with(digits) == ""


@pytest.mark.parametrize(
    "identity",
    ["", "sha256:", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "a" * 64, "a" * 64],
)
def test_what_is_no_identity_names_no_file(store: BundleStore, identity: str) -> None:
    with pytest.raises(BundleRefused, match="identifies no bundle"):
        store.put_part(identity, 0, 1, b"x")
    with pytest.raises(BundleRefused, match="identifies no bundle"):
        store.get_part(identity, 0)


@pytest.mark.parametrize(
    ("offset", "total", "data"),
    [
        (0, 0, b""),
        (0, limits.BUNDLE_BYTES_MAX + 1, b"x"),
        (-1, 10, b"x"),
        (9, 10, b"xx"),
        (0, 4 << 20, b"x" * (limits.PART_BYTES_MAX + 1)),
    ],
)
def test_pieces_beyond_the_limits_are_refused(
    store: BundleStore, counter: Bundle, offset: int, total: int, data: bytes
) -> None:
    with pytest.raises(BundleRefused):
        store.put_part(counter.identity, offset, total, data)
    assert store.held(counter.identity) == 0


def test_an_offset_outside_of_a_bundle_is_refused(store: BundleStore, counter: Bundle) -> None:
    store.put(counter)
    assert store.get_part(counter.identity, len(counter.data)) == (b"", len(counter.data))
    for offset in (-1, len(counter.data) + 1):
        with pytest.raises(BundleRefused):
            store.get_part(counter.identity, offset)


def test_transfers_that_nobody_finishes_do_not_pile_up(store: BundleStore, tmp_path: Path) -> None:
    for number in range(limits.BUNDLE_PARTIALS_MAX * 2):
        store.put_part(f"sha256:{number:064}", 0, 10, b"x")
    assert len(names(tmp_path)) == limits.BUNDLE_PARTIALS_MAX
    assert store.held(f"sha256:{limits.BUNDLE_PARTIALS_MAX * 2 - 1:064}") == 1


def test_a_link_in_the_place_of_a_transfer_is_not_followed(
    store: BundleStore, counter: Bundle, tmp_path: Path
) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / f"{counter.identity[7:]}.part").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        store.put_part(counter.identity, 0, 10, b"x")
    assert victim.read_bytes() == b""


def test_the_store_is_for_its_owner_only(
    store: BundleStore, counter: Bundle, tmp_path: Path
) -> None:
    store.put(counter)
    assert (tmp_path / "store").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "store").iterdir())


def test_a_bundle_file_that_was_built_elsewhere_is_taken_as_it_is(
    counter: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "c.bundle").write_bytes(counter.data)
    assert build_bundle(tmp_path / "c.bundle") == counter
