"""The command line: `meshwright generate`, `refine`, `texture`, `batch`, `finish`, `lint`, `verify`, `packs`, `build`, `doctor`, `bench`,
`serve`, and the commands that installed packages add.

Thin: it reads options, calls the library and prints. Results go to standard output, progress and errors to
standard error. Exit codes: 0 done; 1 the work failed, a pack did not verify, `doctor` found something broken, or the result
could not be printed; 2 bad input, nothing written; 130 stopped by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP. Nothing heavy is
imported until the options have been read.

Any other command, such as `export`, is an entry point of the group "meshwright.commands": a function that takes
the arguments behind the command's name and returns the exit code.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points

from .options import BAD_INPUT, ENTRY_POINTS, build_parser
from .process import StopSignals, standard_streams

FAILED = 1
COMMANDS = ("generate", "refine", "texture", "batch", "finish", "lint", "verify", "packs", "build", "doctor", "bench", "serve")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; never a traceback."""
    with standard_streams() as (out, _):
        code = _stoppable(sys.argv[1:] if arguments is None else arguments)
        out.flush()
        if out.failure is not None:
            _fail(f"the result could not be printed; received {out.failure}", FAILED)
            return code or FAILED
        return code


def _stoppable(arguments: Sequence[str]) -> int:
    """The exit code of a command that may be wrong, or stopped by a signal."""
    signals = StopSignals()
    try:
        with signals:
            code = _guarded(_command(arguments))
        # A library that is interrupted while it loads may report that as an error of its own.
        return _stopped(signals.came) if code and signals.came is not None else code
    except KeyboardInterrupt:
        return _stopped(signals.came)
    except SystemExit as end:  # how argparse ends
        return end.code if isinstance(end.code, int) else FAILED if end.code else 0


def _stopped(number: int | None) -> int:
    return _fail("stopped", 128 + (signal.SIGINT if number is None else number))


def _command(arguments: Sequence[str]) -> Callable[[], int]:
    """What is to be done; an option that is wrong ends the process here."""
    added = None if not arguments or arguments[0] in COMMANDS else added_command(arguments[0])
    if added is not None:
        return lambda: added.load()(list(arguments[1:]))
    parser = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_about(unknown, options))
    return lambda: _run(options)


def _about(unknown: Sequence[str], options: argparse.Namespace) -> str:
    """What to say of arguments that no option takes: mostly the words of a prompt without quotes."""
    if not hasattr(options, "prompt") or any(word.startswith("-") for word in unknown):
        return f"unrecognized arguments: {' '.join(unknown)}"
    prompt = " ".join([options.prompt, *unknown])
    return f'the prompt is more than one argument; put it in quotes: "{prompt}"'


def added_command(name: str) -> EntryPoint | None:
    """The command of that name that an installed package adds."""
    return next(iter(entry_points(group=ENTRY_POINTS, name=name)), None)


def _run(options: argparse.Namespace) -> int:
    match options.command:  # each command's module is imported only where it is run
        case "batch":
            from .batch_command import batch as command
        case "bench":
            from .bench import bench as command
        case "build":
            from .build_command import build as command
        case "finish":
            from .asset_commands import finish_command as command
        case "lint":
            from .asset_commands import lint_command as command
        case "serve":
            from ..server.command import serve as command
        case "verify":
            from .commands import verify as command
        case "packs":
            from .packs_command import packs as command
        case "doctor":
            from .commands import doctor as command
        case "texture":
            from .commands import texture as command
        case _:
            from .commands import generate as command
    return command(options)


def _guarded(work: Callable[[], int]) -> int:
    """The exit code of `work`; an error becomes one line."""
    from ...engines.errors import BackendUnavailable, InputError, MeshwrightError, OutputError, PackError

    try:
        return work()
    except (InputError, PackError, OutputError, BackendUnavailable) as error:
        return _fail(str(error), BAD_INPUT)
    except MeshwrightError as error:
        return _fail(str(error), FAILED)
    except MemoryError:
        return _fail("out of memory", FAILED)
    except Exception as error:  # a fault of ours: still one line, with the place to look at
        return _fail(f"internal error: {type(error).__name__}: {error} ({_place(error)})", FAILED)


def _fail(message: str, code: int) -> int:
    from ...engines.errors import printable

    # A message from elsewhere may hold line breaks and codes for a terminal; ours is one plain line.
    print(printable(f"meshwright: {' '.join(message.split())}"), file=sys.stderr)
    return code


def _place(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "unknown"


if __name__ == "__main__":
    sys.exit(main())
