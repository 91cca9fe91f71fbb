"""Packs with mutated manifests, tokenizers, golden archives and files; and the two files by themselves."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import zipfile
from argparse import Namespace
from pathlib import Path
from random import Random

import numpy as np

from benchmarks.hard.kinds import Kind
from benchmarks.hard.mutations import bytes_changed, json_changed
from meshwright.engines.errors import InputError, MeshwrightError, PackError, PackFormat
from meshwright.engines.files.array_archive import ArrayArchive
from meshwright.runtime import Pack, Pipeline
from meshwright.runtime.cli.packs_command import packs
from meshwright.runtime.pack.golden import Golden
from meshwright.runtime.text.prompt import load_tokenizer
from tests.runtime import clip_vocabulary, tiny_pack
from tests.runtime.tiny_pictures import build_both, build_instantmesh

# Every so many packs that open are also run, with options that keep the work small.
RUN_EVERY = 12
SMALL = {"steps": 1, "texture": 64, "faces": 200}


class Packs(Kind):
    """Opened, listed, their tokenizer and golden inputs read; some of those that are whole are run. One file differs each time."""

    name, goal, limit = "packs", 10_000, 60.0
    said = "mutated packs (manifest, tokenizer, golden inputs, files): opened, listed, read, some of them run"

    def __init__(self, folder: Path) -> None:
        self.folders = [tiny_pack.build(folder / "tiny"), build_both(folder / "both"), build_instantmesh(folder / "views")]
        self.whole = [{path.name: path.read_bytes() for path in each.iterdir()} for each in self.folders]
        self.opened = 0

    def case(self, number: int, rng: Random) -> str:
        at = rng.randrange(len(self.folders))
        folder, whole = self.folders[at], self.whole[at]
        os.environ["MESHWRIGHT_PACKS"] = str(folder)
        try:
            _damage(folder, whole, rng)
            return self._judged(folder)
        finally:
            _restore(folder, whole)

    def _judged(self, folder: Path) -> str:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            packs(Namespace(action=None, folder=None, json=False))
        if "\x1b" in printed.getvalue() or "props" not in printed.getvalue():
            raise AssertionError("the listing holds codes for the terminal, or ends early")
        try:
            pack = Pack.open(folder)
            texts = [text for text in (pack.manifest.text, pack.manifest.prior_text) if text]
            for text in texts:
                load_tokenizer(pack.path(text.tokenizer), text.length).encode("a red chair with légs")
            golden = Golden(pack)
            for component in pack.manifest.components.values():
                golden.inputs(component), golden.outputs(component)
        except (PackError, InputError):
            return "refused"
        self.opened += 1
        return _run(folder, pack) if self.opened % RUN_EVERY == 0 else "opened"


def _run(folder: Path, pack: Pack) -> str:
    picture = np.full((24, 24, 3), 90, np.uint8)
    from meshwright.runtime import Picture

    by_text = pack.manifest.text is not None
    try:
        with Pipeline.open(folder, trust=True, threads=1) as pipe:
            pipe.generate("a red chair" if by_text else "", **SMALL, **({} if by_text else {"image": Picture.of(picture), "matte": "none"}))
    except MeshwrightError:
        return "opened, run refused"
    return "opened and run"


def _damage(folder: Path, whole: dict[str, bytes], rng: Random) -> None:
    what = rng.random()
    document = json.loads(whole["pack.json"])
    if what < 0.5:
        text = json.dumps(json_changed(document, rng)) if rng.random() < 0.95 else "[" * rng.choice((500, 1000, 10**5))
        (folder / "pack.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    elif what < 0.6:
        (folder / "pack.json").write_bytes(bytes_changed(whole["pack.json"], rng))
    elif what < 0.92:
        name = rng.choice([each for each in whole if each != "pack.json"] + ["tokenizer.json", "golden.npz"] * 4)
        if name in whole:
            _replace(folder, document, name, _content(name, whole[name], rng), right=rng.random() < 0.9)
    else:
        _other_file(folder / rng.choice(sorted(whole)), rng)


def _content(name: str, data: bytes, rng: Random) -> bytes:
    if name == "golden.npz":
        return golden_changed(data, rng)
    if name == "tokenizer.json" and rng.random() < 0.8:
        return json.dumps(json_changed(json.loads(data), rng)).encode("utf-8", "surrogatepass")
    return bytes_changed(data, rng)


def golden_changed(data: bytes, rng: Random) -> bytes:
    """Bytes of the archive, or of an array in it, or one that unpacks to gigabytes."""
    if rng.random() < 0.4:
        return bytes_changed(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    if rng.random() < 0.1:
        members[name] = members[name][:128] + bytes(rng.choice((10**6, 10**8)))
    else:
        members[name] = bytes_changed(members[name][:128], rng) + members[name][128:]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return file.getvalue()


def _replace(folder: Path, document: dict, name: str, data: bytes, *, right: bool) -> None:
    """right : with the hash that the new content has"""
    (folder / name).write_bytes(data)
    if right:
        document["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (folder / "pack.json").write_text(json.dumps(document))


def _other_file(path: Path, rng: Random) -> None:
    """Something else of that name."""
    path.unlink()
    what = rng.randrange(6)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        path.mkdir()
    elif what in (2, 3, 4):
        path.symlink_to(("/dev/zero", path.name, "../nowhere")[what - 2])


def _restore(folder: Path, whole: dict[str, bytes]) -> None:
    """As it was; what is unchanged keeps its times."""
    for path in folder.iterdir():
        if path.name not in whole or path.is_symlink() or not path.is_file():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for name, data in whole.items():
        path = folder / name
        if not path.exists() or path.stat().st_size != len(data) or path.read_bytes() != data:
            path.write_bytes(data)


class Tokenizers(Kind):
    """Both kinds of tokenizer, mutated as JSON and as bytes; what is read encodes a prompt."""

    name, goal = "tokenizers", 1_000
    said = "tokenizer files"

    def __init__(self, folder: Path) -> None:
        self.path, self.seeds = folder / "tokenizer.json", [tiny_pack.tokenizer(), _clip()]

    def case(self, number: int, rng: Random) -> str:
        seed = rng.choice(self.seeds)
        data = json.dumps(json_changed(seed, rng)).encode("utf-8", "surrogatepass")
        self.path.write_bytes(data if rng.random() < 0.7 else bytes_changed(json.dumps(seed).encode(), rng))
        try:
            load_tokenizer(self.path, 12).encode_prompt("a red chair, 12 légs!")
        except (PackError, InputError):
            return "refused"
        return "read"


def _clip() -> dict:
    """The document of a small CLIP tokenizer."""
    vocabulary = clip_vocabulary.vocabulary()
    model = {"type": "BPE", "vocab": vocabulary, "merges": [list(pair) for pair in clip_vocabulary.merges()],
             "unk_token": clip_vocabulary.END, "end_of_word_suffix": "</w>"}
    added = [{"id": vocabulary[text], "content": text, "normalized": False} for text in (clip_vocabulary.START, clip_vocabulary.END)]
    return {"model": model, "added_tokens": added, "padding": {"pad_id": 0}}


class GoldenFiles(Kind):
    """Golden archives by themselves."""

    name, goal = "golden", 1_000
    said = "golden archives"

    def __init__(self, folder: Path) -> None:
        self.path, file = folder / "golden.npz", io.BytesIO()
        arrays = {"a/in/x": np.arange(24.0).reshape(2, 3, 4), "a/out/y": np.arange(9, dtype=np.int64), "b": np.float16(1)}
        np.savez_compressed(file, **arrays)
        self.data = file.getvalue()

    def case(self, number: int, rng: Random) -> str:
        self.path.write_bytes(golden_changed(self.data, rng))
        try:
            archive = ArrayArchive(self.path, "golden.npz", PackFormat)
            archive.read(archive.names)
        except PackError:
            return "refused"
        return "read"
