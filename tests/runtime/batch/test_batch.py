"""Batches by the real command line on the tiny pack: files, manifest, continuing, workers and batches that are killed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from meshwright.runtime.batch.pictures import CAPTION, LARGEST_TILE, contact_sheet
from tests.runtime.tiny_pictures import build_both

QUICK = ("--pack", "tiny", "--texture", "64", "--faces", "300", "--threads", "1")
OURS = {"manifest.jsonl", "contact_sheet.png", ".meshwright-batch.lock"}


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "list.txt").write_text("a red chair\na blue table\n")
    return tmp_path / "list.txt"


def manifest(folder):
    """The entries by name, each of them once; every file that one names is there, and as it says."""
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert len({entry["name"] for entry in entries}) == len(entries)
    for file in (file for entry in entries for file in entry["files"]):
        data = (folder / file["name"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (file["bytes"], file["sha256"])
    return {entry["name"]: entry for entry in entries}


def agrees(folder):
    """As `manifest`, and there is no other file."""
    entries = manifest(folder)
    assert set(os.listdir(folder)) == OURS | {file["name"] for entry in entries.values() for file in entry["files"]}
    return entries


@pytest.mark.slow
def test_a_batch_and_what_is_made_again(cli, prompts, tmp_path):
    out = tmp_path / "out"
    ended = cli("batch", prompts, "-o", out, *QUICK, "--jobs", 2)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{out / 'manifest.jsonl'}: 2 made, 0 there already, 0 failed in ")
    assert len(ended.stderr.splitlines()) == 2
    entries = agrees(out)
    assert list(entries) == ["a-red-chair", "a-blue-table"] and entries["a-blue-table"]["line"] == 2
    assert [file["name"] for file in entries["a-red-chair"]["files"]] == ["a-red-chair.glb", "a-red-chair.png"]
    with Image.open(out / "contact_sheet.png") as sheet:
        assert sheet.size == (2 * LARGEST_TILE, LARGEST_TILE + CAPTION)

    # One line is as it was, one has changed, one is new.
    (tmp_path / "list.jsonl").write_text('{"prompt": "a red chair"}\n{"prompt": "a blue table", "seed": 4}\n{"prompt": "a lamp"}\n')
    made = {name: (out / f"{name}.glb").stat().st_mtime_ns for name in entries}
    again = cli("batch", tmp_path / "list.jsonl", "-o", out, *QUICK, "--json")
    assert json.loads(again.stdout) == {"manifest": str(out / "manifest.jsonl"), "made": ["a-blue-table", "a-lamp"],
                                        "kept": ["a-red-chair"], "failed": []}
    assert (out / "a-red-chair.glb").stat().st_mtime_ns == made["a-red-chair"]
    assert list(agrees(out)) == ["a-red-chair", "a-blue-table", "a-lamp"]
    # One whose mesh is gone; then another format, for a part of the list.
    (out / "a-lamp.glb").unlink()
    last = cli("batch", tmp_path / "list.jsonl", "-o", out, *QUICK, "--quiet")
    assert (last.returncode, last.stdout, last.stderr) == (0, "", "") and (out / "a-lamp.glb").exists()
    prompts.write_text("a red chair\n")
    assert cli("batch", prompts, "-o", out, *QUICK, "--format", "stl").returncode == 0
    assert [[file["name"] for file in entry["files"]] for entry in agrees(out).values()] == [
        ["a-red-chair.stl", "a-red-chair.png"], ["a-blue-table.glb", "a-blue-table.png"], ["a-lamp.glb", "a-lamp.png"]]


@pytest.mark.slow
def test_a_line_that_fails_is_tried_again(cli, tmp_path):
    (tmp_path / "list.txt").write_text("a red chair\nzzz qqq\n")
    for kept in ([], ["a-red-chair"]):
        ended = cli("batch", tmp_path / "list.txt", "-o", tmp_path / "out", *QUICK, "--json")
        assert ended.returncode == 1 and json.loads(ended.stdout)["failed"] == ["zzz-qqq"] and json.loads(ended.stdout)["kept"] == kept
        entries = agrees(tmp_path / "out")
        assert entries["zzz-qqq"]["state"] == "failed" and entries["zzz-qqq"]["error"] and entries["zzz-qqq"]["files"] == []


@pytest.mark.slow
def test_files_for_an_engine_and_a_turntable(cli, prompts, tmp_path):
    prompts.write_text("a red chair\n")
    ended = cli("batch", prompts, "-o", tmp_path / "out", "--pack", "tiny", "--texture", "64", "--faces", "300", "--for", "unreal",
                "--lods", "0.5", "--collision", "box", "--turntable")
    assert ended.returncode == 0, ended.stderr
    assert [file["name"] for file in agrees(tmp_path / "out")["a-red-chair"]["files"]] == [
        "a-red-chair_LOD0.glb", "a-red-chair_LOD1.glb", "a-red-chair.png", "a-red-chair.gif"]
    with Image.open(tmp_path / "out" / "a-red-chair.gif") as turning:
        assert (turning.size, turning.n_frames) == ((256, 256), 24)


@pytest.mark.slow
def test_pictures_and_prompts_in_one_list(cli, tmp_path):
    """A picture that has changed is made anew; one that is none fails alone; an option of pictures leaves prompts alone."""
    pack, out, disc = build_both(tmp_path / "both"), tmp_path / "out", np.zeros((40, 40, 4), np.uint8)
    disc[8:32, 8:32] = (200, 40, 40, 255)
    (tmp_path / "in").mkdir()
    Image.fromarray(disc).save(tmp_path / "in" / "mug.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    (tmp_path / "list.csv").write_text("image,prompt,seed\nin/mug.png,,3\nin/broken.png,,\n,a red chair,\n")
    command = ("batch", tmp_path / "list.csv", "-o", out, "--pack", pack, *QUICK[2:], "--matte", "alpha", "--route", "views", "--json")
    first = json.loads(cli(*command).stdout)
    assert (first["made"], first["failed"]) == (["mug", "a-red-chair"], ["broken"])
    entries = agrees(out)
    assert entries["broken"]["state"] == "failed" and "broken.png" in entries["broken"]["error"]
    mug = entries["mug"]
    assert (mug["image_file"], mug["route"], mug["seed"], mug["matte"]) == ("mug.png", "views", 3, "alpha")
    assert entries["a-red-chair"]["route"] == "text"
    disc[8:32, 8:32] = (40, 40, 200, 255)
    Image.fromarray(disc).save(tmp_path / "in" / "mug.png")
    second = json.loads(cli(*command).stdout)
    assert (second["made"], second["kept"]) == (["mug"], ["a-red-chair"])
    mug, before = agrees(out)["mug"], mug
    assert mug["image"] != before["image"]
    (tmp_path / "in" / "mug.png").write_bytes(b"no picture")
    assert json.loads(cli(*command).stdout)["failed"] == ["mug", "broken"]
    assert agrees(out)["mug"]["state"] == "failed" and agrees(out)["mug"]["files"] == mug["files"]


def test_what_is_refused_makes_nothing(main, prompts, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a-blue-table.png").write_bytes(b"mine")
    for arguments, message in [
        ((prompts, "-o", tmp_path / "out"), "a-blue-table.png is not of this batch"),
        ((prompts, "-o", tmp_path / "new", "--format", "obj", "--for", "web", "--lods", "2"), "a-red-chair.obj cannot hold"),
        ((tmp_path, "-o", tmp_path), "the results would be written among the pictures"),
        ((prompts, "-o", tmp_path / "new", "--jobs", 0), "jobs is out of range"),
        ((prompts, "-o", tmp_path / "new", "--timeout", 0), "timeout is out of range"),
        ((prompts, "-o", tmp_path / "new", "--steps", 0), "steps is out of range"),
        ((prompts, "-o", tmp_path / "new", "--lora-scale", 1), "lora-scale is given without a LoRA"),
        ((prompts, "-o", tmp_path / "new", "--matte", "m.png"), "unknown matte"),
        ((prompts, "-o", tmp_path / "file"), "file cannot be written"),
    ]:
        ended = main("batch", *arguments, *QUICK)
        assert ended.returncode == 2 and message in ended.stderr, ended.stderr
    (tmp_path / "out" / "a-blue-table.png").rename(tmp_path / "out" / "contact_sheet.png")
    assert "contact_sheet.png is not of this batch" in main("batch", prompts, "-o", tmp_path / "out", *QUICK).stderr
    (tmp_path / "names.csv").write_text("prompt,name\na chair,contact_sheet\n")
    assert "the contact sheet has that name" in main("batch", tmp_path / "names.csv", "-o", tmp_path / "new", *QUICK).stderr
    (tmp_path / "out" / "manifest.jsonl").write_text('{"other": 1}\n')
    assert "is not the manifest of a batch" in main("batch", prompts, "-o", tmp_path / "out", *QUICK).stderr
    assert not (tmp_path / "new").exists() and (tmp_path / "out" / "contact_sheet.png").read_bytes() == b"mine"


def test_the_contact_sheet_shows_the_front_of_each(tmp_path):
    for name, shade in (("a", 10), ("b", 90), ("c", 170)):
        sides = np.full((64, 128, 3), 255, np.uint8)
        sides[:, :64] = shade
        Image.fromarray(sides).save(tmp_path / f"{name}.png")
    sheet = contact_sheet([tmp_path / f"{name}.png" for name in "abc"])
    assert sheet.shape == (2 * (LARGEST_TILE + CAPTION), 2 * LARGEST_TILE, 3)
    down, across = LARGEST_TILE + CAPTION + 5, LARGEST_TILE + 5
    assert [int(sheet[y, x, 0]) for y, x in ((5, 5), (5, across), (down, 5), (down, across))] == [10, 90, 170, 255]


def start(tiny, prompts, out, *options):
    command = [sys.executable, "-m", "meshwright.runtime.cli.main", "batch", str(prompts), "-o", str(out), *QUICK, *options]
    return subprocess.Popen(command, env={**os.environ, "MESHWRIGHT_PACKS": str(tiny)}, text=True, stderr=subprocess.PIPE,
                            stdout=subprocess.PIPE,
                            # What runs the tests may ignore it, and a child would inherit that.
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))


def workers(process):
    """The ids of the processes that make meshes."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_is_killed_loses_no_line(tiny, prompts, tmp_path):
    with start(tiny, prompts, tmp_path / "out", "--count", "2") as process:
        process.stderr.readline()
        os.kill(workers(process)[0], signal.SIGKILL)
        _, rest = process.communicate(timeout=60)
    assert process.returncode == 0, rest
    assert [entry["state"] for entry in agrees(tmp_path / "out").values()] == ["made"] * 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_that_hangs_is_replaced(tiny, prompts, tmp_path):
    with start(tiny, prompts, tmp_path / "out", "--count", "2", "--timeout", "20") as process:
        process.stderr.readline()
        stopped = workers(process)[0]
        os.kill(stopped, signal.SIGSTOP)
        _, rest = process.communicate(timeout=120)
    assert process.returncode == 0, rest
    assert [entry["state"] for entry in agrees(tmp_path / "out").values()] == ["made"] * 4
    assert not Path(f"/proc/{stopped}").exists()


