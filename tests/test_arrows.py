"""Who imports whom: the arrows of the design, read from every import statement, those inside of functions included."""

import ast
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HALVES = ("engines", "runtime", "export")
# Besides their own half: export reaches into engines, and the code of the bundled pack into what it trains for.
ALLOWED = {"engines": ("engines",), "runtime": ("runtime", "engines"), "export": ("export", "engines")}
PROPS = ("runtime.geometry", "runtime.diffusion")
MAX_FILES = 16


def module_name(path: Path) -> str:
    """engines/cache/key.py -> engines.cache.key; a package by its folder's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for half in HALVES for path in sorted((ROOT / half).rglob("*.py"))}


def imports(module: str) -> set[str]:
    """The modules of ours that a module imports, whole packages only where a name of their own `__init__` is meant."""
    found = set()
    package = module if FILES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[:len(package.split(".")) - node.level + 1] if node.level else []
            source = ".".join(base + (node.module or "").split(".")).removeprefix("meshwright.").strip(".")
            names = [f"{source}.{alias.name}" for alias in node.names]
            found |= {name if name in FILES else source for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("meshwright.") for alias in node.names}
    return {name for name in found if name in FILES and name != module}


GRAPH = {module: imports(module) for module in FILES}


def folder(module: str) -> str:
    """The folder that a module's file lies in."""
    return module_name(FILES[module].parent / "__init__.py")


def cycle(graph: dict[str, Iterable[str]]) -> list[str]:
    """The nodes of one circle, [] where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_files_import_each_other_in_one_direction_only():
    assert cycle(GRAPH) == []


def test_folders_below_a_half_import_each_other_in_one_direction_only():
    """Files at the top of a half stand above or below its folders one by one, so each of them counts as a folder of its own."""
    graph: dict[str, set[str]] = {}
    for module, targets in GRAPH.items():
        own = folder(module) if "." in folder(module) else module
        others = {folder(target) if "." in folder(target) else target for target in targets}
        graph.setdefault(own, set()).update(others - {own})
    assert cycle(graph) == []


@pytest.mark.parametrize("half", HALVES)
def test_a_half_imports_only_what_it_may(half):
    outside = {(module, target) for module in FILES if module.split(".")[0] == half for target in GRAPH[module]
               if target.split(".")[0] not in ALLOWED[half]
               and not (module.startswith("export.props") and target.startswith(PROPS))}
    assert outside == set()


def test_the_runner_of_tensorrt_does_not_need_its_builder():
    builder = {f"engines.tensorrt.{name}" for name in ("build", "builder", "worker", "network")}
    waiting, reached = ["engines.tensorrt.engine"], set()
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting += GRAPH[module]
    assert reached & builder == set()


def test_no_folder_holds_many_files():
    counts = {}
    for module in FILES:
        counts[folder(module)] = counts.get(folder(module), 0) + (FILES[module].name != "__init__.py")
    assert {name: count for name, count in counts.items() if count > MAX_FILES} == {}
