"""Makes a mesh for each line of a file of prompts. Meshes that are there already are left out, so a run that was stopped goes on.

    python docs/examples/batch.py prompts.txt meshes
"""

import argparse
import sys
from pathlib import Path

from meshwright.runtime import MeshwrightError, Pipeline


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompts", type=Path, help="a text file, one prompt a line")
    parser.add_argument("folder", type=Path, help="where the meshes go")
    options = parser.parse_args()
    prompts = [line.strip() for line in options.prompts.read_text("utf-8").splitlines() if line.strip()]
    options.folder.mkdir(parents=True, exist_ok=True)
    failed = 0
    with Pipeline.open("props") as pipe:
        for number, prompt in enumerate(prompts):
            file = options.folder / f"{number:04d}.glb"
            if file.exists():
                continue
            try:
                pipe.generate(prompt, seed=number).save(file)
            except MeshwrightError as error:
                print(f"{prompt}: {error}", file=sys.stderr)
                failed += 1
            else:
                print(f"{file}: {prompt}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
