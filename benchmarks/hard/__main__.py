"""Forced tests for so many minutes: `python -m benchmarks.hard --minutes 30`. Results are written as they come, and a later run goes on
where the last one with the same seed and commit ended (`--fresh` starts anew).

The kind that is farthest from its goal is run for a turn, then the next.
"""

import argparse
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.hard import batch_kills, endurance, input_cases, kill_cases, model_cases, pack_cases, tensor_cases
from benchmarks.hard.kinds import Kind
from benchmarks.hard.page import page
from benchmarks.hard.worker import Tally, run
from benchmarks.harness.results import RESULTS, Results

KINDS: tuple[type[Kind], ...] = (
    pack_cases.Packs, pack_cases.Tokenizers, pack_cases.GoldenFiles, model_cases.Models, model_cases.TrustedModels, tensor_cases.LoraFiles,
    tensor_cases.Checkpoints, input_cases.Pictures, input_cases.Meshes, kill_cases.WriteKills, kill_cases.FullDisks,
    kill_cases.CommandKills, kill_cases.BuildKills, batch_kills.BatchKills, endurance.Clocks, endurance.Soak)
# A kind's turn; then the next one has the worker. Short enough that a run which is stopped has something of every kind.
TURN = 60.0


class Run:
    """Which cases of which kinds are still to be run; shared by the threads that each watch a worker."""

    def __init__(self, kinds: list[type[Kind]], results: Results, until: float, count: int | None) -> None:
        self.kinds, self.results, self.until, self.count = kinds, results, until, count
        document = results.document
        self.tallies = {kind.name: Tally(**document["kinds"].get(kind.name, {})) for kind in kinds}
        self.next = {kind.name: document["next"].get(kind.name, 0) for kind in kinds}
        self.running: set[str] = set()
        self.lock, self.started, self.before = threading.Lock(), time.monotonic(), document["minutes"]

    def work(self) -> None:
        """Take the kind that is farthest behind, run it for a turn, and go on until the time is up."""
        while time.monotonic() < self.until and (kind := self._take()) is not None:
            end = min(self.until, time.monotonic() + max(TURN, kind.limit))
            tally = self.tallies[kind.name]
            try:
                self.next[kind.name] = run(kind, tally, seed=self.results.document["seed"], first=self.next[kind.name],
                                           count=max(self._goal(kind) - tally.cases, 1), until=end)
            finally:
                with self.lock:
                    self.running.discard(kind.name)
                    self._write(kind)

    def _take(self) -> type[Kind] | None:
        with self.lock:
            free = [kind for kind in self.kinds if kind.name not in self.running and self.tallies[kind.name].cases < self._goal(kind)]
            if not free:
                return None
            kind = min(free, key=lambda each: self.tallies[each.name].cases / self._goal(each))
            self.running.add(kind.name)
            return kind

    def _goal(self, kind: type[Kind]) -> int:
        return self.count or kind.goal

    def _write(self, kind: type[Kind]) -> None:
        document = self.results.document
        document["kinds"] |= {name: tally.plain() for name, tally in self.tallies.items()}
        document["next"] |= self.next
        document["minutes"] = self.before + (time.monotonic() - self.started) / 60
        self.results.save()
        tally = self.tallies[kind.name]
        print(f"{kind.name}: {tally.cases} of {self._goal(kind)}, {tally.foreign} foreign, {tally.crashes} crashes, {tally.hangs} hangs, "
              f"{tally.lost} lost, {tally.largest_mib:.0f} MiB, {1e3 * tally.seconds / max(tally.cases, 1):.0f} ms a case", flush=True)


def main() -> int:
    """1 if anything was foreign, crashed, hung or was lost; models that are run with trust given are counted, not judged."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--only", action="append", default=[], choices=[kind.name for kind in KINDS], metavar="KIND",
                        help=f"of {', '.join(kind.name for kind in KINDS)}; may be given again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, help="number of the first case of each kind")
    parser.add_argument("--count", type=int, help="cases of each kind (default: its goal)")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="start anew")
    options = parser.parse_args()
    fresh = {"seed": options.seed, "commit": _commit(), "minutes": 0.0, "kinds": {}, "next": {}}
    said = {kind.name: kind.said for kind in KINDS}
    results = Results(options.out, "hard", fresh, lambda document: page(document, said), anew=options.fresh)
    if any(results.document[name] != fresh[name] for name in ("seed", "commit")):
        results.document = fresh
    kinds = [kind for kind in KINDS if not options.only or kind.name in options.only]
    if options.first is not None:
        results.document["next"] |= {kind.name: options.first for kind in kinds}
    work = Run(kinds, results, time.monotonic() + 60 * options.minutes, options.count)
    threads = [threading.Thread(target=work.work) for _ in range(options.workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    judged = [tally for name, tally in work.tallies.items() if name != model_cases.TrustedModels.name]
    return 1 if any(tally.foreign + tally.crashes + tally.hangs + tally.lost for tally in judged) else 0


def _commit() -> str:
    """Of the working tree; "unknown" outside of one."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
