"""Environments: what bundles want to have installed, in a venv for each set of requirements.

<folder>/<16 digits>/        a virtual environment with those packages, made by pip
<folder>/<16 digits>.whole   it is complete, and for what: written last

The digits are the hash of the requirements and of the Python. What this node has installed is found
behind what the environment has, zactor above all. An actor that is deployed so runs in a process of
its environment's Python, and users' code that needs it is loaded nowhere else.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Hashable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from zactor.bundles.store import BundleStore
from zactor.kernel import limits
from zactor.kernel.actors.contract import Contract
from zactor.kernel.actors.options import ActorOptions
from zactor.kernel.errors import BundleRefused, Refused
from zactor.kernel.printable import printable
from zactor.kernel.runtime.orphans import Orphans
from zactor.supervisor.blocking_work import run_blocking
from zactor.supervisor.deployment.type_description import TypeDescription, read_description
from zactor.supervisor.observe.events import (
    EnvironmentProgress,
    Tell,
)

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
_Key = tuple[str, str]  # bundle, type

DIGITS = 16  # of the hash in a folder's name
SAID_LINES = 6  # of what pip said last, in an error
_WHOLE = ".whole"
_TEMPORARY = "temporary"
_READ_BYTES = 65_536
_POLL_S = 0.01  # how often it is looked whether a process that says nothing more has ended
_DESCRIBE = "zactor.supervisor.deployment.type_description"
_NAMED = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\s*(\[[^]]*\])?\s*($|[<>=!~(;@])")
"""How a requirement begins: with a name, not with an option or a path."""


@dataclass(frozen=True, slots=True)
class InstalledType:
    """The class of an actor, as it is where what it wants is installed."""

    folder: str  # of the environment
    options: ActorOptions  # as the class says them
    contract: Contract


class Environments:
    """Those of one node. Kernel's loop only; what takes its time is done by processes."""

    def __init__(
        self,
        folder: Path,
        store: BundleStore,
        orphans: Orphans,
        tell: Tell,
        is_allowed: bool,
    ) -> None:
        """Nothing is created before something is to be installed.

        Args: folder: bears the node's name; not in its state, where no links may be.
            is_allowed: whether this node installs anything.
        """
        self._node = folder.name
        self._folder = folder
        self._store = store
        self._orphans = orphans
        self._tell = tell
        self._is_allowed = is_allowed
        self._known: dict[_Key, InstalledType] = {}
        self._finding: dict[_Key, asyncio.Task[InstalledType]] = {}
        self._making: dict[str, asyncio.Task[Path]] = {}  # by digits
        self._turns = asyncio.Semaphore(limits.ENVIRONMENTS_AT_ONCE)
        self._says = ""  # what pip said last

    async def type_of(self, bundle: str, type_name: str) -> InstalledType:
        """Return the class of a bundle that is here, when all that it wants is installed.

        Raises:
            Refused: this node installs nothing.
            BundleRefused: the bundle wants nothing, pip failed, or the class can't be loaded.
        """
        return await asyncio.shield(self._begin_finding(bundle, type_name))

    async def is_ready(self, bundle: str, type_name: str) -> bool:
        """Return whether `type_of` knows it within ENVIRONMENT_LOOK_S; it goes on with that.

        Raises:
            ZactorError: as of `type_of`.
        """
        task = self._begin_finding(bundle, type_name)
        await asyncio.wait((task,), timeout=limits.ENVIRONMENT_LOOK_S)
        if task.done():
            task.result()
        elif self._says:
            self._told("goes_on", type=type_name, says=self._says)
        return task.done()

    def contract_of(self, bundle: str, type_name: str) -> Contract | None:
        """Return what is known of a class that is loaded in an environment only."""
        found = self._known.get((bundle, type_name))
        return None if found is None else found.contract

    async def sweep(self, needed: Iterable[str], kept_s: float) -> list[str]:
        """Remove those that no bundle of these wants and that are older than that; return them."""
        if not await run_blocking(self._folder.exists):
            return []
        wanted = await run_blocking(lambda: {digits_of(self._store.wants_of(b)) for b in needed})
        return await run_blocking(_sweep, self._folder, wanted | set(self._making), kept_s)

    # -- one type ----------------------------------------------------------------------------
    def _begin_finding(self, bundle: str, type_name: str) -> asyncio.Task[InstalledType]:
        find = partial(self._find, bundle, type_name)
        return _shared(self._finding, (bundle, type_name), find)

    async def _find(self, bundle: str, type_name: str) -> InstalledType:
        if not self._is_allowed:
            raise Refused(
                f"{self._node} was started with --no-install: deploy {type_name} without"
                " --install, where what it needs is installed there; or on another node"
            )
        wants = await run_blocking(self._store.wants_of, bundle)
        if not wants:
            raise BundleRefused(
                f"nothing says what {type_name} needs: want a requirements.txt, a pyproject.toml"
                " with dependencies, or a script's header (PEP 723) with what is declared"
            )
        for want in wants:
            if _NAMED.match(want) is None:
                raise BundleRefused(f"{want!r} is no name of a package that can be installed")
        made = partial(self._make, digits_of(wants), wants)
        making = _shared(self._making, digits_of(wants), made)
        folder = str(await asyncio.shield(making))
        known = self._known.get((bundle, type_name))
        if known is not None and known.folder == folder:
            return known
        told = await self._describe(folder, bundle, type_name)
        if told.refusal:
            raise BundleRefused(f"with {', '.join(wants)} installed: {told.refusal}")
        found = InstalledType(folder, told.options, told.contract)
        self._known[bundle, type_name] = found
        if len(self._known) > limits.CONTRACTS_KEPT:
            del self._known[next(iter(self._known))]
        return found

    async def _describe(self, folder: str, bundle: str, type_name: str) -> TypeDescription:
        mark = uuid.uuid4().hex  # what users' code prints is no answer
        words = [str(python_of(Path(folder))), "-P", "-m", _DESCRIBE, mark]
        words += [str(self._store.folder), bundle, type_name]
        try:
            async with asyncio.timeout(limits.CLASS_LOAD_S):
                code, said = await self._run(words, dict(os.environ), limits.CLASS_SAID_BYTES_MAX)
        except TimeoutError:
            raise BundleRefused(
                f"{type_name} isn't loaded after {limits.CLASS_LOAD_S:g} s"
            ) from None
        _, found, answer = said.rpartition(mark)
        if not found:
            why = _last(said) or f"exit code {code}"
            raise BundleRefused(f"{type_name} can't be loaded: {why}")
        return read_description(answer)

    # -- one environment ---------------------------------------------------------------------
    async def _make(self, digits: str, wants: tuple[str, ...]) -> Path:
        folder = self._folder / digits
        if await run_blocking(_is_whole, folder, wants):
            return folder
        async with self._turns:
            began, is_whole = time.monotonic(), False
            self._told("begins", wants=", ".join(wants))
            try:
                async with asyncio.timeout(limits.ENVIRONMENT_MAKE_S):
                    await self._install(folder, wants)
                is_whole = True
            except TimeoutError:
                said = f"; it said last: {self._says}" if self._says else ""
                why = f"not installed within {limits.ENVIRONMENT_MAKE_S:g} s{said}"
                raise self._failed(wants, why) from None
            except OSError as error:
                raise self._failed(wants, f"{error.filename!r}: {error.strerror}") from error
            finally:
                self._says = ""
                if not is_whole:
                    await run_blocking(_remove, folder)
            took_s = round(time.monotonic() - began, 3)
            self._told("made", wants=", ".join(wants), took_s=took_s)
        return folder

    def _failed(self, wants: tuple[str, ...], why: str) -> BundleRefused:
        self._told("failed", wants=", ".join(wants), why=why)
        return BundleRefused(f"{', '.join(wants)} can't be installed on {self._node}: {why}")

    def _told(self, what: str, **fields: object) -> None:
        self._tell(EnvironmentProgress(f"environment_{what}", fields))

    async def _install(self, folder: Path, wants: tuple[str, ...]) -> None:
        await run_blocking(_begin, folder)
        # What is found by the way of this process isn't the environment's.
        env = {name: value for name, value in os.environ.items() if name[:6] != "PYTHON"}
        env["TMPDIR"] = str(folder / _TEMPORARY)  # what a pip that is killed leaves goes with it
        has_pip = importlib.util.find_spec("pip") is not None
        python = str(python_of(folder))
        words = [sys.executable, "-P", "-m", "venv", *(["--without-pip"] if has_pip else [])]
        await self._expect(wants, [*words, str(folder)], env)
        await run_blocking((folder / _TEMPORARY).mkdir)
        fixed = folder / "zactor-constraints.txt"
        await run_blocking(fixed.write_text, "".join(f"{line}\n" for line in _own_requirements()))
        pip = [sys.executable, "-P", "-m", "pip", "--python", python]
        words = [
            *(pip if has_pip else [python, "-m", "pip"]),
            *("install", "--no-input", "--disable-pip-version-check", "--no-color"),
            *("--progress-bar", "off", "--constraint", str(fixed), "--", *wants),
        ]
        await self._expect(wants, words, env)
        await run_blocking(_finish, folder, wants)

    async def _expect(self, wants: tuple[str, ...], words: list[str], env: dict[str, str]) -> None:
        code, said = await self._run(words, env, limits.PROCESS_SAID_BYTES_KEPT)
        if code:
            raise self._failed(wants, _last(said) or f"exit code {code}")

    async def _run(self, words: list[str], env: dict[str, str], kept: int) -> tuple[int, str]:
        """Run a program to its end; return its exit code, and the last `kept` bytes it said."""
        reading, writing = os.pipe()
        files = (os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), writing, os.dup(writing))
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        pipe, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", buffering=0)
        )
        said = bytearray()
        try:
            process = await self._orphans.spawn(words, env, None, files)
            try:
                while data := await reader.read(_READ_BYTES):
                    said += data
                    del said[:-kept]
                    self._says = _last(data.decode(errors="replace"), 1) or self._says
                while not process.has_exited():  # noqa: ASYNC110 - nothing tells of its end
                    await asyncio.sleep(_POLL_S)
            finally:
                code = self._orphans.end(process)
        finally:
            pipe.close()
        return code, said.decode(errors="replace")


