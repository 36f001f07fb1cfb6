"""A class from memory brings its sources: tracebacks at the node show file and line."""

from __future__ import annotations

import functools
import linecache
import subprocess
import sys
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from deadlines import DEADLINE_S

from zactor.bundles import load
from zactor.bundles.build import build_bundle
from zactor.bundles.load import load_class
from zactor.bundles.manifest import Bundle, decode, verify
from zactor.kernel.actors.actor import Actor

from .conftest import Write

CELL = """
from zactor.kernel.actors.actor import Actor

class Cell(Actor):
    def fail(self):
        return [(lambda: 1 / number)() for number in (1, 0)]  # in the cell
"""


def code_of(cls: type) -> Iterator[CodeType]:
    """All code of the class's own functions and of what is nested in it."""
    functions = [vars(cls)[name] for name in sorted(vars(cls))]
    left = [function.__code__ for function in functions if hasattr(function, "__code__")]
    while left:
        code = left.pop()
        yield code
        left += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def last_frame(function: Any) -> traceback.FrameSummary:
    """Where `function` raises, as a traceback tells it once stale lines are dropped."""
    with pytest.raises(ZeroDivisionError) as caught:
        function()
    linecache.checkcache()
    return traceback.extract_tb(caught.value.__traceback__)[-1]


def of_cell(name: str, source: str = CELL) -> type:
    """A class that was typed into a notebook's or a console's cell `name`."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, name, "exec"), names)
    found = names["Cell"]
    assert isinstance(found, type)
    return found


def far_away(bundle: Bundle) -> Bundle:
    """The bundle as another process has it: nothing of the builder's lines is known there."""
    for name in list(linecache.cache):
        if "cell" in name and not name.startswith("zactor_source_"):
            del linecache.cache[name]
    return decode(bundle.data)


@pytest.fixture(autouse=True)
def no_line_stays() -> Iterator[None]:
    """What a test put into linecache is gone after it."""
    before = set(linecache.cache)
    yield
    for name in set(linecache.cache) - before:
        del linecache.cache[name]


def test_every_piece_of_code_of_a_class_has_a_file_whose_lines_are_known() -> None:
    def keeping(function: Any) -> Any:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    class Local(Actor):
        @keeping
        def step(self) -> object:
            async def inner() -> object:
                return [lambda: 1 for _ in range(3)]

            return inner

        def plain(self) -> int:
            return 1

    cls = load_class(build_bundle(Local), "local")
    files = {code.co_filename for code in code_of(cls)}
    assert len(files) == 1
    (file,) = files
    assert file.startswith("zactor_source_")
    assert file.endswith(f"/{Path(__file__).name}")
    assert linecache.getlines(file) == Path(__file__).read_text().splitlines(keepends=True)


def test_a_class_of_a_notebook_shows_the_line_of_its_cell() -> None:
    bundle = build_bundle(of_cell("<cell 3: mine>"))
    cls = load_class(far_away(bundle), "cell")
    frame = last_frame(lambda: cls.fail(None))  # type: ignore[attr-defined]
    assert (frame.line or "").endswith("# in the cell")
    assert frame.filename.startswith("zactor_source_")
    assert frame.filename.endswith("/_cell_3__mine_")


def test_two_cells_of_one_name_keep_their_own_lines_in_one_process() -> None:
    frames = []
    for word in ("first", "second"):
        source = "\n" * len(word) + CELL.replace("# in the cell", f"# the {word}")
        cls = load_class(far_away(build_bundle(of_cell("<cell>", source))), "cell")
        frames.append(functools.partial(cls.fail, None))  # type: ignore[attr-defined]
    lines = [last_frame(fail).line or "" for fail in frames]
    assert [line.rpartition("# ")[2] for line in lines] == ["the first", "the second"]


def test_the_lines_of_a_class_go_when_its_bundle_is_forgotten() -> None:
    bundle = far_away(build_bundle(of_cell("<cell>")))
    load_class(bundle, "cell")
    assert [name for name in linecache.cache if "_cell_" in name]
    load.forget(bundle.identity)
    assert not [name for name in linecache.cache if "_cell_" in name]


def test_code_without_a_source_keeps_its_file_name_and_line_number() -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(CELL, "<nowhere>", "exec"), names)
    cls = load_class(build_bundle(names["Cell"]), "cell")
    frame = last_frame(lambda: cls.fail(None))  # type: ignore[attr-defined]
    assert (frame.filename, frame.lineno, frame.line) == ("<nowhere>", 6, "")


def test_a_class_out_of_a_zip_brings_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "code.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr("zipped_cell.py", CELL)
    monkeypatch.syspath_prepend(archive)
    import zipped_cell  # type: ignore[import-not-found]  # written above

    try:
        bundle = build_bundle(zipped_cell.Cell)
    finally:
        del sys.modules["zipped_cell"]
    archive.unlink()
    cls = load_class(far_away(bundle), "cell")
    frame = last_frame(lambda: cls.fail(None))  # type: ignore[attr-defined]
    assert (frame.line or "").endswith("# in the cell")


def test_the_sources_are_named_alike_from_every_folder(write: Write, tmp_path: Path) -> None:
    script = CELL + (
        "import sys\nfrom zactor.bundles.build import build_bundle\n"
        "open(sys.argv[1], 'wb').write(build_bundle(Cell).data)\n"
    )
    files = []
    for folder in ("one", "two"):
        main = write({"main.py": script}, folder) / "main.py"
        target = tmp_path / f"{folder}.bundle"
        subprocess.run([sys.executable, main, target], check=True, timeout=DEADLINE_S)
        cls = load_class(verify(target), "cell")
        files.append({code.co_filename for code in code_of(cls)})
    assert files[0] == files[1]