@pytest.mark.slow
def test_a_second_batch_in_the_folder_is_refused(tiny, cli, prompts, tmp_path):
    with start(tiny, prompts, tmp_path / "out", "--count", "100") as process:
        process.stderr.readline()
        second = cli("batch", prompts, "-o", tmp_path / "out", *QUICK)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    assert second.returncode == 2 and f"another batch works in {tmp_path / 'out'}" in second.stderr
    assert process.returncode == 130 and rest.splitlines()[-1] == "meshwright: stopped" and "Traceback" not in rest
    manifest(tmp_path / "out")


@pytest.mark.slow
def test_kill_at_random_moments_loses_and_doubles_no_line(tiny, cli, prompts, tmp_path):
    out, moments, known = tmp_path / "out", random.Random(0), set()
    for _ in range(3):
        with start(tiny, prompts, out, "--count", "4") as process:
            process.stderr.readline()  # the first line of this run is made
            time.sleep(moments.uniform(0, 0.5))
            process.kill()
            process.communicate(timeout=60)
        found = manifest(out).keys()  # as it was left, before anything is mended
        assert known < found
        known = set(found)
    ended = cli("batch", prompts, "-o", out, *QUICK, "--count", 4, "--json")
    report = json.loads(ended.stdout)
    assert ended.returncode == 0 and set(report["kept"]) >= known and len(report["kept"] + report["made"]) == 8
    assert sorted(entry["seed"] for entry in agrees(out).values()) == sorted([*range(4)] * 2)
