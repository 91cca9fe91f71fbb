"""Puts a prior that was trained on, and the check of prompts, into a pack whose other networks stay as they are, to the byte.

    python -m meshwright.export.props.renew --checkpoints DIR --pack PACK

DIR holds prior.pt; without that file the pack keeps its prior. Quantising weights again that came out of a pack would change every file a
little; here nothing else is touched.
"""

import argparse
import json
import sys
from pathlib import Path

from ..pack.progress import Lines
from ..pack.writer import extend_pack
from . import pack as whole


def renew(checkpoints: Path, pack: Path) -> None:
    """Give the pack the prompt check of this code, and the prior of `checkpoints`, if there is one.

    Errors: ExportError as `extend_pack`; then the pack is as it was.
    """
    sources, prior = json.loads((pack / "pack.json").read_bytes())["sources"], checkpoints / "prior.pt"
    specs = [whole.check_of_prompts()]
    if prior.exists():
        specs.append(whole.prior(checkpoints))
        own = whole.source(whole.TRAINED.format("prior"), prior)
        sources = [own if each["name"] == own["name"] else each for each in sources]
    extend_pack(pack, whole.in_8_bits(specs), {"version": whole.VERSION, "license": whole.LICENSE, "sources": sources},
                on_component=Lines(sys.stdout))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder that may hold prior.pt")
    parser.add_argument("--pack", type=Path, required=True, help="folder of the pack")
    args = parser.parse_args()
    renew(args.checkpoints, args.pack)
