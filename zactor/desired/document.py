"""The document: lab.toml, which says which actors and wires there should be.

TOML without variables, loops or templates. What isn't known is an error that names the line and the
nearest known name, so that a typo never means "nothing of the kind".
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import msgspec

from zactor.kernel.errors import ConfigError, ZactorError
from zactor.kernel.ids import check_name, wire_between
from zactor.kernel.messages.meanwhile import Meanwhile
from zactor.kernel.messages.service import Service
from zactor.supervisor.desired.groups import check_members
from zactor.supervisor.kb.expansion import NODE
from zactor.supervisor.kb.node_marks import read_label
from zactor.supervisor.kb.policies import (
    DRAIN_S,
    INTENSITY,
    ON_MAX,
    TRANSIENT,
    check_intensity,
    check_restart,
)
from zactor.supervisor.kb.restart_groups import ONE_FOR_ONE, check_strategy
from zactor.supervisor.kb.wishes import WishedActor, WishedGroup, WishedWire

FILE_BYTES_MAX = 1 << 20  # a person's file; a program's may be as long
TABLES = ("cluster", "factories", "actors", "groups", "wires")
_CLUSTER = ("name", "keep")
_ACTOR = ("type", "on", "each", "args", "arguments", "restart", "intensity", "drain")
_GROUP = ("actors", "strategy", "intensity")
_IDENTITY = re.compile(r"sha256:[0-9a-f]{64}")
_MEANWHILE = re.compile("drop|hold|block")
_HEADER = re.compile(r"\s*\[+\s*(.*?)\s*\]+\s*(?:#.*)?$")
_KEY = re.compile(r"""(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))""")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a file says, checked as far as the file alone allows."""

    name: str
    keep: bool
    factories: Mapping[str, str]  # type -> path, or "sha256:…"
    actors: tuple[WishedActor, ...]
    wires: tuple[WishedWire, ...]
    groups: tuple[WishedGroup, ...]
    folder: Path  # what paths are relative to

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that it names, sorted."""
        return tuple(sorted({node for actor in self.actors for node in actor.on}))


def is_identity(source: str) -> bool:
    """Whether a factory's source is code that the network has already."""
    return _IDENTITY.fullmatch(source) is not None


def read_document(text: str, file: str, folder: Path) -> Document:
    """Return what `text` says.

    Args:
        file: its name, for messages. folder: what paths in it are relative to.

    Raises:
        ConfigError: FILE:LINE: what is wrong with it.
    """
    return _Reader(text, file).read(folder)


