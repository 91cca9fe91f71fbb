"""`meshwright doctor` on this machine, and on broken packs and packages."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from meshwright.engines.machine import hardware
from meshwright.engines.machine.packages import PACKAGES, PackageStatus
from meshwright.runtime import OutputError, PackNotFound
from meshwright.runtime.cli import doctor
from meshwright.runtime.cli.doctor import examine
from meshwright.runtime.cli.doctor_page import WIDTH, gigabytes, page
from meshwright.runtime.pack.pack import BUNDLED, Pack
from tests.engines.engines_on_disk import NO_GPU
from tests.without_rights import without_rights

KEYS = {"meshwright", "python", "host", "driver", "gpus", "no_gpu", "backends", "packs", "disk", "cache", "notes", "problems", "ok"}
HOST = {"system", "processor", "cores", "total_bytes", "available_bytes", "why_not"}
BACKEND = {"name", "gives", "install", "installed", "distributions", "version", "license", "works", "why_not", "providers", "cuda_install"}
PACK = {"name", "folder", "bundled", "error", "version", "recipe", "sha256", "bytes", "hashes_checked", "trusted", "license",
        "commercial_use", "notes", "sources", "memory", "gpu_memory", "components"}
COMPONENT = {"name", "kind", "bytes", "precision", "compute", "parameters", "large", "backend", "provider", "why",
             "engine"}
# Of the bundled pack.
VERSION = json.loads((BUNDLED / "props" / "pack.json").read_text())["version"]
# Forbids what the doctor must not load into its own process, then runs it.
LIGHT = """
import sys
from meshwright.runtime.cli.main import main
code = main(["doctor", "--pack", "props"])
heavy = {"onnxruntime", "tensorrt", "tensorrt_rtx", "cuda", "torch", "embreex"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


@pytest.fixture
def report(again):
    """A report on this machine and the bundled pack."""
    return examine(["props"])


@pytest.fixture
def broken(tiny, tmp_path):
    """A folder with a pack that lost a part of a file, one that is no pack at all, and one that is whole."""
    for name in ("cut", "whole"):
        shutil.copytree(tiny, tmp_path / "packs" / name)
    (tmp_path / "packs/cut/vae_decoder.onnx").write_bytes(b"short")
    (tmp_path / "packs/nonsense").mkdir()
    (tmp_path / "packs/nonsense/pack.json").write_text("{")
    return tmp_path / "packs"


def run(*arguments):
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "doctor", *arguments]
    return subprocess.run(command, env={**os.environ, "MESHWRIGHT_PACKS": ""}, capture_output=True, text=True, timeout=120)


def test_the_command_says_that_the_bundled_pack_can_run_here():
    ended = run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == "" and ended.stdout.endswith("Everything that is installed works.\n")
    for title in ("Machine", "Backends", "Packs", "Disk"):
        assert f"\n{title}\n" in ended.stdout
    assert re.search(rf"^  props +{VERSION}, recipe sharp-it, \d+ MB, every hash fits, ", ended.stdout, re.MULTILINE)
    assert "  backend       onnxruntime, CPUExecutionProvider: every component; there is no GPU\n" in ended.stdout


def test_json_has_the_same_keys_everywhere(main, again):
    ended = main("doctor", "--pack", "props", "--json")
    assert ended.returncode == 0 and ended.stderr == ""
    told = json.loads(ended.stdout)
    assert set(told) == KEYS and set(told["host"]) == HOST and set(told["driver"]) == {"version", "cuda", "why_not"}
    assert [backend["name"] for backend in told["backends"]] == ["onnxruntime", "tensorrt", "tensorrt_rtx", "cuda-core"]
    assert all(set(backend) == BACKEND for backend in told["backends"])
    (props,) = told["packs"]
    assert set(props) == PACK and props["bundled"] and props["license"] == "Apache-2.0" and props["commercial_use"] == "yes"
    assert len(props["components"]) == 20 and all(set(component) == COMPONENT for component in props["components"])
    assert set(props["memory"]) == {"normal", "low", "lowest", "advice", "largest_file"} and props["memory"]["advice"] == "normal"
    assert {row["what"] for row in told["disk"]} >= {"packs"} and told["disk"][0]["free_bytes"] > 0


