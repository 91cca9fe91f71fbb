"""The process in which one engine is built: `python -m meshwright.engines.tensorrt.worker`, driven by `build`.

Reads a request, one line of JSON, from standard input; writes the engine to the file it names, and lines of JSON to
standard output: {"share": 0.25} while it works, then {"done": true} or {"error": [kind, subject, received, expected, remedy]}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any, TextIO

from ..cuda.remedies import MAKE_ROOM
from ..errors import EngineError, MeshwrightError, OutputError
from ..machine.parent import end_with_input, end_with_parent
from ..machine.products import choose
from .builder import build, failed
from .network import Range


def main() -> None:
    """Build what standard input asks for."""
    # Ctrl-C reaches both processes; the one that asked ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = _private_output()
    request = json.loads(sys.stdin.readline())
    end_with_parent(request["parent"])
    end_with_input()
    try:
        _work(request, answers)
        _say(answers, done=True)
    except EngineError as error:
        _refuse(answers, error)
    except OSError as error:  # of the engine's file
        _refuse(answers, OutputError(f"{request['out']} cannot be written", received=str(error), remedy=MAKE_ROOM))
    except MemoryError:
        _refuse(answers, failed(Path(request["model"]).name, "out of memory"))


def _work(request: dict[str, Any], answers: TextIO) -> None:
    told = -1.0

    def progress(share: float) -> None:
        nonlocal told
        if share >= told + 0.01:
            told = share
            _say(answers, share=round(share, 4))

    axes = {name: Range(*lengths) for name, lengths in request["axes"].items()}
    engine = build(choose(request["product"]), Path(request["model"]), axes, request["workspace"], progress, request["flags"],
                   request["capabilities"])
    with open(request["out"], "xb") as file:
        file.write(engine)
        file.flush()
        os.fsync(file.fileno())


def _private_output() -> TextIO:
    """Standard output for us alone: the vendor's libraries print to it as they like, which goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _refuse(answers: TextIO, error: MeshwrightError) -> None:
    _say(answers, error=[type(error).__name__, error.subject, error.received, error.expected, error.remedy])


def _say(answers: TextIO, **answer: Any) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
