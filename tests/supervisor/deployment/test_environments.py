"""Environments: which are kept, what is refused before pip is asked, and what is never waited for.

That actors run in them is in tests/acceptance/test_installed.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from zactor.bundles.build import build_bundle
from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.errors import BundleRefused
from zactor.kernel.runtime.orphans import Orphans
from zactor.supervisor.deployment import environments
from zactor.supervisor.deployment.environments import Environments, digits_of, python_of
from zactor.supervisor.observe.events import Event

ACTOR = "from zactor import Actor\nclass X(Actor): pass\n"


@pytest.fixture
def orphans() -> Iterator[Orphans]:
    made = Orphans()
    yield made
    made.close()


def of(tmp_path: Path, store: object, orphans: object, told: list[Event]) -> Environments:
    return Environments(
        tmp_path / "environments" / "n1",
        store,  # type: ignore[arg-type]
        orphans,  # type: ignore[arg-type]
        told.append,
        True,
    )


def wanting(*wants: str) -> object:
    return SimpleNamespace(wants_of=lambda identity: wants, folder=Path("bundles"))


def test_what_no_bundle_wants_goes_after_some_time(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(ACTOR)
    (tmp_path / "requirements.txt").write_text("needed\n")
    store = BundleStore(tmp_path / "store")
    bundle = build_bundle(tmp_path / "x.py")
    store.put(bundle)
    folder = tmp_path / "environments" / "n1"
    needed, young, old, broken = (
        digits_of([want]) for want in ("needed", "young", "old", "broken")
    )
    for digits in (needed, young, old, broken):
        (folder / digits / "bin").mkdir(parents=True)
        if digits != broken:
            (folder / f"{digits}.whole").write_text("[]")
        if digits != young:
            past = time.time() - limits.BUNDLE_KEPT_S - 1
            for path in folder.glob(f"{digits}*"):
                os.utime(path, (past, past))
    made = of(tmp_path, store, None, [])
    gone = asyncio.run(made.sweep([bundle.identity, "sha256:" + "0" * 64], limits.BUNDLE_KEPT_S))
    assert sorted(gone) == sorted([old, broken])
    kept = sorted(path.name for path in folder.iterdir())
    assert kept == sorted([needed, f"{needed}.whole", young, f"{young}.whole"])


def test_one_that_is_used_is_not_old_and_one_without_its_python_is_made_anew(
    tmp_path: Path,
) -> None:
    folder = tmp_path / digits_of(["a"])
    python_of(folder).parent.mkdir(parents=True)
    mark = folder.with_suffix(".whole")
    mark.write_text(json.dumps(["a"]))
    os.utime(mark, (1, 1))
    assert not environments._is_whole(folder, ("a",))
    python_of(folder).touch()
    assert environments._is_whole(folder, ("a",))
    assert mark.stat().st_mtime > time.time() - 3600
    assert not environments._is_whole(folder, ("b",))
    mark.unlink()
    assert not environments._is_whole(folder, ("a",))


@pytest.mark.parametrize("want", ["-r other.txt", "--upgrade", "./a", "a/b.whl", "../a", ""])
def test_what_is_no_name_of_a_package_is_not_given_to_pip(tmp_path: Path, want: str) -> None:
    made = of(tmp_path, wanting("fine>=1", want), None, [])
    with pytest.raises(BundleRefused, match="no name of a package"):
        asyncio.run(made.type_of("sha256:1", "x"))


def test_names_with_versions_extras_markers_and_addresses_are() -> None:
    for want in (
        "a",
        "a-b.c_d>=1,<2",
        "a[x,y] ~= 1.0",
        "a (>=2)",
        "a; python_version < '3.9'",
        "a @ https://example.org/a.whl",
    ):
        assert environments._NAMED.match(want), want


def test_what_takes_too_long_is_ended_with_what_it_has_begun(
    tmp_path: Path, orphans: Orphans, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fixture of every test finds a process or a file that is left."""
    monkeypatch.setattr(limits, "ENVIRONMENT_MAKE_S", 0.01)
    told: list[Event] = []
    made = of(tmp_path, wanting("a"), orphans, told)
    with pytest.raises(BundleRefused, match=r"a can't be installed on n1: not installed within"):
        asyncio.run(made.type_of("sha256:1", "x"))
    lines = [line for line in (event.journal_line() for event in told) if line is not None]
    assert [name for name, _ in lines] == ["environment_begins", "environment_failed"]
    assert list((tmp_path / "environments" / "n1").iterdir()) == []


def test_who_waits_is_told_that_it_goes_on(
    tmp_path: Path, orphans: Orphans, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ENVIRONMENT_LOOK_S", 0.01)
    monkeypatch.setattr(limits, "ENVIRONMENT_MAKE_S", 0.5)
    made = of(tmp_path, wanting("a"), orphans, [])

    async def ask() -> int:
        for count in range(1_000):
            try:
                assert not await made.is_ready("sha256:1", "x")
            except BundleRefused:
                return count
        raise AssertionError("it goes on for ever")

    assert asyncio.run(ask()) > 0
