"""What large textures take: `python -m benchmarks.texture_memory` makes the same chair with each size, each in a process of its own.

Tells seconds, processor seconds and the highest resident memory of the whole process. The limit at 8192 is 2 GB.
"""

import argparse
import json
import os
import sys
import tempfile
import time

SIZES = (512, 2048, 4096, 8192)
LIMIT = 2_000  # MB, for any size


def measured(size: int, source: str) -> dict[str, float]:
    """One run of the command line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "meshwright.runtime.cli.main", "generate", "a red chair", "--quiet", "--texture", str(size),
                   "--texture-from", source, "-o", f"{folder}/chair.glb"]
        started = time.perf_counter()
        pid = os.posix_spawn(command[0], command, os.environ)
        _, status, usage = os.wait4(pid, 0)
        seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"{' '.join(command)} ended with {status}")
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"texture": size, "from": source, "seconds": round(seconds, 1), "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
            "peak_mb": round(peak / 1e6)}


def main() -> int:
    """Print a line of JSON for each run; 1 if one of them took more memory than the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--from", dest="source", choices=("field", "views", "blend"), default="field")
    options = parser.parse_args()
    worst = 0
    for size in options.sizes:
        found = measured(size, options.source)
        worst = max(worst, found["peak_mb"])
        print(json.dumps(found), flush=True)
    return 1 if worst > LIMIT else 0


if __name__ == "__main__":
    sys.exit(main())