def test_it_takes_little_and_loads_nothing_heavy():
    """Processor time, its trials included: what the clock says depends on what else the machine does."""
    began = os.times()
    ended = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    spent = os.times()
    assert spent.children_user + spent.children_system - began.children_user - began.children_system < 2


def test_each_missing_package_comes_with_its_install_line(report):
    for backend in report["backends"]:
        assert backend["install"].startswith("pip install ")
        if not backend["installed"]:
            assert backend["install"] in " ".join(page(report).split())


def test_a_broken_pack_is_reported_and_stops_nothing(main, again, broken):
    folders = [broken / name for name in ("cut", "nonsense", "whole")]
    ended = main("doctor", *[part for folder in (*folders, "props") for part in ("--pack", folder)])
    assert ended.returncode == 1 and ended.stderr == ""
    text = " ".join(ended.stdout.split())
    assert "cut BROKEN: vae_decoder.onnx of pack" in text and "nonsense BROKEN: pack.json is not JSON" in text
    assert "tiny 1, recipe sharp-it" in text and f"props {VERSION}, recipe sharp-it" in text
    assert "Something is broken: see Problems." in text


def test_the_rest_of_the_packs_are_looked_at(again, broken, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(broken))
    told = examine()
    assert [bool(row["error"]) for row in told["packs"]] == [True, True, False, False]
    assert len(told["problems"]) == 2 and not told["ok"]