class _Reader:
    """Reads one document."""

    def __init__(self, text: str, file: str) -> None:
        self._source = text
        self._file = file
        if len(text) > FILE_BYTES_MAX:
            raise ConfigError(f"{file}: {len(text)} characters, at most {FILE_BYTES_MAX}")
        try:
            self._data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"at line (\d+)", str(error))
            line = f":{where[1]}" if where else ""
            raise ConfigError(f"{file}{line}: that is no TOML: {error}") from None
        except RecursionError:
            raise ConfigError(f"{file}: lists or tables within each other, too deep") from None

    def read(self, folder: Path) -> Document:
        self._known(self._data, TABLES, ())
        cluster = self._table("cluster")
        self._known(cluster, _CLUSTER, ("cluster",))
        name = cluster.get("name")
        if not isinstance(name, str):
            self._fail(("cluster",), 'want name = "…" in [cluster]: whose things these are')
        self._checked(("cluster", "name"), lambda: check_name("cluster", name))
        keep = cluster.get("keep", True)
        if not isinstance(keep, bool):
            self._fail(("cluster", "keep"), "keep is true or false")
        factories = dict(self._factories())
        actors = tuple(self._actors(factories))
        return Document(
            name=name,
            keep=keep,
            factories=factories,
            actors=actors,
            wires=tuple(self._wires({actor.name for actor in actors})),
            groups=tuple(self._groups({actor.name for actor in actors if not actor.each})),
            folder=folder,
        )

    # -- parts -------------------------------------------------------------------------------
    def _table(self, *path: str) -> Mapping[str, object]:
        found: object = self._data
        for key in path:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        if not isinstance(found, dict):
            self._fail(path, f"{'.'.join(path)} is a table, [{'.'.join(path)}]")
        return found

    def _factories(self) -> Iterator[tuple[str, str]]:
        for name, source in self._table("factories").items():
            path = ("factories", name)
            self._checked(path, partial(check_name, "type of actor", name))
            if not isinstance(source, str) or not source:
                self._fail(path, f'{name} wants a path or "sha256:…"')
            if source.startswith("sha256:") and not is_identity(source):
                self._fail(path, f"{source!r} is no identity of code: want 64 hexadecimal digits")
            yield name, source

    def _actors(self, factories: Collection[str]) -> Iterator[WishedActor]:
        for name in self._table("actors"):
            path = ("actors", name)
            table = self._table(*path)
            self._known(table, _ACTOR, path)
            each = self._each(table, path)
            whole = name.replace(NODE, "n") if each else name
            self._checked(path, partial(check_name, "actor", whole))
            type_name = self._text(table, path, "type")
            if type_name not in factories:
                self._unknown(
                    (*path, "type"), f"type {type_name!r} in [factories]", type_name, factories
                )
            yield WishedActor(
                name=name,
                type=type_name,
                on=() if each else self._nodes(table, path),
                each=each,
                arguments=self._arguments(table, path),
                restart=self._restart(table, path),
                intensity=self._intensity(table, path),
                drain_s=self._drain(table, path),
            )

    def _text(self, table: Mapping[str, object], path: tuple[str, ...], key: str) -> str:
        value = table.get(key)
        if not isinstance(value, str) or not value:
            self._fail((*path, key) if key in table else path, f'{path[-1]} wants {key} = "…"')
        return value

    def _each(self, table: Mapping[str, object], path: tuple[str, ...]) -> str:
        """Return the label of the nodes that are to have one each; "": it is but one."""
        if "each" not in table:
            return ""
        label = self._text(table, path, "each")
        self._checked((*path, "each"), partial(read_label, label))
        if "on" in table or NODE not in path[-1]:
            words = f'an actor with each has no on, and {NODE} in its name, like "cam-{NODE}"'
            self._fail((*path, "each"), words)
        return label

    def _nodes(self, table: Mapping[str, object], path: tuple[str, ...]) -> tuple[str, ...]:
        on = table.get("on")
        named = [on] if isinstance(on, str) else on
        where = (*path, "on") if "on" in table else path
        if not isinstance(named, list) or not 0 < len(named) <= ON_MAX:
            self._fail(where, f'{path[-1]} wants on = "NODE", or a list of up to {ON_MAX} of them')
        for node in named:
            self._checked(where, partial(check_name, "node", node))
        if len(set(named)) != len(named):
            self._fail(where, f"{path[-1]} names a node twice")
        return tuple(named)

    def _arguments(self, table: Mapping[str, object], path: tuple[str, ...]) -> str:
        args, text = table.get("args", {}), table.get("arguments")
        if text is not None:
            if not isinstance(text, str) or "args" in table:
                where = (*path, "arguments")
                self._fail(where, "arguments is what `zactor export` wrote, instead of args")
            return text
        if not isinstance(args, dict):
            self._fail((*path, "args"), "args is a table, like { start = 40 }")
        self._checked((*path, "args"), lambda: _check_json(args))
        return msgspec.json.encode(args).decode()

    def _restart(self, table: Mapping[str, object], path: tuple[str, ...]) -> str:
        restart = table.get("restart", TRANSIENT)
        return self._checked((*path, "restart"), lambda: check_restart(str(restart)))

    def _intensity(self, table: Mapping[str, object], path: tuple[str, ...]) -> str:
        intensity = str(table.get("intensity", INTENSITY))
        self._checked((*path, "intensity"), lambda: check_intensity(intensity))
        return intensity

    def _drain(self, table: Mapping[str, object], path: tuple[str, ...]) -> float:
        drain = table.get("drain", DRAIN_S)
        if isinstance(drain, bool) or not isinstance(drain, int | float) or not 0 <= drain < 1e6:
            self._fail((*path, "drain"), "drain is a number of seconds, 0 or more")
        return float(drain)

    def _groups(self, actors: Collection[str]) -> Iterator[WishedGroup]:
        for name in self._table("groups"):
            path = ("groups", name)
            table = self._table(*path)
            self._known(table, _GROUP, path)
            self._checked(path, partial(check_name, "group", name))
            members = table.get("actors")
            if not isinstance(members, list) or not all(isinstance(each, str) for each in members):
                self._fail((*path, "actors"), f'{name} wants actors = ["FIRST", "SECOND", …]')
            for member in members:
                if member not in actors:
                    self._unknown((*path, "actors"), f"actor {member!r}", member, actors)
            strategy = str(table.get("strategy", ONE_FOR_ONE))
            self._checked((*path, "strategy"), partial(check_strategy, strategy))
            group = WishedGroup(
                name=name,
                actors=tuple(members),
                strategy=strategy,
                intensity=self._intensity(table, path),
            )
            self._checked((*path, "actors"), partial(check_members, group, actors))
            yield group

    def _wires(self, actors: Collection[str]) -> Iterator[WishedWire]:
        for port, named in self._table("wires").items():
            path = ("wires", port)
            emitter, _, action = port.partition(".")
            if not emitter or not action or "." in action:
                self._fail(path, f'{port!r} is no EMITTER.ACTION, like "g1.inc"')
            self._checked(path, partial(check_name, "action", action))
            if emitter not in actors:
                self._unknown(path, f"actor {emitter!r}", emitter, actors)
            reactors = [named] if isinstance(named, str) else named
            if not isinstance(reactors, list):
                self._fail(path, f'"{port}" wants ["REACTOR", "REACTOR SERVICE", …]')
            for text in reactors:
                yield self._wire(path, emitter, action, text, actors)

    def _wire(
        self,
        path: tuple[str, ...],
        emitter: str,
        action: str,
        text: object,
        actors: Collection[str],
    ) -> WishedWire:
        first, *words = text.split() if isinstance(text, str) and text.split() else [""]
        split = next((i for i, word in enumerate(words) if _MEANWHILE.match(word)), len(words))
        if not first or split > 1:
            said = "REACTOR[.ACTION] [SERVICE] [drop | hold N | block]"
            self._fail(path, f'{text!r} is no "{said}"')
        service = words[0] if split else Service.FIFO.value
        reactor, dot, does = first.partition(".")
        if reactor not in actors:
            self._unknown(path, f"actor {reactor!r}", reactor, actors)
        service = words[0] if split else Service.FIFO.value
        level = self._checked(path, lambda: Service.parse(service))
        wire = self._checked(path, lambda: wire_between(action, does if dot else action))
        how = self._checked(path, lambda: Meanwhile.parse(" ".join(words[split:])))
        if how is not None:
            self._checked(path, partial(how.check, level))
        return WishedWire(
            emitter=emitter,
            action=wire,
            reactor=reactor,
            service=level.value,
            meanwhile=str(how or ""),
        )

    # -- what is wrong -----------------------------------------------------------------------
    def _known(
        self, table: Mapping[str, object], names: Collection[str], path: tuple[str, ...]
    ) -> None:
        for key in table:
            if key not in names:
                place = f" in [{'.'.join(path)}]" if path else ""
                self._unknown((*path, key), f"key {key!r}{place}", key, names)

    def _unknown(
        self, path: tuple[str, ...], what: str, name: str, known: Collection[str]
    ) -> NoReturn:
        close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
        there = ", ".join(sorted(known)[:8]) or "none"
        hint = f"did you mean {close[0]!r}?" if close else f"there are: {there}"
        self._fail(path, f"there is no {what}: {hint}")

    def _checked(self, path: tuple[str, ...], check: Callable[[], T]) -> T:
        try:
            return check()
        except ZactorError as error:
            self._fail(path, str(error))

    def _fail(self, path: tuple[str, ...], words: str) -> NoReturn:
        line = line_of(self._source, path)
        raise ConfigError(f"{self._file}{f':{line}' if line else ''}: {words}")