def digits_of(wants: Iterable[str]) -> str:
    """Return the name of the environment with these requirements, for this Python."""
    key = json.dumps([sorted(wants), sys.version, sys.base_prefix, _own_folders()])
    return hashlib.sha256(key.encode()).hexdigest()[:DIGITS]


def python_of(folder: Path) -> Path:
    """Return the Python of an environment."""
    return folder / "bin" / "python"


def _shared(
    tasks: dict[K, asyncio.Task[T]], key: K, work: Callable[[], Coroutine[Any, Any, T]]
) -> asyncio.Task[T]:
    """Return the task under that key, which all who want it meanwhile share."""
    task = tasks.get(key)
    if task is None:
        task = tasks[key] = asyncio.get_running_loop().create_task(work())

        def done(ended: asyncio.Task[T]) -> None:
            del tasks[key]
            if not ended.cancelled():
                ended.exception()  # nobody need have waited for that

        task.add_done_callback(done)
    return task


def _own_requirements() -> list[str]:
    """What zactor itself needs: its code runs in the environment, too."""
    try:
        lines = importlib.metadata.requires("zactor") or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [line for line in lines if "extra ==" not in line]


def _own_folders() -> list[str]:
    """Where this process has what is installed."""
    return [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]


def _is_whole(folder: Path, wants: tuple[str, ...]) -> bool:
    """Whether the environment is there, and its Python; it isn't old any more then."""
    mark = folder.with_suffix(_WHOLE)
    try:
        is_it = json.loads(mark.read_text()) == list(wants) and python_of(folder).exists()
        os.utime(mark)
    except (OSError, ValueError):
        return False
    return is_it


