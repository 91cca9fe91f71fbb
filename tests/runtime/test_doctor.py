"""`meshwright doctor` on this machine, on broken packs and packages, and on a machine that a pretended driver gives a GPU."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from meshwright.engines import hardware, tensorrt_products
from meshwright.engines.cuda_driver import Driver
from meshwright.engines.engine_key import make_key
from meshwright.engines.engine_verdict import verdict_on, write_verdict
from meshwright.engines.graph_choice import GraphChoice, GraphChoices
from meshwright.engines.packages import PACKAGES, Found, Trial
from meshwright.runtime import OutputError, PackNotFound, doctor, doctor_packs
from meshwright.runtime.doctor import examine
from meshwright.runtime.doctor_page import WIDTH, gigabytes, page
from meshwright.runtime.pack import Pack
from meshwright.runtime.pack_engines import PackEngines, engine_name, files_of, order_of
from meshwright.runtime.ways import Machine, Ways
from tests.engines.pretend_driver import Card, PretendDriver

KEYS = {"meshwright", "python", "host", "driver", "gpus", "no_gpu", "backends", "packs", "disk", "cache", "notes", "problems", "ok"}
HOST = {"system", "processor", "cores", "total_bytes", "available_bytes", "why_not"}
BACKEND = {"name", "gives", "install", "installed", "distributions", "version", "license", "works", "why_not", "providers", "cuda_install"}
PACK = {"name", "folder", "bundled", "error", "version", "recipe", "sha256", "bytes", "hashes_checked", "license", "commercial_use",
        "notes", "sources", "memory", "components"}
COMPONENT = {"name", "kind", "bytes", "precision", "compute", "parameters", "large", "backend", "provider", "why",
             "engine"}
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Forbids what the doctor must not load into its own process, then runs it.
LIGHT = """
import sys
from meshwright.runtime.cli import main
code = main(["doctor", "--pack", "props"])
heavy = {"onnxruntime", "tensorrt", "tensorrt_rtx", "cuda", "torch", "embreex", "xatlas"} & set(sys.modules)
assert not heavy, heavy
sys.exit(code)
"""


@pytest.fixture(scope="module")
def tried():
    """What the trials of the packages find on this machine, tried once."""
    return {trial.package.name: trial.end() for trial in [Trial(package, doctor_packs.smallest_model()) for package in PACKAGES]}


@pytest.fixture
def again(tried, monkeypatch):
    """Lets a report take these results over, so that a test of the rest need not wait for them. Change them at will."""
    results = dict(tried)
    monkeypatch.setattr(doctor, "Trial", lambda package, model: SimpleNamespace(
        package=package, end=lambda: results[package.name], stop=lambda: None))
    return results


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


def run(*arguments, packs=""):
    command = [sys.executable, "-m", "meshwright.runtime.cli", "doctor", *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, "MESHWRIGHT_PACKS": str(packs)}, capture_output=True, text=True, timeout=120)


def test_the_command_says_that_the_bundled_pack_can_run_here():
    ended = run()
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stderr == "" and ended.stdout.endswith("Everything that is installed works.\n")
    for title in ("Machine", "Backends", "Packs", "Disk"):
        assert f"\n{title}\n" in ended.stdout
    assert re.search(r"^  props +2, recipe sharp-it, \d+ MB, every hash fits, ", ended.stdout, re.MULTILINE)
    assert "  backend       onnxruntime, CPUExecutionProvider: every component; there is no GPU\n" in ended.stdout


def test_json_has_the_same_keys_everywhere():
    ended = run("--json")
    assert ended.returncode == 0 and ended.stderr == ""
    told = json.loads(ended.stdout)
    assert set(told) == KEYS and set(told["host"]) == HOST and set(told["driver"]) == {"version", "cuda", "why_not"}
    assert [backend["name"] for backend in told["backends"]] == ["onnxruntime", "tensorrt", "tensorrt_rtx", "cuda-core"]
    assert all(set(backend) == BACKEND for backend in told["backends"])
    (props,) = told["packs"]
    assert set(props) == PACK and props["bundled"] and props["license"] == "Apache-2.0" and props["commercial_use"] == "yes"
    assert len(props["components"]) == 15 and all(set(component) == COMPONENT for component in props["components"])
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


def test_a_broken_pack_is_reported_and_stops_nothing(broken):
    ended = run(packs=broken)
    assert ended.returncode == 1 and ended.stderr == ""
    text = " ".join(ended.stdout.split())
    assert "cut BROKEN: vae_decoder.onnx of pack" in text and "nonsense BROKEN: pack.json is not JSON" in text
    assert "tiny 1, recipe sharp-it" in text and "props 2, recipe sharp-it" in text
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


def test_a_name_that_there_is_no_pack_of():
    ended = run("--pack", "sofa", "--json")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("meshwright: there is no such pack; received sofa") and ended.stderr.count("\n") == 1
    with pytest.raises(PackNotFound):
        examine(["sofa"])


def test_folders_that_are_not_there_are_noted(again, tmp_path, monkeypatch):
    monkeypatch.setenv("MESHWRIGHT_PACKS", str(tmp_path / "gone"))
    told = examine()
    assert told["notes"] == [f"$MESHWRIGHT_PACKS names {tmp_path / 'gone'}, which is no folder"] and told["ok"]


def test_without_the_bundled_pack(again, monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "candidates", list)
    monkeypatch.setattr(doctor_packs, "BUNDLED", tmp_path / "none")
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


@pytest.fixture
def with_cards(again, monkeypatch):
    """A report from a machine with these cards, where ONNX Runtime was found to be like this."""

    def look(*cards, onnxruntime=None, **driver):
        monkeypatch.setattr(hardware, "Driver", lambda: Driver(PretendDriver(*cards, **driver)))
        monkeypatch.setattr(hardware, "driver_version", lambda: "580.65.06")
        again["onnxruntime"] = replace(again["onnxruntime"], **(onnxruntime or {}))
        return examine(["props"])

    return look


def test_a_machine_with_a_gpu(with_cards):
    told = with_cards(Card("NVIDIA RTX 6000", (8, 9), 48_000_000_000, 47_000_000_000))
    assert told["no_gpu"] is None and told["gpus"][0]["compute_capability"] == "8.9"
    text = page(told)
    assert "  GPU 0           NVIDIA RTX 6000, compute capability 8.9, 48.0 GB, of which 47.0 GB free\n" in text
    assert "  driver          580.65.06, runs CUDA up to 13.0\n" in text


def test_cuda_that_starts_and_cuda_that_does_not(with_cards):
    told = with_cards(Card(), onnxruntime={"providers": {CPU: None, CUDA: None}})
    first = told["packs"][0]["components"][0]
    assert told["ok"] and (first["backend"], first["provider"]) == ("onnxruntime", CUDA)
    why = "CUDAExecutionProvider does not run: libraries of CUDA are missing"
    told = with_cards(Card(), onnxruntime={"providers": {CPU: None, CUDA: why}})
    first = told["packs"][0]["components"][0]
    assert told["problems"] == [f"onnxruntime: {why}"] and first["provider"] == CPU
    assert "onnxruntime: its CUDA provider does not start here" in first["why"]
    told = with_cards(init=100, onnxruntime={"providers": {CPU: None, CUDA: why}})
    assert told["ok"] and told["packs"][0]["components"][0]["why"] == "there is no GPU"


def test_engines_of_the_cache_are_matched_to_components(with_cards, again, tmp_path, monkeypatch):
    """Built for this card, driver and pack; whether the golden inputs fit, and how loops are launched, comes with them."""
    monkeypatch.setenv("MESHWRIGHT_CACHE", str(tmp_path))
    monkeypatch.setattr(tensorrt_products, "_has", lambda distribution: True)
    monkeypatch.setattr(tensorrt_products.Product, "is_installed", property(lambda product: product.name == "tensorrt-rtx"))
    monkeypatch.setattr(tensorrt_products.Product, "version", lambda product: "1.7")
    again["tensorrt_rtx"] = Found(PACKAGES[2], ("tensorrt-rtx-cu13",), "1.7")
    unbuilt = with_cards(Card())["packs"][0]["components"][0]
    assert unbuilt["backend"] == "onnxruntime" and unbuilt["engine"] is None
    assert "tensorrt-rtx: no engine is built for it" in unbuilt["why"]
    assert unbuilt["why"].endswith("meshwright build props --backend tensorrt-rtx")

    pack, product = Pack.open("props", verify=False), tensorrt_products.choose("tensorrt-rtx")
    engines, kept = PackEngines(pack, hardware.look()), {}
    engines.loader.cache.folder.mkdir()
    for name in ("refiner_step", "field_color", "vae_decoder"):
        component = pack.manifest.components[name]
        key = make_key(order_of(pack, component, product), files_of(pack, component), engines.hardware)
        kept[name] = engines.loader.cache.store(engine_name(pack, component), key, pack.path(component.file),
                                                lambda out: out.write_bytes(b"a"))
    for name, relative in (("refiner_step", 0.001), ("field_color", 0.9)):
        tolerance = pack.manifest.components[name].tolerance
        write_verdict(kept[name], verdict_on(kept[name], pack.manifest.files["golden.npz"].sha256, relative, tolerance))
    GraphChoices(kept["refiner_step"].path).keep("8 steps", GraphChoice(True, 10.25, 12.5))

    told = with_cards(Card())
    rows = {row["name"]: row for row in told["packs"][0]["components"]}
    drawn = rows["refiner_step"]
    assert (drawn["backend"], drawn["provider"]) == ("tensorrt-rtx", None) and drawn["why"].endswith("has passed the golden inputs")
    assert drawn["engine"]["golden"]["relative"] == 0.001 and drawn["engine"]["bytes"] == 1
    assert rows["vae_decoder"]["why"].endswith("is checked with the golden inputs when it is first used")
    off = rows["field_color"]
    assert off["backend"] == "onnxruntime" and "its engine is off on the golden inputs: relative error 9.0e-01" in off["why"]
    assert rows["prior_step"]["engine"] is None
    assert "refiner_step, 8 steps: one CUDA graph (graph 10.2 ms, plain 12.5 ms)" in " ".join(page(told).split())


def test_an_old_driver_and_two_builds_in_one_folder_are_noted(with_cards):
    told = with_cards(Card(), cuda=12040, onnxruntime={"distributions": ("onnxruntime", "onnxruntime-gpu")})
    assert told["notes"][0].startswith("the driver runs CUDA 12.4 at most")
    assert told["notes"][1].startswith("onnxruntime and onnxruntime-gpu are installed into one folder, where the last one wins")


def test_a_card_that_tensorrt_rtx_does_not_list(with_cards):
    told = with_cards(Card("NVIDIA H200", (9, 0)))
    hopper = Found(PACKAGES[2], ("tensorrt-rtx-cu13",), "1.7")
    machine = hardware.Hardware(hardware.look_at_host(), (hardware.Gpu(**told["gpus"][0]),), "580", "13.0", None)
    assert doctor._idle(hopper, machine) == "compute capability 9.0 is not among those it lists: use tensorrt"
    assert doctor._idle(replace(hopper, package=PACKAGES[1]), machine) is None


@pytest.fixture
def row():
    """The doctor's row of a component of the bundled pack on a machine without a GPU."""
    pack = Pack.open("props", verify=False)
    machine = Machine.of(replace(hardware.look(), gpus=(), no_gpu="no driver"))

    def of(onnxruntime, **changes):
        component = replace(next(iter(pack.manifest.components.values())), **changes)
        return doctor_packs.component_row(pack.manifest, component, onnxruntime, Ways(pack, machine))

    return of