def test_a_pack_that_cannot_be_read(broken, again, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError("not for you")

    monkeypatch.setattr(Pack, "open", refuse)
    assert examine([str(broken / "whole")])["problems"][-1] == f"pack {broken / 'whole'}: not for you"


def test_named_packs_only(again, broken):
    told = examine([str(broken / "whole"), "props"])
    assert [row["name"] for row in told["packs"]] == ["tiny", "props"] and told["ok"]
    assert [row["bundled"] for row in told["packs"]] == [False, True]


def test_a_name_that_there_is_no_pack_of(main):
    ended = main("doctor", "--pack", "sofa", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("meshwright: no such pack; received sofa") and ended.stderr.count("\n") == 1
    with pytest.raises(PackNotFound):
        examine(["sofa"])


def test_folders_that_are_not_there_are_noted(again, tmp_path, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(tmp_path / "gone"))
    told = examine()
    assert told["notes"] == [f"$MESHWRIGHT_PACKS names {tmp_path / 'gone'}, which is not a folder"] and told["ok"]


def test_without_the_bundled_pack(again, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "installed_packs", list)
    monkeypatch.setattr(doctor, "BUNDLED", tmp_path / "none")
    told = examine()
    assert told["packs"] == [] and any(problem.startswith("the bundled pack is missing from") for problem in told["problems"])
    assert "none found" in page(told)


def test_a_broken_package_is_a_problem(tmp_path, monkeypatch):
    (tmp_path / "tensorrt.py").write_text("import tensorrt_libs")
    (tmp_path / "tensorrt_cu13-11.4.dist-info").mkdir()
    (tmp_path / "tensorrt_cu13-11.4.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: tensorrt-cu13\nVersion: 11.4\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = run("--pack", "props")
    assert ended.returncode == 1 and "Traceback" not in ended.stdout + ended.stderr
    assert "tensorrt 11.4: BROKEN: it cannot be imported: the libraries of TensorRT are missing" in " ".join(ended.stdout.split())


def test_too_little_memory_for_the_bundled_pack(again, monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: 100_000_000)
    told = examine(["props"])
    assert told["packs"][0]["memory"]["normal"]["enough"] is False and told["packs"][0]["memory"]["advice"] is None
    assert told["problems"] == ["pack props: the memory is too little, even with --memory lowest"]
    assert "TOO LITTLE is available: 100 MB" in page(told)


def test_what_a_system_does_not_say_is_said(again, monkeypatch):
    monkeypatch.setattr(hardware, "available_bytes", lambda: None)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda folder: (_ for _ in ()).throw(OSError("no such device")))
    told = examine(["props"])
    assert told["host"]["available_bytes"] is None and told["ok"]
    text = page(told)
    assert "of which unknown (this system does not say) available" in text and "what is available is not known" in text
    assert "free space unknown (no such device)" in text


def test_a_large_pack_is_described_with_what_each_way_takes(report):
    memory = {"normal": {"bytes": 16_800_000_000, "enough": False}, "low": {"bytes": 6_000_000_000, "enough": False},
              "lowest": {"bytes": 5_700_000_000, "enough": True}, "advice": "lowest", "largest_file": 1_730_000_000}
    large = {"name": "refiner_step", "bytes": 1_730_000_000, "precision": "fp16", "large": True}
    components = [{**report["packs"][0]["components"][0], **large}]
    row = {**report["packs"][0], "memory": memory, "components": components, "hashes_checked": False}
    text = " ".join(page({**report, "packs": [row]}).split())
    assert "about 16.8 GB with --memory normal, 6.0 GB with --memory low, 5.7 GB with --memory lowest; --memory lowest fits into" in text
    assert "lowest reads up to 1.7 GB again in each step unless that fits too" in text
    assert "large refiner_step 1.7 GB fp16" in text and "hashes not checked, that is what meshwright verify props does" in text


def test_the_engine_cache(again, tmp_path, monkeypatch):
    cache = pytest.importorskip("meshwright.engines.cache.cache")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    told = examine(["props"])
    folder = str(cache.default_folder())
    assert told["cache"] == {"folder": folder, "count": 0, "bytes": 0, "damaged": 0, "why_not": None}
    assert [row["what"] for row in told["disk"]] == ["packs", "cache"] and told["disk"][1]["free_bytes"] > 0
    cache.default_folder().mkdir(parents=True)
    (cache.default_folder() / "a.engine").write_bytes(b"short")
    told = examine(["props"])
    assert told["notes"] == [f"1 engines in {folder} are damaged; they are rebuilt when needed"] and told["ok"]


def test_an_engine_cache_that_cannot_be_read(again, monkeypatch):
    cache = pytest.importorskip("meshwright.engines.cache.cache")

    def refuse():
        raise OutputError("the engine cache cannot be read")

    monkeypatch.setattr(cache, "default_folder", refuse)
    told = examine(["props"])
    assert told["ok"] and set(told["cache"]) == {"folder", "count", "bytes", "damaged", "why_not"}
    assert "engine cache unknown (the engine cache cannot be read)" in " ".join(page(told).split())


@pytest.mark.skipif(os.name != "posix", reason="folders are not closed by their mode there")
def test_folders_that_may_not_be_looked_into(tmp_path, monkeypatch):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(closed / "packs"))
    founds = {"onnxruntime": PackageStatus(PACKAGES[0], ("onnxruntime",))}
    with without_rights(tmp_path):
        (row,) = doctor._disks([], {"folder": str(closed / "cache/engines")})
        assert row["free_bytes"] > 0 and row["why_not"] is None
        (note,) = doctor._notes(founds, NO_GPU, {"damaged": 0})
    assert note.endswith(f"names {closed / 'packs'}, which is not a folder")


def test_lines_fit_a_terminal(report):
    long = [line for line in page(report).splitlines() if len(line) > WIDTH]
    assert all(len(line.split()) <= 2 for line in long), long


def test_sizes():
    assert [gigabytes(count) for count in (None, 1_400_000, 949_000_000, 950_000_000, 12_345_000_000)] == [
        "unknown", "1 MB", "949 MB", "0.9 GB", "12.3 GB"]
