"""What large textures take: `python -m benchmarks.latency.texture_memory` makes one chair with each size, in processes of their own.

Tells seconds, processor seconds and the highest resident memory of the whole process. The limit at 8192 is 2 GB.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping

from ..harness.command import CLI, checked_command

SIZES = (512, 2048, 4096, 8192)
LIMIT = 2_000  # MB, for any size


def measured(size: int, source: str, environment: Mapping[str, str] | None = None) -> dict[str, float | str]:
    """One run of the command line. environment : as `run_command`"""
    with tempfile.TemporaryDirectory() as folder:
        ended = checked_command([*CLI, "generate", "a red chair", "--quiet", "--texture", str(size), "--texture-from", source, "-o",
                                 f"{folder}/chair.glb"], environment=environment)
    return {"texture": size, "from": source, "seconds": round(ended.seconds, 1), "processor_seconds": round(ended.processor_seconds, 1),
            "peak_mb": round(ended.peak_bytes / 1e6)}


def main() -> int:
    """Print a line of JSON for each run; 1 if one of them took more memory than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--from", dest="source", choices=("field", "views", "blend"), default="field")
    options = parser.parse_args()
    found = []
    for size in options.sizes:
        found.append(measured(size, options.source))
        print(json.dumps(found[-1]), flush=True)
    return 1 if max(run["peak_mb"] for run in found) > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
