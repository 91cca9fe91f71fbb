"""Every public function says the type of each argument and of what it returns, and none of them is Any; mypy runs in `.ci/types`."""

import inspect
import typing
from collections.abc import Iterator

import numpy as np
import pytest

import meshwright.engines
import meshwright.runtime
from meshwright.engines import errors
from meshwright.engines.cache.record import EngineRecord
from meshwright.engines.cuda.device import Cuda
from meshwright.engines.onnxruntime.engine import Provider

ERRORS = [name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__]
PUBLIC = {f"{module.__name__}.{name}": getattr(module, name) for module, names in
          ((meshwright.runtime, meshwright.runtime.__all__), (meshwright.engines, [*meshwright.engines.__all__]), (errors, ERRORS))
          for name in names}
# Annotations under TYPE_CHECKING name what importing the module does not load.
LATER = {"Cuda": Cuda, "EngineRecord": EngineRecord, "Mesh": meshwright.runtime.Mesh, "Provider": Provider}


def functions(value: object) -> Iterator[tuple[str, object]]:
    """A function, or the public methods, properties and constructor of a class; those of a dataclass are its fields."""
    if not inspect.isclass(value):
        if inspect.isfunction(value):
            yield value.__name__, value
        return
    for name, member in vars(value).items():
        if name.startswith("_") and name != "__init__":
            continue
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        plain = plain.fget if isinstance(plain, property) else plain
        if inspect.isfunction(plain):
            yield f"{value.__name__}.{name}", plain


def holds_any(annotation: object) -> bool:
    """Arrays are of any shape and dtype, which their docstrings say: `np.ndarray` alone is a whole type."""
    if annotation is np.ndarray:
        return False
    if isinstance(annotation, list):  # the arguments of a Callable
        return any(map(holds_any, annotation))
    if typing.is_typeddict(annotation):
        return any(map(holds_any, typing.get_type_hints(annotation).values()))
    return annotation is typing.Any or any(map(holds_any, typing.get_args(annotation)))


def problems(function: object) -> list[str]:
    hints = typing.get_type_hints(function, localns=LATER)
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [name for name in [*names, "return"] if name not in hints or holds_any(hints[name])]


@pytest.mark.parametrize("name", PUBLIC)
def test_public_signatures_are_whole(name):
    value = PUBLIC[name]
    found = {where: problems(function) for where, function in functions(value)}
    assert {where: wrong for where, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", PUBLIC)
def test_public_fields_are_no_any(name):
    value = PUBLIC[name]
    if inspect.isclass(value):
        hints = typing.get_type_hints(value, localns=LATER)
        assert [field for field, hint in hints.items() if not field.startswith("_") and holds_any(hint)] == []


def test_any_is_found():
    def some(a: dict[str, list[typing.Any]], b, c: typing.Callable[[typing.Any], int], d: np.ndarray) -> int:
        return 0

    assert problems(some) == ["a", "b", "c"]
