"""Puts a prior that was trained on, and what reads prompts for it, into a pack whose other networks stay as they are, to the byte.

    python -m meshwright.export.props.renew --pack runtime/packs/props --checkpoints DIR --out PACK

DIR holds prior.pt. Quantising weights again that came out of a pack would change every file a little; here nothing else is touched.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from ...engines.files.trust import EXPORTED, trust
from ..pack.folder import new_folder
from ..pack.progress import Lines
from ..pack.writer import hashes, write_pack
from . import pack as whole


def renew(old: Path, checkpoints: Path, out: Path) -> None:
    """Write to `out` the pack `old` with the text encoder, the prompt check and the prior as `checkpoints` and this code make them.

    Errors: ExportError as `write_pack`.
    """
    document = json.loads((old / "pack.json").read_text("utf-8"))
    prior = whole.source(whole.TRAINED.format("prior"), checkpoints / "prior.pt")
    said = whole.manifest([prior if source["name"] == prior["name"] else source for source in document["sources"]])
    specs = whole.in_8_bits(whole.words_and_prior(checkpoints))
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / "part"
        made = write_pack(part, specs, said, {"tokenizer.json": whole.tokenizer(Path(folder))}, on_component=Lines(sys.stdout))
        _join(old, part, made | {"components": document["components"] | made["components"]}, out)


def _join(old: Path, part: Path, document: dict, out: Path) -> None:
    """The files of `old`, those of `part` in their places, and golden.npz of both."""
    with new_folder(out) as folder:
        for source in (old, part):
            for path in source.iterdir():
                if path.name not in ("pack.json", "golden.npz"):
                    shutil.copyfile(path, folder / path.name)
        golden = [dict(np.load(source / "golden.npz")) for source in (old, part)]
        renewed = {name.partition("/")[0] for name in golden[1]}
        kept = {name: value for name, value in golden[0].items() if name.partition("/")[0] not in renewed}
        np.savez_compressed(folder / "golden.npz", **kept, **golden[1])
        text = (json.dumps(document | {"files": hashes(folder)}, indent=1, allow_nan=False) + "\n").encode()
        (folder / "pack.json").write_bytes(text)
    trust(out, hashlib.sha256(text).hexdigest(), EXPORTED)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack whose other networks stay")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder with prior.pt")
    parser.add_argument("--out", type=Path, required=True, help="folder of the new pack")
    args = parser.parse_args()
    renew(args.pack, args.checkpoints, args.out)