def test_without_onnxruntime_nothing_runs(row):
    missing = row(Found(PACKAGES[0]))
    assert (missing["backend"], missing["provider"]) == (None, None) and missing["why"].endswith("and it is missing")
    torn = row(Found(PACKAGES[0], ("onnxruntime",), "1.31", broken="it is torn"))
    assert torn["backend"] is None and torn["why"].endswith("and it is broken")


def test_half_precision_is_said_to_be_slow_on_a_cpu(row):
    half = row(Found(PACKAGES[0], ("onnxruntime",), "1.31"), compute="fp16")
    assert half["backend"] == "onnxruntime" and "it calculates in half precision, which is slow on a CPU" in half["why"]


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
    cache = pytest.importorskip("meshwright.engines.engine_cache")
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    told = examine(["props"])
    folder = str(cache.default_folder())
    assert told["cache"] == {"folder": folder, "count": 0, "bytes": 0, "damaged": 0, "why_not": None}
    assert [row["what"] for row in told["disk"]] == ["packs", "cache"] and told["disk"][1]["free_bytes"] > 0
    cache.default_folder().mkdir(parents=True)
    (cache.default_folder() / "a.engine").write_bytes(b"short")
    told = examine(["props"])
    assert told["notes"] == [f"1 engines in {folder} are damaged; they are built again when they are needed"] and told["ok"]


def test_an_engine_cache_that_cannot_be_read(again, monkeypatch):
    cache = pytest.importorskip("meshwright.engines.engine_cache")

    def refuse():
        raise OutputError("the engine cache cannot be read")

    monkeypatch.setattr(cache, "describe", refuse)
    told = examine(["props"])
    assert told["ok"] and set(told["cache"]) == {"folder", "count", "bytes", "damaged", "why_not"}
    assert "engine cache unknown (the engine cache cannot be read)" in " ".join(page(told).split())


def test_lines_fit_a_terminal(report):
    long = [line for line in page(report).splitlines() if len(line) > WIDTH]
    assert all(len(line.split()) <= 2 for line in long), long


def test_sizes():
    assert [gigabytes(count) for count in (None, 1_400_000, 949_000_000, 950_000_000, 12_345_000_000)] == [
        "unknown", "1 MB", "949 MB", "0.9 GB", "12.3 GB"]
