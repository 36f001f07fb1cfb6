"""Bundles go when nothing needs them and some time has passed; what is in use stays."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from zactor.bundles.build import build_bundle
from zactor.bundles.manifest import Bundle
from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.knowledge.theory import Theory
from zactor.kernel.runtime.orphans import Orphans
from zactor.supervisor.deployment.bundle_sweeper import BundleSweeper, needed_bundles
from zactor.supervisor.deployment.environments import Environments

ACTOR = "from zactor import Actor\nclass X(Actor): pass\n"


def bundles(tmp_path: Path, count: int) -> list[Bundle]:
    made = []
    for number in range(count):
        (tmp_path / "x.py").write_text(f"{ACTOR}# {number}\n")
        made.append(build_bundle(tmp_path / "x.py"))
    return made


def none_made(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "n1", BundleStore(tmp_path), Orphans(), lambda event: None, True)


def test_what_nobody_needs_goes_after_some_time(tmp_path: Path) -> None:
    needed, young, old, used = bundles(tmp_path, 4)
    store = BundleStore(tmp_path / "store")
    for bundle in (needed, young, old, used):
        store.put(bundle)
        store.unpacked.path_of(bundle)
        if bundle is not young:
            past = time.time() - limits.BUNDLE_KEPT_S - 1
            file = tmp_path / "store" / f"{bundle.identity.removeprefix('sha256:')}.bundle"
            os.utime(file, (past, past))
    gone = store.sweep({needed.identity}, {used.identity}, limits.BUNDLE_KEPT_S)
    assert gone == [old.identity]
    kept = {bundle.identity for bundle in (needed, young, used)}
    assert set(store.identities()) == kept
    folders = {path.name for path in (tmp_path / "store" / "unpacked").iterdir()}
    assert folders == {identity.removeprefix("sha256:")[:16] for identity in kept}


def test_every_fact_that_names_a_bundle_keeps_it() -> None:
    texts = (
        "factory(x, 'sha256:1')",
        "spec(a, 'sha256:2', '{}', d)",
        "spec(b, 'sha256:2', 'stored:sha256:3', d)",
        "ordered(c, 'sha256:4', 'stored:sha256:5', d, 1, 2)",
        "next(a, x, n1, 'sha256:6', '{}', d)",
        "other('sha256:7')",
    )
    theory = Theory((text, 1, 1, "", "", 0.0) for text in texts)
    found = asyncio.run(needed_bundles(theory))
    assert found == {f"sha256:{number}" for number in range(1, 7)}


def test_who_may_be_behind_sweeps_nothing(tmp_path: Path) -> None:
    (old,) = bundles(tmp_path, 1)
    store = BundleStore(tmp_path / "store")
    store.put(old)
    file = next((tmp_path / "store").glob("*.bundle"))
    os.utime(file, (0, 0))
    asyncio.run(BundleSweeper(store, none_made(tmp_path), lambda: None).sweep())
    assert store.has(old.identity)
    theory = Theory()
    assert asyncio.run(needed_bundles(theory)) == set()
    asyncio.run(BundleSweeper(store, none_made(tmp_path), lambda: theory).sweep())
    assert not store.has(old.identity)
