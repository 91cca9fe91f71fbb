"""Whole runs of the pack on a card."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from meshwright.engines.cache.cache import Entry, read_header
from meshwright.engines.errors import BackendUnavailable
from meshwright.engines.machine.products import choose
from meshwright.engines.onnxruntime.weights import ModelWeights
from meshwright.runtime import Cancelled, InputError, Pipeline, StageDone, Step
from meshwright.runtime.backends.models import Models
from meshwright.runtime.files.gltf.writer import glb_bytes
from meshwright.runtime.geometry.distance import deviation
from meshwright.runtime.pack.golden import Golden
from tests.gpu.conftest import PACK

# Few steps, and no finer a texture than tells a difference.
FAST = {"seed": 3, "steps": 2, "prior_steps": 4, "texture": 64, "faces": 1000, "texture_from": "field"}
PROMPT = "a red chair"


def make(pipeline, **more):
    return pipeline.generate(PROMPT, **{**FAST, **more})


@pytest.fixture(scope="module")
def whole(pipeline):
    """What a run makes."""
    return make(pipeline)


def test_a_run_gives_the_processors_mesh_and_the_same_one_again(pipeline, whole, backend):
    with Pipeline.open(PACK, trust=True, providers=("CPUExecutionProvider",)) as on_cpu:
        expected = make(on_cpu)
    first, again, other = whole, make(pipeline), make(pipeline, seed=4)
    used = {str(candidate) for candidate in pipeline.models.backends.used.values()}
    assert used == {"onnxruntime (CUDAExecutionProvider)" if backend == "onnxruntime" else backend}
    mean, _ = deviation(first.mesh, expected.mesh, 1000)
    size = np.ptp(expected.mesh.vertices, axis=0).max()
    assert mean < 0.01 * size
    assert glb_bytes(first.mesh) == glb_bytes(again.mesh) != glb_bytes(other.mesh)
    assert first.device_memory and min(first.device_memory.values()) > 0
    assert max(first.device_memory.values()) <= pipeline.models.backends.memory.cuda.free_bytes()[1]


def test_two_pipelines_on_two_threads(open_pipeline, whole):
    pipelines = [open_pipeline(), open_pipeline()]
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(make, pipelines))
    assert [glb_bytes(each.mesh) for each in made] == [glb_bytes(whole.mesh)] * 2


def test_a_run_that_is_cancelled_and_a_pipeline_that_is_closed(pipeline, whole):
    def stop(event):
        if isinstance(event, Step) and event.stage != "coarse shape":
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        make(pipeline, on_event=stop)
    assert glb_bytes(make(pipeline).mesh) == glb_bytes(whole.mesh)
    events = pipeline.stream(PROMPT, **FAST)
    next(events)
    pipeline.close()
    with pytest.raises(Cancelled):
        next(events)
    assert pipeline.models.backends.memory is None
    assert glb_bytes(make(pipeline).mesh) == glb_bytes(whole.mesh)  # it is opened anew


def test_low_memory_gives_memory_back(open_pipeline, monkeypatch):
    monkeypatch.setattr(Models, "_is_large", lambda models, kind: True)
    pipeline = open_pipeline(memory="low")
    held = []
    for event in pipeline.stream(PROMPT, **FAST):
        if isinstance(event, StageDone) and pipeline.models.backends.memory is not None:
            held.append(pipeline.models.backends.memory.held_bytes)
    assert pipeline.models._engines == {} and max(held) < 16 << 20  # a latent or the planes


def test_a_run_stays_below_a_limit(open_pipeline, whole):
    with pytest.raises(InputError, match="does not fit"):
        open_pipeline(vram="300M")
    made = make(open_pipeline(vram="2G"))
    assert max(made.device_memory.values()) < 2 << 30 and glb_bytes(made.mesh) == glb_bytes(whole.mesh)


def write_lora(path, layer, shape):
    """A LoRA of rank 2 for a convolution, without the package that writes such files: it may be missing where a card is."""
    rng, header, content = np.random.default_rng(0), {}, b""
    for part, size in (("A", (2, *shape[1:])), ("B", (shape[0], 2, 1, 1))):
        values = rng.standard_normal(size).astype("<f4").tobytes()
        header[f"{layer}.lora_{part}.weight"] = {"dtype": "F32", "shape": size, "data_offsets": [len(content), len(content) + len(values)]}
        content += values
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    return path


def test_a_lora_on_and_off_restores_every_bit(pipeline, pack, tmp_path):
    model = pack.path(pack.component("refiner_step").file)
    stored = ModelWeights(model).stored
    name = next(name for name, tensor in stored.items() if name.endswith(".weight") and len(tensor.shape) == 4)
    layer = name.removeprefix("module.net.").removesuffix(".weight")
    lora = write_lora(tmp_path / "lora.safetensors", layer, stored[name].shape)
    inputs = Golden(pack).inputs(pack.component("refiner_step"))
    before = pipeline.models.run("refiner_step", **inputs)["latent_next"]
    pipeline.load_lora(lora, 0.5, "refiner_step")
    changed = pipeline.models.run("refiner_step", **inputs)["latent_next"]
    pipeline.unload_lora()
    after = pipeline.models.run("refiner_step", **inputs)["latent_next"]
    assert not np.array_equal(changed, before) and np.array_equal(after, before)


def test_an_engine_for_another_card_is_refused_by_its_name(open_pipeline, backend, own_cache):
    if backend == "onnxruntime" or choose(backend).is_portable:
        pytest.skip("the backend has no engines of its own" if backend == "onnxruntime" else "its engines run on other cards too")
    built = list(own_cache.rglob("*.engine"))
    assert built
    for path in built:
        entry = read_header(path)
        assert isinstance(entry, Entry)
        content = path.read_bytes()
        name = entry.key.device.encode()
        path.write_bytes(content[:entry.offset].replace(name, b"Imaginary 9000".ljust(len(name))[:len(name)]) + content[entry.offset:])
    with pytest.raises(BackendUnavailable, match="the engine's is Imaginary"):
        make(open_pipeline())
