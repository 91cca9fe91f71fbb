"""What the doctor says would run each component: without a GPU, and on a machine that a simulated driver gives one."""

from dataclasses import replace

import pytest

from meshwright.engines.cache.record import BlockChoice, GoldenResult
from meshwright.engines.cuda.driver import Driver
from meshwright.engines.cuda.nvml import Nvml
from meshwright.engines.machine import hardware
from meshwright.engines.machine import products as tensorrt_products
from meshwright.engines.machine.packages import PACKAGES, PackageStatus
from meshwright.runtime.backends.candidates import Machine
from meshwright.runtime.backends.pack_engines import PackEngines, engine_name
from meshwright.runtime.backends.selector import BackendSelector
from meshwright.runtime.cli import doctor
from meshwright.runtime.cli.doctor import examine
from meshwright.runtime.cli.doctor_page import page
from meshwright.runtime.pack.pack import Pack
from tests.engines.simulated_driver import Card, SimulatedDriver, SimulatedNvml

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.fixture
def with_cards(again, monkeypatch):
    """A report from a machine with these cards, where ONNX Runtime was found to be like this."""

    def look(*cards, onnxruntime=None, **driver):
        monkeypatch.setattr(hardware, "Driver", lambda: Driver(SimulatedDriver(*cards, **driver)))
        monkeypatch.setattr(hardware, "Nvml", lambda: Nvml(SimulatedNvml(*cards)))
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
    again["tensorrt_rtx"] = PackageStatus(PACKAGES[2], ("tensorrt-rtx-cu13",), "1.7")
    unbuilt = with_cards(Card())["packs"][0]["components"][0]
    assert unbuilt["backend"] == "onnxruntime" and unbuilt["engine"] is None
    assert "tensorrt-rtx: no engine is built for it" in unbuilt["why"]
    assert unbuilt["why"].endswith("meshwright build props --backend tensorrt-rtx")

    pack, product = Pack.open("props", verify=False), tensorrt_products.choose("tensorrt-rtx")
    engines, kept = PackEngines(pack, hardware.detect_hardware()), {}
    engines.loader.cache.folder.mkdir()
    for name in ("refiner_step", "field_color", "vae_decoder"):
        component = pack.manifest.components[name]
        kept[name] = engines.loader.cache.store(engine_name(pack, component), engines.key(product, component), pack.path(component.file),
                                                lambda out: out.write_bytes(b"a"))
    for name, relative in (("refiner_step", 0.001), ("field_color", 0.9)):
        tolerance = pack.manifest.components[name].tolerance
        result = GoldenResult.of(pack.manifest.files["golden.npz"].sha256, relative, tolerance)
        engines.record(kept[name]).keep_golden_result(result)
    engines.record(kept["refiner_step"]).keep_loop("x 3", BlockChoice(8, 50.0, 10.25, 12.5))

    told = with_cards(Card())
    rows = {row["name"]: row for row in told["packs"][0]["components"]}
    drawn = rows["refiner_step"]
    assert (drawn["backend"], drawn["provider"]) == ("tensorrt-rtx", None) and drawn["why"].endswith("has passed the golden inputs")
    assert drawn["engine"]["golden"]["relative"] == 0.001 and drawn["engine"]["bytes"] == 1
    assert rows["vae_decoder"]["why"].endswith("is checked with the golden inputs when it is first used")
    differing = rows["field_color"]
    assert differing["backend"] == "onnxruntime"
    assert "its results differ from the golden outputs by more than the tolerance: relative error 9.0e-01" in differing["why"]
    assert rows["prior_step"]["engine"] is None
    assert "refiner_step, x 3: 8 steps a CUDA graph (graph 10.2 ms, plain 12.5 ms)" in " ".join(page(told).split())


def test_an_old_driver_and_two_builds_in_one_folder_are_noted(with_cards):
    told = with_cards(Card(), cuda=12040, onnxruntime={"distributions": ("onnxruntime", "onnxruntime-gpu")})
    assert told["notes"][0].startswith("the driver runs CUDA 12.4 at most")
    assert told["notes"][1].startswith("onnxruntime and onnxruntime-gpu are installed into one folder, where the last one wins")


def test_a_card_that_tensorrt_rtx_does_not_list(with_cards):
    told = with_cards(Card("NVIDIA H200", (9, 0)))
    hopper = PackageStatus(PACKAGES[2], ("tensorrt-rtx-cu13",), "1.7")
    machine = hardware.Hardware(hardware._detect_host(), (hardware.Gpu(**told["gpus"][0]),), "580", "13.0", None)
    assert doctor._idle(hopper, machine) == "compute capability 9.0 is not among those it lists: use tensorrt"
    assert doctor._idle(replace(hopper, package=PACKAGES[1]), machine) is None


@pytest.fixture
def row():
    """The doctor's row of a component of the bundled pack on a machine without a GPU."""
    pack = Pack.open("props", verify=False)
    machine = Machine.of(replace(hardware.detect_hardware(), gpus=(), no_gpu="no driver"))

    def of(onnxruntime, **changes):
        component = replace(next(iter(pack.manifest.components.values())), **changes)
        return doctor.component_row(pack.manifest, component, onnxruntime, BackendSelector(pack, machine=machine))

    return of


def test_without_onnxruntime_nothing_runs(row):
    missing = row(PackageStatus(PACKAGES[0]))
    assert (missing["backend"], missing["provider"]) == (None, None) and missing["why"].endswith("and it is missing")
    torn = row(PackageStatus(PACKAGES[0], ("onnxruntime",), "1.31", broken="it is torn"))
    assert torn["backend"] is None and torn["why"].endswith("and it is broken")


def test_half_precision_is_said_to_be_slow_on_a_cpu(row):
    half = row(PackageStatus(PACKAGES[0], ("onnxruntime",), "1.31"), compute="fp16")
    assert half["backend"] == "onnxruntime" and "it calculates in half precision, which is slow on a CPU" in half["why"]
