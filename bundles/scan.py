"""What a module's source says without being run: its imports, its classes, whether it looks round.

Bundles are built on consoles that may lack what the actors need (a GPU library, say), so a source
is parsed, never imported.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from zactor.kernel.errors import BundleRefused

_IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_PLACES = {"__file__", "__path__", "__spec__", "__loader__", "__package__"}
_RESOURCES = {"importlib.resources", "pkgutil", "pkg_resources", "importlib_resources"}
_FILES_OF = {"getfile", "getsourcefile", "getabsfile", "co_filename", "get_data"}
_BY_NAME = {
    *("import_module", "__import__", "iter_modules", "walk_packages", "resolve_name"),
    *("spec_from_file_location", "SourceFileLoader", "run_path", "run_module"),
}
_LOGGERS = {"getLogger", "get_logger"}  # they take `__name__`, and look at no file
_TEXT_MAX = 200  # characters of a text that may name a file


@dataclass(frozen=True, slots=True)
class Import:
    """One name that a module imports."""

    module: str  # dotted, absolute: relative ones are resolved
    name: str  # what is taken out of it; "" for `import module`
    alias: str  # what it is called from then on
    required: bool  # False where the module can be loaded without it
    runs: bool = True  # False where only type checkers and the file as a program reach it


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in one module."""

    module: str
    imports: tuple[Import, ...]
    classes: Mapping[str, tuple[str, ...]]  # top-level class -> its bases as they are written
    version: str  # the literal `__version__`, "" without one
    aliases: Mapping[str, str]  # name -> what it is another name of, as it is written
    reads: bool = False  # it may read files that lie beside it
    by_name: bool = False  # it may import modules whose names aren't in its source
    texts: frozenset[str] = frozenset()  # which might name files or modules
    handed: frozenset[tuple[str, str]] = frozenset()  # (name of what is called, text given to it)


_KEPT = 512  # modules: a class is looked at with its whole package, and often more than once


@lru_cache(_KEPT)
def scan(module: str, source: bytes, *, is_package: bool, shown: str) -> Scan:
    """Parse one module, which is kept; `shown` is how messages call its file.

    Raises:
        BundleRefused: a syntax error, or a relative import that leaves the bundle.
    """
    try:
        tree = ast.parse(source, filename=shown)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None) or 0
        why = getattr(error, "msg", None) or str(error)
        raise BundleRefused(f"{shown}:{line}: {why}") from None
    package = module if is_package else module.rpartition(".")[0]
    nodes = tuple(ast.walk(tree))
    imports = [*_imports(tree, package, shown), *_named_imports(nodes)]
    reads, by_name = _looks_round(nodes, imports)
    return Scan(
        module=module,
        imports=tuple(imports),
        classes={
            node.name: tuple(_dotted(base) or "?" for base in node.bases)
            for node in _top_level(tree.body)
            if isinstance(node, ast.ClassDef)
        },
        version=_version(tree),
        aliases=dict(_aliases(tree)),
        reads=reads,
        by_name=by_name,
        texts=frozenset(_texts(nodes)),
        handed=frozenset(_handed(nodes)),
    )


@dataclass(frozen=True, slots=True)
class _Reach:
    """How a statement is reached: always, perhaps, or never by an actor."""

    required: bool = True
    runs: bool = True


_PERHAPS = _Reach(required=False)
_NEVER = _Reach(required=False, runs=False)


def _imports(node: ast.AST, package: str, shown: str, reach: _Reach = _Reach()) -> Iterator[Import]:
    for child, inner in _reached(node, reach):
        match child:
            case ast.Import(names=names):
                for alias in names:
                    # `import a.b` binds a, `import a.b as c` binds a.b
                    bound = alias.name if alias.asname else alias.name.partition(".")[0]
                    yield Import(alias.name, "", alias.asname or bound, inner.required, inner.runs)
            case ast.ImportFrom(names=names):
                home = _home(child, package, shown)
                for alias in names:
                    yield Import(
                        home, alias.name, alias.asname or alias.name, inner.required, inner.runs
                    )
            case _:
                yield from _imports(child, package, shown, inner)


def _reached(node: ast.AST, reach: _Reach) -> Iterator[tuple[ast.AST, _Reach]]:
    """The parts of a node, each with how it is reached if the node is reached as `reach` says."""
    perhaps = _PERHAPS if reach.runs else _NEVER
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            within, beside = (perhaps, perhaps)
            if _is_for_checkers(test) or _is_main_guard(test):
                within, beside = _NEVER, reach
            yield test, reach
            yield from ((child, within) for child in body)
            yield from ((child, beside) for child in orelse)
        case ast.Try() | ast.TryStar() if _survives_import_error(node):
            for child in ast.iter_child_nodes(node):
                yield child, perhaps
        case ast.With() | ast.AsyncWith() if any(map(_suppresses, node.items)):
            for child in ast.iter_child_nodes(node):
                yield child, perhaps
        case (
            ast.FunctionDef()
            | ast.AsyncFunctionDef()
            | ast.Lambda()
            | ast.Match()
            | ast.While()
            | ast.For()
        ):
            for child in ast.iter_child_nodes(node):
                yield child, perhaps
        case _:
            for child in ast.iter_child_nodes(node):
                yield child, reach