def _begin(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.with_suffix(_WHOLE).unlink(missing_ok=True)
    _remove(folder)  # one that was begun, and its node killed


def _finish(folder: Path, wants: tuple[str, ...]) -> None:
    _remove(folder / _TEMPORARY)
    bases = {"base": str(folder), "platbase": str(folder)}
    place = Path(sysconfig.get_path("purelib", "venv", bases))
    # After pip, which would else take what this node has for a part of the environment.
    line = f"import site; list(map(site.addsitedir, {_own_folders()!r}))\n"
    (place / "zactor-node.pth").write_text(line)
    draft = folder.with_suffix(".draft")
    draft.write_text(json.dumps(wants))
    draft.replace(folder.with_suffix(_WHOLE))


def _sweep(folder: Path, wanted: Collection[str], kept_s: float) -> list[str]:
    gone = []
    for path in sorted(folder.glob("*")):
        if path.suffix or path.name in wanted:
            continue
        mark = path.with_suffix(_WHOLE)
        since = (mark if mark.exists() else path).stat().st_mtime
        if time.time() - since >= kept_s:
            mark.unlink(missing_ok=True)
            _remove(path)
            gone.append(path.name)
    return gone


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _last(said: str, lines: int = SAID_LINES) -> str:
    """The end of what a program printed, in one line."""
    found = [line.strip() for line in said.splitlines() if line.strip()]
    return printable(" | ".join(found[-lines:])[-limits.PROCESS_SAID_CHARS_MAX :])