_NO_JSON = (float("inf"), -float("inf"))


def _check_json(value: object) -> None:
    """Raise ConfigError where `value` holds what JSON hasn't: a date, an endless number."""
    if isinstance(value, dict):
        for each in value.values():
            _check_json(each)
    elif isinstance(value, list):
        for each in value:
            _check_json(each)
    elif not isinstance(value, str | int | float | bool) or value in _NO_JSON or value != value:
        raise ConfigError(f"args hold plain data (text, numbers, true, lists, tables), not {value}")


def line_of(text: str, path: tuple[str, ...]) -> int:
    """Return the line on which the table or key `path` stands, from 1; 0: it isn't found.

    The last key of the path may stand within an inline table or a list of its own line.
    """
    here: tuple[str, ...] = ()
    best, best_length = 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header is not None and not line.lstrip().startswith("[["):
            here = tuple(_keys(header[1]))
            found = here
        else:
            before = line.partition("=")[0]
            found = (*here, *_keys(before)) if "=" in line else ()
            inside = "=" in line and found == path[: len(found)] and len(found) < len(path)
            if inside and _names(line.partition("=")[2], path[-1]):
                found = path
        length = len(found) if found == path[: len(found)] else 0
        if length > best_length:
            best, best_length = number, length
    return best


def _keys(text: str) -> list[str]:
    return [next(filter(None, found), "") for found in _KEY.findall(text)]


def _names(text: str, key: str) -> bool:
    return re.search(rf'(?:^|[\s,{{"\']){re.escape(key)}["\']?\s*=', text) is not None