def _named_imports(nodes: Sequence[ast.AST]) -> Iterator[Import]:
    """What is imported by a call with its name: `import_module("plugin")`."""
    for node in nodes:
        match node:
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if (
                _dotted(function) or ""
            ).rpartition(".")[2] in ("import_module", "__import__"):
                if name and all(step.isidentifier() for step in name.split(".")):
                    yield Import(name, "", "", required=False)


def _looks_round(nodes: Sequence[ast.AST], imports: list[Import]) -> tuple[bool, bool]:
    """Whether it may read files beside it, and whether it may import what it doesn't name."""
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    names |= {item.name for item in imports}
    by_name = bool(names & _BY_NAME)
    taken = {item.module for item in imports}
    taken |= {f"{item.module}.{item.name}" for item in imports}
    reads = bool(names & (_PLACES | _FILES_OF) or taken & _RESOURCES) or _hands_its_name_on(nodes)
    return reads or by_name, by_name


def _hands_its_name_on(nodes: Sequence[ast.AST]) -> bool:
    """Whether `__name__` goes to a call that may look for files: `PackageLoader(__name__)`."""
    for node in nodes:
        if isinstance(node, ast.Call):
            called = (_dotted(node.func) or "").rpartition(".")[2]
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            if called not in _LOGGERS and any(_dotted(value) == "__name__" for value in given):
                return True
    return False


def _handed(nodes: Sequence[ast.AST]) -> Iterator[tuple[str, str]]:
    """Texts like names of modules in calls: `library.load("plugin")` gives (library, plugin)."""
    for node in nodes:
        if isinstance(node, ast.Call):
            called = (_dotted(node.func) or "").partition(".")[0]
            for value in (*node.args, *(keyword.value for keyword in node.keywords)):
                if called and isinstance(value, ast.Constant) and isinstance(value.value, str):
                    name = value.value.partition(":")[0]
                    if all(step.isidentifier() for step in name.split(".")):
                        yield called, name


def _texts(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if 0 < len(text) <= _TEXT_MAX and text.isprintable():
                yield text


def _home(node: ast.ImportFrom, package: str, shown: str) -> str:
    """The absolute name of the module that a `from … import` takes from."""
    if node.level == 0:
        return node.module or ""
    steps = package.split(".") if package else []
    up = node.level - 1
    if up > len(steps):
        raise BundleRefused(
            f"{shown}:{node.lineno}: this relative import leaves the bundle; "
            f"bundle the folder of the whole package instead"
        )
    return ".".join([*steps[: len(steps) - up], *filter(None, [node.module])])


def _is_for_checkers(test: ast.expr) -> bool:
    return (_dotted(test) or "").endswith("TYPE_CHECKING")


def _is_main_guard(test: ast.expr) -> bool:
    """`__name__ == "__main__"`, either way round, also as one of several conditions."""
    match test:
        case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
            sides = (left, right)
            return any(_dotted(side) == "__name__" for side in sides) and any(
                isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
            )
        case ast.BoolOp(op=ast.And(), values=values):
            return any(map(_is_main_guard, values))
    return False


def _survives_import_error(node: ast.Try | ast.TryStar) -> bool:
    for handler in node.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if any(kind is None or _last(kind) in _IMPORT_ERRORS for kind in kinds):
            return True
    return False


def _suppresses(item: ast.withitem) -> bool:
    """`suppress(ImportError)`, by whatever module it is called."""
    match item.context_expr:
        case ast.Call(func=function, args=args):
            return _last(function) == "suppress" and any(
                _last(value) in _IMPORT_ERRORS for value in args
            )
    return False


def _last(node: ast.expr) -> str:
    return (_dotted(node) or "").rpartition(".")[2]


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, also those under `if` and `try`."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            yield from _top_level(node.body)
        if isinstance(node, ast.If | ast.Try):
            yield from _top_level(node.orelse)
        if isinstance(node, ast.Try):
            yield from _top_level(node.finalbody)
            for handler in node.handlers:
                yield from _top_level(handler.body)


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Other names of classes: `Base = module.Base`."""
    for node in _top_level(tree.body):
        match node:
            case ast.Assign(targets=targets, value=ast.Name() | ast.Attribute() as value):
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, _dotted(value) or "?"


def _dotted(node: ast.expr | None) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attr):
            front = _dotted(value)
            return f"{front}.{attr}" if front else None
        case ast.Subscript(value=value):
            return _dotted(value)
    return None


def _version(tree: ast.Module) -> str:
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant(value=value)):
                return str(value)
    return ""


BUILTINS = frozenset(vars(builtins))
