"""What every test shares: a tiny pack, the real command line on it, what the doctor finds of this machine's packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from meshwright.engines.machine.packages import PACKAGES, PackageProbe, PackageStatus
from meshwright.runtime import Pipeline
from meshwright.runtime.cli import doctor
from meshwright.runtime.cli.build_command import build_missing
from meshwright.runtime.pack.pack import Pack
from tests.importers import node_package
from tests.runtime.simulated_gpu import SimulatedGpu
from tests.runtime.tiny_pack import GRAPHS, build

VALIDATOR = "gltf-validator@2.0.0-dev.3.10"
Cli = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny pack. Copy it before changing anything in it."""
    return build(tmp_path_factory.mktemp("packs") / "tiny")


@pytest.fixture(scope="session")
def pipe(tiny: Path) -> Pipeline:
    """One open pipeline on the tiny pack, on this machine as it is, whatever a test simulates later."""
    pipe = Pipeline.open(tiny, threads=1)
    pipe.prewarm()
    return pipe


@pytest.fixture
def cli(tiny: Path) -> Cli:
    """Runs `meshwright` in a process of its own; `tiny` is known by name."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", *map(str, arguments)]
        environment = {**os.environ, "MESHWRIGHT_PACKS": str(tiny)}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, **options)

    return run


@pytest.fixture
def main(tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Cli:
    """The same without the process, which takes a second to start: for the many ways to be refused."""
    from meshwright.runtime.cli import main as cli

    def run(*arguments: object) -> subprocess.CompletedProcess:
        monkeypatch.setenv("MESHWRIGHT_PACKS", str(tiny))
        try:
            code = cli.main(list(map(str, arguments)))
        except SystemExit as end:
            code = end.code
        return subprocess.CompletedProcess(arguments, code, *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def tried() -> dict[str, PackageStatus]:
    """What the trials of the packages find on this machine, tried once."""
    return {trial.package.name: trial.end() for trial in [PackageProbe(package, doctor.smallest_model()) for package in PACKAGES]}


@pytest.fixture
def again(tried: dict[str, PackageStatus], monkeypatch: pytest.MonkeyPatch) -> dict[str, PackageStatus]:
    """Lets a report take these results over, so that a test of the rest need not wait for them. Change them at will."""
    results = dict(tried)
    monkeypatch.setattr(doctor, "PackageProbe", lambda package, model: SimpleNamespace(
        package=package, end=lambda: results[package.name], stop=lambda: None))
    return results


@pytest.fixture(scope="session")
def khronos_validator():
    """The folder of Khronos' glTF validator, installed with npm into a cache outside the repository."""
    return node_package(VALIDATOR) / "gltf-validator"


@pytest.fixture
def validate(khronos_validator, tmp_path):
    """validate(glb bytes) -> the validator's report, after it was found to hold no error and no warning."""
    def run(data):
        path = tmp_path / "validated.glb"
        path.write_bytes(data)
        script = Path(__file__).with_name("files") / "validate_glb.cjs"
        done = subprocess.run(["node", str(script), str(khronos_validator), str(path)],
                              capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        issues = report["issues"]
        assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]
        return report
    return run


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimulatedGpu:
    """A machine with a simulated GPU and an empty cache of engines."""
    return SimulatedGpu(monkeypatch, tmp_path / "cache")


@pytest.fixture(scope="session")
def engines(tiny: Path, once: Callable[..., Path]) -> Path:
    """A cache with an engine for every component of the tiny pack, each checked."""
    def write(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            simulated = SimulatedGpu(patch, folder)
            build_missing(Pack.open(tiny), "auto", quiet=True)
        assert simulated.built == list(GRAPHS)

    return once("engines-of-tiny", write)


@pytest.fixture
def built(engines: Path, gpu: SimulatedGpu, tmp_path: Path) -> SimulatedGpu:
    """The same machine with those engines."""
    shutil.copytree(engines, tmp_path / "cache")
    return gpu
