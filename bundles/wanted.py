"""What a project says that it needs: requirements.txt, pyproject.toml, a script's own header.

Read, never obeyed: it tells a person what to install where an import is missing.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from zactor.bundles.manifest import SOURCE
from zactor.kernel import limits

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")
_BLOCK = re.compile(r"(?m)^# /// script\s*$\n((?:^#(?:| .*)$\n)+?)^# ///\s*$")
"""The block that PEP 723 describes."""
_FILE_BYTES_MAX = 256 << 10


def wanted_versions(folder: Path, parts: Mapping[str, bytes], entry: str) -> tuple[str, ...]:
    """Return requirements as they are written (`numpy>=2`), each project once, sorted.

    The header of the file that was bundled counts; else the pyproject.toml of `folder` and its
    requirements.txt. What can't be read is passed over: it decides nothing.
    """
    own = parts.get(f"{SOURCE}{entry}.py", b"") if entry else b""
    found: dict[str, str] = {}
    for line in [*_of_header(own), *_of_project(folder), *_of_list(folder)]:
        name = _NAME.match(line)
        if name:
            key = re.sub(r"[-_.]+", "-", name.group(1)).lower()
            found.setdefault(key, line)
    listed = [found[key] for key in sorted(found) if key != "zactor"]
    return tuple(listed[: limits.BUNDLE_WANTS_MAX])


def _of_header(source: bytes) -> Iterator[str]:
    match = _BLOCK.search(source.decode("utf-8", "replace").replace("\r\n", "\n"))
    if match is not None:
        lines = (line[2:] if line.startswith("# ") else line[1:] for line in match[1].splitlines())
        yield from _strings(_toml("\n".join(lines)).get("dependencies"))


def _of_project(folder: Path) -> Iterator[str]:
    project = _toml(_text(folder / "pyproject.toml")).get("project")
    if isinstance(project, dict):
        yield from _strings(project.get("dependencies"))


def _of_list(folder: Path) -> Iterator[str]:
    text = _text(folder / "requirements.txt").replace("\\\n", " ")
    for line in text.splitlines():
        bare = re.sub(r"(^|\s)#.*", "", line).strip()
        if bare and not bare.startswith("-"):
            yield re.sub(r"\s+--hash=\S+", "", bare)


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, list):
        yield from (item.strip() for item in value if isinstance(item, str) and item.isprintable())


def _toml(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}


def _text(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(_FILE_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return ""
