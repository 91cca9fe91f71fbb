"""Estimates of memory against what full-size files took when they were measured."""

from dataclasses import replace

import pytest

from meshwright.engines import EngineSpec, TensorSpec
from meshwright.runtime import InputError
from meshwright.runtime.backends.memory_needs import (
    GPU_CONTEXT,
    activations,
    advice,
    check_fits,
    gpu_needs,
    largest_file,
    needs,
    on_gpu,
    read_size,
    size_text,
)
from meshwright.runtime.pack.pack import Pack

# Of the sharp-it pack in FP16: parameters, bytes of the file, largest picture, and the peak of a process that ran it alone.
MEASURED = {"text_encoder": (340_393_857, 681_500_000, None, 1.741e9), "prior_step": (315_692_576, 632_200_000, None, 1.891e9),
            "vae_encoder": (34_163_687, 68_400_000, (1, 3, 960, 640), 3.225e9),
            "refiner_step": (865_922_555, 1_733_500_000, (1, 4, 120, 80), 6.118e9),
            "vae_decoder": (49_490_226, 99_100_000, (1, 3, 960, 640), 5.030e9)}


@pytest.fixture(scope="module")
def props():
    return Pack.open("props", verify=False).manifest


def shaped(props, *names, precision="fp16"):
    """The bundled pack's manifest with full-size components in place of its own."""
    kind, entry = next(iter(props.components.values())), next(iter(props.files.values()))
    components, files = {}, {}
    for name in names:
        parameters, size, picture, _ = MEASURED[name]
        halves = (TensorSpec("states", "float32", (2, 77, 1024)),) if name == "refiner_step" else ()
        tensors = (TensorSpec("image", "float32", picture or ("batch", 77)), *halves)
        components[name] = replace(kind, name=name, kind=name, file=f"{name}.onnx", parameters=parameters, precision=precision,
                                   spec=EngineSpec(tensors, ()))
        files[f"{name}.onnx.data"] = replace(entry, bytes=size)
    return replace(props, components=components, files=files)


@pytest.mark.parametrize("name", MEASURED)
def test_one_component_takes_about_what_was_measured(props, name):
    estimate = needs(shaped(props, name))["low"]
    assert 0.95 < estimate / MEASURED[name][3] < 1.6


def test_weights_in_8_bits_take_as_much_as_halves_once_they_are_open(props):
    halves, eighths = (shaped(props, "refiner_step", precision=precision) for precision in ("fp16", "int8"))
    size = MEASURED["refiner_step"][1]
    smaller = replace(eighths, files={name: replace(entry, bytes=size // 2) for name, entry in eighths.files.items()})
    assert needs(halves)["low"] - needs(smaller)["low"] == size - size // 2  # that of the file, read while it is opened
    assert needs(halves)["lowest"] == needs(smaller)["lowest"]


def test_ways_to_save_memory(props):
    whole = shaped(props, *MEASURED)
    needed = needs(whole)
    assert needed["normal"] > 2 * sum(size for _, size, _, _ in MEASURED.values())
    refiner = needs(shaped(props, "refiner_step"))
    assert needed["low"] == refiner["low"] == refiner["normal"]
    assert needed["lowest"] < needed["low"] < needed["normal"] / 2
    assert largest_file(whole) == 1_733_500_000


def test_a_small_pack_takes_the_same_in_every_way(props):
    needed = needs(props)
    assert len(set(needed.values())) == 1 and 530e6 < needed["normal"] < 1e9  # 530 MB were measured
    assert largest_file(props) == 0


def test_activations_grow_with_pictures_and_width(props):
    encoder, decoder = (shaped(props, name).components[name] for name in ("text_encoder", "vae_decoder"))
    assert activations(encoder) == 0
    assert activations(decoder) == round(1.2 * 960 * 640 * 49_490_226 ** 0.5)


def test_the_first_way_that_fits():
    needed = {"normal": 16, "low": 6, "lowest": 5}
    assert [advice(needed, available) for available in (20, 16, 15, 5, 4, None)] == ["normal", "normal", "low", "lowest", None, None]


def test_on_a_gpu_weights_are_held_as_they_are_calculated_with(props):
    size, drawing = MEASURED["refiner_step"][1], activations(shaped(props, "refiner_step").components["refiner_step"])
    expected = {("fp32", "fp32"): size, ("fp16", "fp32"): 2 * size, ("fp16", "fp16"): size, ("int8", "fp32"): 4 * size}
    for (precision, compute), held in expected.items():
        manifest = shaped(props, "refiner_step", precision=precision)
        component = replace(manifest.components["refiner_step"], compute=compute)
        assert on_gpu(manifest, component) == (held, drawing)


def test_what_a_pack_takes_of_a_gpu(props):
    manifest = shaped(props, "prior_step", "refiner_step")
    (prior, _), (refiner, drawing) = (on_gpu(manifest, each) for each in manifest.components.values())
    assert gpu_needs(manifest) == {"everything": GPU_CONTEXT + prior + refiner + drawing, "least": GPU_CONTEXT + refiner + drawing}
    check_fits(manifest, GPU_CONTEXT + refiner + drawing)
    with pytest.raises(InputError, match=r"does not fit into that much GPU memory; received 2\.0G; expected about 4\.\dG at least, "
                                         r"for refiner_step; vram 4\.\dG, or run it on the processor"):
        check_fits(manifest, 2 << 30)


@pytest.mark.parametrize("text, size", [("6G", 6 << 30), ("1.5g", 3 << 29), ("800M", 800 << 20), ("800 MiB", 800 << 20), (5000, 5000),
                                        ("1GB", 1 << 30)])
def test_sizes_of_memory(text, size):
    assert read_size(text) == size <= read_size(size_text(size))


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "6T", "1e9", "nan", "6 G B", True, "9" * 400])
def test_what_is_no_size_of_memory(text):
    with pytest.raises(InputError, match="a size of memory"):
        read_size(text)
