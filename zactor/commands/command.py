"""What a command is, and how its arguments are read; the commands stand in catalogue.py.

Each command has a spelling in the shell's words (`deploy counter c1 n1`) and most have one as
a term too (`deployActor(counter, c1, n1)`). Both become the same `CommandCall`. Importing this
module loads neither ZeroMQ nor the knowledge base: `zactor -h` reads the table too.
"""

from __future__ import annotations

import enum
import json
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from zactor.kernel.errors import ConfigError

if TYPE_CHECKING:
    from zactor.client.blocking_master import BlockingMaster

Values = Mapping[str, object]
"""The arguments of a command by name; an optional one that wasn't given is absent."""


class Kind(enum.Enum):
    """What an argument is: how its text is read, and what TAB offers for it."""

    ACTOR = "actor"
    NODE = "node"
    TYPE = "type"
    TEXT = "text"
    PORT = "port"  # EMITTER.ACTION
    REACTOR = "reactor"  # REACTOR, or REACTOR.ACTION
    FILE = "file"
    GOAL = "goal"
    SERVICE = "service"
    MEANWHILE = "meanwhile"  # drop, hold:N or block
    SECONDS = "seconds"
    COUNT = "count"  # 1 or more
    JSON = "json"  # JSON if it parses, else the text itself
    PAIR = "pair"  # K=JSON
    FLAG = "flag"


_JSON_BEGINS = ("{", "[", '"')
_SHOWN_MAX = 60  # characters of an argument in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One argument in the shell's spelling."""

    name: str
    kind: Kind
    help: str = ""
    option: str = ""  # "--service": given by name; "": by its place
    short: str = ""  # "-o", its other name
    needed: bool = True
    many: bool = False


@dataclass(slots=True)
class ConsoleSession:
    """Where commands go: an open connection, and where files are looked for."""

    master: BlockingMaster
    home: Path
    folders: tuple[Path, ...] = field(default_factory=lambda: (Path(),))  # for relative paths
    progress: Callable[[str], None] = lambda text: None  # called before what may take long
    timeout: float | None = None  # s, --timeout where it was given
    tell: Callable[[str], None] = lambda text: None  # prints a line of a result that goes on
    confirm: Callable[[str], bool] | None = None  # asks a person; None: there is nobody

    def find(self, path: str) -> Path:
        """Return the file that `path` means: relative to here, else to the script's folder.

        Raises:
            ConfigError: there is none.
        """
        tried = [folder / Path(path).expanduser() for folder in self.folders]
        for candidate in tried:
            if candidate.exists():
                return candidate
        raise ConfigError(f"there is no file or folder {path!r} (from {Path.cwd()})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command with its spellings.

    `terms` are (functor, names of its arguments, how many of them are needed).
    """

    words: str  # "deploy", "kb facts"
    help: str
    act: Callable[[ConsoleSession, Values], object]  # its result is plain data, as --json prints it
    more: str = ""  # what -h says beside `help`
    parameters: tuple[Parameter, ...] = ()
    terms: tuple[tuple[str, tuple[str, ...], int], ...] = ()
    columns: tuple[str, ...] = ()  # of a result that is a table
    say: Callable[[object], str] | None = None  # of any other result; None: JSON
    verdict: Callable[[object, Values], str] | None = None  # a sentence before either
    exit_code: Callable[[object], int] = lambda result: 0
    cli: bool = True  # False: only in scripts and the console
    limited: bool = True  # False: it keeps its time itself


@dataclass(frozen=True, slots=True)
class CommandCall:
    """One command with its arguments."""

    command: Command
    values: Values
    as_json: bool = False  # --json stood in the line
    verbose: bool = False  # -v did


# -- reading arguments -----------------------------------------------------------------------
def read_json(text: str) -> object:
    """Return what `text` says as JSON, or `text` itself where it is none.

    Raises:
        ConfigError: it begins as JSON does and is none, which a typo makes of it; or it is a
            number that Python's can't hold: never another number instead.
    """
    try:
        value: object = json.loads(
            text, parse_constant=_no_constant, parse_float=_finite, parse_int=_whole
        )
    except (ValueError, RecursionError) as error:
        if text.lstrip()[:1] in _JSON_BEGINS:
            raise ConfigError(f"{_shortened(text)} is no JSON: {_fault(error)}") from None
        return text
    return value


def _fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    return "it is nested too deep" if isinstance(error, RecursionError) else f"{error} isn't"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}…")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are no JSON: take them as words


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ConfigError(f"{text} is too large for a float: at most {sys.float_info.max:.3g}")
    return value


def _whole(text: str) -> int:
    most = sys.get_int_max_str_digits()
    if 0 < most < len(text.lstrip("-")):
        raise ConfigError(f"an integer of {len(text)} digits: at most {most}")
    return int(text)


def read_text(parameter: Parameter, text: str) -> Values:
    """Return the values that the word `text` gives to `parameter`.

    Raises:
        ConfigError: it isn't of the parameter's kind.
    """
    name = parameter.name
    match parameter.kind:
        case Kind.PORT:
            emitter, dot, action = text.partition(".")
            if not (emitter and dot and action) or "." in action:
                raise ConfigError(f"{text!r} is no EMITTER.ACTION, like g1.inc")
            return {"emitter": emitter, "action": action}
        case Kind.REACTOR:
            reactor, dot, does = text.partition(".")
            if not reactor or "." in does or bool(dot) != bool(does):
                raise ConfigError(f"{text!r} is no REACTOR or REACTOR.ACTION, like r1.store")
            return {name: reactor, **({"does": does} if does else {})}
        case Kind.SECONDS:
            return {name: read_seconds(text)}
        case Kind.COUNT:
            return {name: read_count(text)}
        case Kind.SERVICE:
            return {name: read_service(text)}
        case Kind.MEANWHILE:
            return {name: read_meanwhile(text)}
        case Kind.JSON:
            return {name: read_json(text)}
        case Kind.PAIR:
            key, equals, value = text.partition("=")
            if not (equals and key.isidentifier()):
                raise ConfigError(f"{text!r} is no K=JSON, like start=5")
            return {name: (key, read_json(value))}
        case _:
            return {name: text}


def read_seconds(value: object) -> float:
    """Return `value` as seconds, 0 or more."""
    try:
        seconds = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf or isinstance(value, bool):
        raise ConfigError(f"{value!r} is no number of seconds, 0 or more")
    return seconds


def read_count(value: object) -> int:
    """Return `value` as a count, 1 or more."""
    try:
        count = int(value) if isinstance(value, int | str) else 0
    except ValueError:
        count = 0
    if count < 1 or isinstance(value, bool):
        raise ConfigError(f"{value!r} is no count, 1 or more")
    return count


def read_meanwhile(text: str) -> str:
    """Return what a wire does while its reactor is away, as it is written: "hold 1000".

    Raises:
        ConfigError: it is nothing of the kind.
    """
    from zactor.kernel.messages.meanwhile import Meanwhile

    return str(Meanwhile.parse(text) or "drop")


def read_service(text: str) -> str:
    """Return the service level called `text` as it stands in the knowledge base."""
    from zactor.kernel.messages.service import Service

    return Service.parse(text).value
