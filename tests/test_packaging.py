"""The wheel holds everything, and installed alone it stays small and free of the training stack."""

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOTS = {"engines": "meshwright.engines", "runtime": "meshwright.runtime", "export": "meshwright.export"}
TRAINING = ("torch", "diffusers", "transformers", "onnxscript", "tokenizers", "huggingface_hub", "numba", "scipy")


def sources():
    """Every module of the three folders, relative to the root."""
    return sorted(path.relative_to(ROOT) for folder in ROOTS for path in (ROOT / folder).rglob("*.py"))


def installed(path):
    """Where a file or folder of the repository lies in the wheel. The client is no part of the runtime, which it does not import."""
    return re.sub("^meshwright/runtime/client", "meshwright/client", f"meshwright/{path.as_posix()}")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that nothing is left in the working tree."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for folder in ROOTS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(out), str(copy)], check=True, capture_output=True, timeout=600)
    return next(out.iterdir())


def test_every_package_is_listed():
    folders = {path.parent for path in sources()}
    expected = {installed(folder).replace("/", ".") for folder in folders}
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert set(listed) == expected and len(listed) == len(set(listed))


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_pack(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packs = [path.relative_to(ROOT) for path in (ROOT / "runtime/packs").rglob("*") if path.is_file()]
    matting = [path.relative_to(ROOT) for path in (ROOT / "runtime/images").glob("u2netp.*")]
    assert {path.suffix for path in matting} == {".onnx", ".LICENSE", ".md"}
    typed = [Path(folder, "py.typed") for folder in ROOTS]
    page = [path.relative_to(ROOT) for path in (ROOT / "runtime/server/static").rglob("*") if path.is_file()]
    missing = {installed(path) for path in [*sources(), *packs, *matting, *typed, *page]} - names
    assert not missing
    for licence in ("LICENSE", "runtime/images/u2netp.LICENSE"):
        assert any(name.endswith(f"licenses/{licence}") for name in names)
    information = wheel.name.removesuffix("-py3-none-any.whl") + ".dist-info"
    assert {name.split("/")[0] for name in names} == {"meshwright", information}


def test_torch_is_pinned_exactly():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [need for need in extras["export"] if need.startswith("torch")] == ["torch==2.13.0"]


def test_the_readme_and_ci_run_the_same_command():
    readme, ci = (ROOT / "README.md").read_text(), (ROOT / ".ci/run").read_text()
    command = next(line for line in ci.splitlines() if "pytest" in line and not line.startswith("#"))
    assert re.search(rf"^    {re.escape(command)}$", readme, re.MULTILINE)


@pytest.fixture(scope="module")
def fresh(wheel, tmp_path_factory):
    """The python of an environment into which only the wheel and its requirements were installed."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=True)
    python = folder / "bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel)], check=True, capture_output=True, timeout=600)
    return python


@pytest.mark.slow
def test_installed_alone_it_is_small(fresh):
    """400 MB for the bundled pack and all requirements; pip itself, which a venv brings, does not count."""
    packages = next((fresh.parent.parent / "lib").glob("python*/site-packages"))
    own = [entry for entry in packages.iterdir() if not entry.name.startswith(("pip", "setuptools", "_distutils"))]
    megabytes = sum(path.stat().st_size for entry in own for path in (entry, *entry.rglob("*"))) / 1e6
    assert 50 < megabytes < 400
    installed = {path.name for path in packages.iterdir()}
    assert installed.isdisjoint(TRAINING)


@pytest.mark.slow
def test_installed_alone_it_makes_a_mesh(fresh, tmp_path):
    from tests.runtime.tiny_pack import build

    command = [fresh.parent / "meshwright", "generate", "a red chair", "--pack", build(tmp_path / "tiny"), "--texture",
               "64", "-o", tmp_path / "chair.glb"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "chair.glb").read_bytes()[:4] == b"glTF"
