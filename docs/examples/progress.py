"""Shows the progress of a run, and stops it on Ctrl-C or when it takes too long.

    python docs/examples/progress.py "a red chair" chair.glb --seconds 60
"""

import argparse
import sys
import time

from meshwright.runtime import Cancelled, Event, MeshwrightError, Notice, Pipeline, StageDone, Step


class Progress:
    """Prints what a run says; ends it after so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def __call__(self, event: Event) -> None:
        if time.monotonic() > self.end:
            raise Cancelled("the run took too long")
        if isinstance(event, Step):
            print(f"{event.stage}: step {event.index} of {event.total}")
        elif isinstance(event, StageDone):
            print(f"{event.stage}: {event.seconds:.2f} s")
        elif isinstance(event, Notice):
            print(f"note: {event.message}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("prompt")
    parser.add_argument("output")
    parser.add_argument("--seconds", type=float, default=600)
    options = parser.parse_args()
    try:
        with Pipeline.open("props") as pipe:
            made = pipe.generate(options.prompt, on_event=Progress(options.seconds))
            made.save(options.output)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except MeshwrightError as error:  # Cancelled is one of them
        print(error, file=sys.stderr)
        return 1
    print(f"{options.output}: {len(made.mesh.faces)} triangles in {made.timings['total']:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
