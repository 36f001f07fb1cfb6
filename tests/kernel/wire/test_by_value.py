"""Code that travels by value keeps its file and its lines, under every cloudpickle allowed."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from deadlines import DEADLINE_S

from zactor.kernel.wire import by_value, payload

HERE = __file__


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator of the usual kind."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


def kinds() -> dict[str, Callable[[], Any]]:
    """What divides by zero, in every form that a function can have; all go by value."""
    zero = 0

    def nested() -> float:
        def inner() -> float:
            return 1 / zero  # nested

        return inner()

    async def coroutine() -> float:
        return 1 / zero  # coroutine

    def generator() -> Iterator[float]:
        yield 1 / zero  # generator

    @decorated
    def wrapped() -> float:
        return 1 / zero  # wrapped

    class Local:
        @property
        def value(self) -> float:
            return 1 / zero  # property

        @classmethod
        def of_class(cls) -> float:
            return 1 / zero  # classmethod

        @staticmethod
        def static() -> float:
            return 1 / zero  # staticmethod

        def method(self) -> float:
            return max(1 / zero for _ in "a")  # method

    here = Local()
    return {
        "nested": nested,
        "lambda": lambda: 1 / zero,  # lambda
        "coroutine": lambda: asyncio.run(coroutine()),
        "generator": lambda: list(generator()),
        "wrapped": wrapped,
        "property": lambda: here.value,
        "classmethod": here.of_class,
        "staticmethod": here.static,
        "method": here.method,
        "partial": functools.partial(lambda number: 1 / number, 0),  # partial
    }


def by_value_here() -> Any:
    """Have this module's own functions travel, as those of a script do."""
    module = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(module)
    return module


def there(function: Any) -> Any:
    """The function as it is once it has been an argument."""
    module = by_value_here()
    try:
        head = by_value.dumps(((function,), {}))
        (found,), _ = payload.decode_value(head, ())
    finally:
        cloudpickle.unregister_pickle_by_value(module)
    return found


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_a_traceback_shows_file_and_line_of_what_was_shipped(kind: str) -> None:
    shipped = there(kinds()[kind])
    with pytest.raises(ZeroDivisionError) as caught:
        shipped()
    # The innermost frame, and all others below the test itself.
    frames = traceback.extract_tb(caught.value.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith(sys.base_prefix)]
    assert {frame.filename for frame in own} == {HERE}
    assert (own[-1].line or "").endswith(f"# {kind}")


def code_below(code: types.CodeType) -> Iterator[types.CodeType]:
    """`code` and what is nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_below(constant)


def test_shipped_code_is_equal_to_what_was_shipped_down_to_the_innermost() -> None:
    for kind, function in kinds().items():
        if isinstance(function, types.FunctionType):
            shipped = there(function)
            assert [*code_below(shipped.__code__)] == [*code_below(function.__code__)], kind
            files = {code.co_filename for code in code_below(shipped.__code__)}
            assert files == {HERE}, kind


def test_code_from_two_files_keeps_both_names() -> None:
    made = []
    for name in ("<cell 1>", "<cell 2>"):
        names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile("def make():\n    return lambda: 1", name, "exec"), names)
        made.append(names["make"])
    first, second = payload.decode_value(by_value.dumps(made), ())
    assert first.__code__.co_filename == "<cell 1>"
    assert second.__code__.co_filename == "<cell 2>"
    assert second().__code__.co_filename == "<cell 2>"


def test_an_argument_by_value_is_pickled_with_its_file() -> None:
    body = payload.encode((lambda: 1,), {})
    assert isinstance(body, bytes)
    (shipped,), _ = payload.decode(body, ())
    assert shipped.__code__.co_filename == HERE
    (whole,), _ = payload.decode(payload.encode_whole((lambda: 1,)), ())
    assert whole.__code__.co_filename == HERE


def test_what_is_pickled_is_read_without_zactor() -> None:
    head = by_value.dumps(lambda: 1)
    code = (
        "import pickle, sys; f = pickle.load(sys.stdin.buffer); "
        "assert 'zactor' not in sys.modules; "
        "print(f.__code__.co_filename, f())"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        input=head,
        capture_output=True,
        cwd="/",
        check=False,
        timeout=DEADLINE_S,
    )
    assert done.stdout.decode().split() == [HERE, "1"], done.stderr.decode()


def test_two_processes_pickle_the_same_function_to_the_same_bytes(tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        "from zactor.kernel.wire import by_value\n"
        "class Local:\n    def method(self):\n        return [lambda: n for n in (1, 2)]\n"
        "import sys\nsys.stdout.buffer.write(by_value.dumps(Local.method))\n"
    )
    written = {
        subprocess.run(
            [sys.executable, script],
            capture_output=True,
            check=True,
            timeout=DEADLINE_S,
            env={"PYTHONHASHSEED": seed, "ZACTOR_HOME": str(tmp_path)},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(written) == 1
    assert b"main.py" in written.pop()
