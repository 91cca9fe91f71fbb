"""The full-size benchmark: what it reads from the export command, its PyTorch side, its page, and that it goes on where it stopped."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.full_size import __main__ as full_size
from benchmarks.full_size import published, quality, runs, side
from benchmarks.full_size.job import Job
from benchmarks.full_size.sizes import FULL, SMALL
from meshwright.export.cli import build_parser
from meshwright.export.pack.events import ComponentDone, ComponentStarted
from meshwright.export.pack.parity import Error
from meshwright.export.pack.progress import Lines
from meshwright.runtime.cli import main as cli

GIB = 1 << 30


@pytest.mark.parametrize("error, peak", [(Error(0.1, 3e-6), 9_100_000_000), (None, None)])
def test_the_lines_of_the_export_command_are_understood(error, peak):
    said = io.StringIO()
    lines = Lines(said, 12)
    lines(ComponentStarted("refiner_step", 9, None))
    lines(ComponentDone("refiner_step", 9, None, 865_922_244, 1_732_500_000, 61.04, error, peak))
    started, done = said.getvalue().splitlines()
    assert runs.DONE.match(started) is None
    facts = runs._facts(runs.DONE.match(done))
    assert facts == {"parameters": 865_922_244, "bytes": 1.7325e9, "error": error and 3e-6, "seconds": 61.0, "peak_bytes": peak and 9.1e9}


def test_the_peak_of_a_process_is_that_of_its_largest_part():
    assert runs.highest(3, [5, None, 4]) == 5 and runs.highest(6, [5, None]) == 6


@pytest.mark.parametrize("sizes", [SMALL, FULL])
@pytest.mark.parametrize("pack", full_size.PACKS)
def test_the_commands_take_the_arguments(pack, sizes, tmp_path):
    job = Job(pack, "fp16", sizes, tmp_path / "published", tmp_path)
    options = build_parser().parse_args(job.export_arguments())
    assert options.recipe == job.recipe and options.view_size == sizes.view and options.output == tmp_path / f"{pack}-fp16"
    assert bool(options.instantnerf) == (job.variant == "nerf") and set(job.published) <= set(published.LAYOUTS)
    asked = cli.build_parser().parse_args(["generate", *job.generate_arguments(tmp_path / "a.png", tmp_path / "a.glb")])
    assert asked.steps == 2 and bool(asked.image) == (job.recipe == "instantmesh")


def test_the_plan_has_the_choices_of_the_command(tmp_path):
    for pack in ("sharp-it", "instantmesh-nerf"):
        job = Job(pack, "fp32", SMALL, tmp_path / "published", tmp_path)
        job.files.mkdir(exist_ok=True)
        published.write(job.files, SMALL, job.published)
        plan, options = job.plan(), build_parser().parse_args(job.export_arguments())
        assert plan.choices["view_size"] == 64 and plan.choices["grid_resolution"] == options.grid_resolution == 32


@pytest.fixture
def task(tmp_path):
    job = Job("sharp-it", "fp16", SMALL, tmp_path / "published", tmp_path)
    job.files.mkdir()
    published.write(job.files, SMALL, job.published)
    return {"pack": job.pack, "precision": job.precision, "size": "small", "files": str(job.files), "folder": str(tmp_path),
            "kind": "field_color", "threads": 1, "scratch": str(tmp_path)}


def test_the_pytorch_side_runs_the_module_and_leaves_its_tensors(task, tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setitem(side.LENGTHS, "points", 50)
    eager = side.Side("eager", task)
    first, second = eager.run(), eager.run()
    torch.set_num_threads(threads)
    assert first["ms"][0] > 0 and second["ms"][0] > 0 and first["error"] == second["error"] == 0
    with np.load(tmp_path / "inputs.npz") as inputs, np.load(tmp_path / "outputs.npz") as outputs:
        assert inputs["points"].shape == outputs["color"].shape == (1, 50, 3)
        color = outputs["color"]
    assert side.relative_error({"color": color}, tmp_path) == 0
    off = np.array(color)
    off[0, 0, 0] += 0.5 * np.abs(color).max()
    assert side.relative_error({"color": off}, tmp_path) == pytest.approx(0.5)


def test_a_component_that_the_plan_lacks(task):
    with pytest.raises(SystemExit, match="sharp-it-fp16 has no component views_step"):
        side.job_of(task | {"kind": "views_step"}).component("views_step")


def test_the_picture_is_a_ball_on_nothing(tmp_path):
    runs.write_picture(tmp_path / "picture.png", 64)
    pixels = np.asarray(Image.open(tmp_path / "picture.png"))
    assert pixels.shape == (64, 64, 4) and pixels[0, 0, 3] == 0 and pixels[32, 32].tolist()[3] == 255
    assert (pixels[..., 3] > 0).mean() == pytest.approx(np.pi * 0.16, abs=0.02)


def test_the_hash_is_of_the_mesh_and_not_of_the_timings():
    def glb(told):
        return b"glTF" + bytes(8) + len(told).to_bytes(4, "little") + b"JSON" + told + b"data"

    assert runs._binary_chunk(glb(b"{}  ")) == runs._binary_chunk(glb(b'{"seconds":1}')) == b"data"


def component(seconds, peak):
    return {"seconds": seconds, "opening": 1.0, "peak_bytes": peak}


def measured():
    exported = {"parameters": 1_234_567, "bytes": 2.5e6, "error": 3e-6, "seconds": 12.34, "peak_bytes": 3 * GIB}
    run = {"seconds": 9.0, "peak_bytes": 13 * GIB, "stages": {"text": 1.0, "surface": 2.0, "total": 3.0},
           "memory": {"text": GIB, "surface": 2 * GIB}, "mesh": {}, "glb_bytes": 5, "sha256": "a"}
    return {"export": {"seconds": 100.0, "peak_bytes": 15 * GIB, "bytes": 5e9,
                       "components": {"vae_decoder": exported, "refiner_step": exported}},
            "speed": {"vae_decoder": {"runtime": component(2.0, GIB), "eager": component(4.0, GIB), "rounds": 2, "error": 1e-6},
                      "refiner_step": {"runtime": component(5.0, GIB), "eager": component(4.0, GIB), "rounds": 2, "error": 1e-6}},
            "runs": {"normal": run, "low": run | {"peak_bytes": 11 * GIB, "memory": {"text": GIB, "surface": GIB}},
                     "lowest": run | {"peak_bytes": 7 * GIB, "sha256": "c"}}}


def document(packs):
    return {"size": "full", "threads": 2, "machine": {"processor": "any", "cores": 2}, "packs": packs, "notes": ["A note."]}


def test_the_page_shows_every_figure():
    text = full_size.page(document({"sharp-it-fp16": measured()}))
    assert "| vae_decoder | 1,234,567 | 2.5 | 3.0e-06 | 12.3 | 3.00 | 2 | 4 | 0.50 | 1.00 | 1.00 |" in text
    assert "Slower than PyTorch eager: refiner_step (1.25)." in text and "A note." in text
    assert "peak 15.00 GiB, BEYOND the limit of 14" in text
    assert "| surface | 2.00 | 2.00 | 2.00 | 1.00 | 2.00 | 2.00 |" in text
    assert "| the process | 9.00 | 13.00 | 9.00 | 11.00 | 9.00 | 7.00 |" in text
    assert "With `--memory lowest` the process stays within 12 GiB. `normal` and `low` made the same bytes." in text


def test_the_page_says_what_was_missed_and_leaves_out_what_was_not_measured():
    found = measured()
    found["runs"]["low"] |= {"sha256": "b", "peak_bytes": 13 * GIB}
    text = full_size.page(document({"x": found}))
    assert "With `--memory low` the process stays BEYOND 12 GiB." in text and "THE MESHES OF `normal` AND `low` DIFFER." in text
    found |= {"speed": {}, "runs": {}}
    text = full_size.page(document({"x": found}))
    assert "| vae_decoder | 1,234,567 | 2.5 | 3.0e-06 | 12.3 | 3.00 | - | - | - | - | - |" in text and "PyTorch eager:" not in text


def test_what_was_measured_is_not_measured_again(tmp_path, monkeypatch):
    done = []
    made = measured()
    monkeypatch.setattr(runs, "export", lambda job: done.append("export") or made["export"])
    monkeypatch.setattr(runs, "compare", lambda job, kind, *_: done.append(kind) or made["speed"][kind])

    def stopped(job, memory, threads, quality=None):
        done.append(memory)
        if memory == "low" and done.count("low") == 1:
            raise SystemExit("stopped")
        return made["runs"][memory]

    monkeypatch.setattr(runs, "generate", stopped)
    arguments = ["--work", str(tmp_path), "--packs", "instantmesh", "--note", "why"]
    (tmp_path / "instantmesh-fp16").mkdir()
    (tmp_path / "instantmesh-fp16" / "pack.json").touch()
    with pytest.raises(SystemExit, match="stopped"):
        full_size.main(arguments)
    full_size.main(arguments)
    assert done == ["export", "vae_decoder", "refiner_step", "normal", "low", "low", "lowest"]
    kept = json.loads((tmp_path / "full_size.json").read_text())
    assert list(kept["packs"]["instantmesh-fp16"]["runs"]) == ["normal", "low", "lowest"] and kept["notes"] == ["why"]
    assert (tmp_path / "full_size.md").read_text().startswith("# The published models, shrunk")
    with pytest.raises(SystemExit, match="another threads"):
        full_size.main([*arguments, "--threads", "1"])


def test_runs_at_a_quality_take_the_pack_that_is_there(tmp_path, monkeypatch):
    asked = []

    def generate(job, memory, threads, quality):
        asked.append((job.name, memory, quality))
        return measured()["runs"]["low"] | {"processor_seconds": 17.0}

    monkeypatch.setattr(runs, "generate", generate)
    monkeypatch.setattr(runs, "export", lambda job: pytest.fail("the pack is there"))
    monkeypatch.setattr(quality, "steps", lambda job, name: {"views": 12 if name == "draft" else 28})
    (tmp_path / "instantmesh-fp16").mkdir()
    (tmp_path / "instantmesh-fp16" / "pack.json").touch()
    arguments = ["--work", str(tmp_path), "--packs", "instantmesh", "--quality", "draft"]
    full_size.main(arguments)
    full_size.main([*arguments, "standard"])
    assert asked == [("instantmesh-fp16", "low", "draft"), ("instantmesh-fp16", "low", "standard")]
    text = (tmp_path / "full_size_quality.md").read_text()
    assert "| stage | draft, s | draft, GiB | standard, s | standard, GiB |" in text and "| all cores | 17.00 |  | 17.00 |  |" in text
    assert "`standard`: views 28 steps; `--memory low`; load" in text


@pytest.mark.slow
def test_small_packs_run_at_a_quality(tmp_path):
    full_size.main(["--work", str(tmp_path), "--packs", "sharp-it", "--quality", "draft", "--threads", "1"])
    kept = json.loads((tmp_path / "full_size_quality.json").read_text())["packs"]["sharp-it-fp16"]["draft"]
    assert kept["steps"] == {"coarse shape": 16, "refined views": 12} and kept["glb_bytes"] > 1000
    assert kept["stages"]["refined views"] > 0 and kept["processor_seconds"] > 0
