"""Every error that Meshwright raises on purpose.

    MeshwrightError
    ├── EngineError               one model file on one backend
    │   ├── TensorError           a tensor's name, shape or dtype
    │   ├── ModelFileError        a file that is missing or no model
    │   ├── BackendError          what the vendor's package raised, which is the cause
    │   │   └── DeviceLost        a GPU that stopped answering: nothing more runs on it in this process
    │   └── BackendUnavailable    a package, library or provider that is not there
    ├── PackError                 a folder with a pack
    │   ├── PackNotFound          no such pack
    │   ├── PackCorrupt           a file is missing, or its hash differs
    │   ├── PackFormat            an unknown version, a path that leaves the folder, malformed JSON
    │   └── PackUntrusted         a pack from elsewhere that the user has not said to trust
    ├── InputError                a prompt or an option out of range
    ├── OutputError               a file that cannot be written
    ├── EmptyShape                a drawn or reconstructed field without a surface
    ├── ExportError               a component that cannot be exported, or fails its parity check
    │   └── CheckpointError       a file or folder of published weights that is not what it should be
    └── Cancelled                 the caller stopped the run
"""

from __future__ import annotations

import unicodedata


class MeshwrightError(Exception):
    """One line: the subject, then what came, what was expected and what to do about it, where they are known."""

    def __init__(self, subject: str, *, received: str | None = None, expected: str | None = None,
                 remedy: str | None = None) -> None:
        self.subject, self.received, self.expected, self.remedy = subject, received, expected, remedy
        parts = [subject]
        parts += [f"received {received}"] if received is not None else []
        parts += [f"expected {expected}"] if expected is not None else []
        parts += [remedy] if remedy is not None else []
        super().__init__(printable("; ".join(" ".join(part.split()) for part in parts)))

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are rebuilt from `args`, which would make the whole message the subject.
        return _rebuild, (type(self), self.subject, self.received, self.expected, self.remedy)


def printable(text: str) -> str:
    """`text` with control characters and what changes the direction of writing spelled out: no file may steer a terminal.

    Line breaks and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
                   else c.encode("unicode_escape", "surrogatepass").decode() for c in text)


def _rebuild(kind: type[MeshwrightError], subject: str, received: str | None, expected: str | None,
             remedy: str | None) -> MeshwrightError:
    return kind(subject, received=received, expected=expected, remedy=remedy)


class EngineError(MeshwrightError):
    """A model could not be loaded or run."""


class TensorError(EngineError):
    """A tensor has the wrong name, shape or dtype."""


class ModelFileError(EngineError):
    """A model file is missing, unreadable or not a model."""


class BackendError(EngineError):
    """The vendor's package failed; its own error is the cause."""


class DeviceLost(BackendError):
    """The GPU stopped answering; until the process ends, nothing more can run on it."""


class BackendUnavailable(EngineError):
    """A backend, or a provider of it, is not installed or does not start on this machine."""


class PackError(MeshwrightError):
    """A pack cannot be used."""


class PackNotFound(PackError):
    """There is no such pack."""


class PackCorrupt(PackError):
    """A file of the pack is missing, truncated or altered."""


class PackFormat(PackError):
    """pack.json, or a file it names, is not in a form that this release reads."""


class PackUntrusted(PackError):
    """A pack from elsewhere that the user has not said to trust: its models are programs."""


class InputError(MeshwrightError):
    """A prompt or an option is out of range."""


class OutputError(MeshwrightError):
    """The result cannot be written."""


class EmptyShape(MeshwrightError):
    """A field that a run drew or rebuilt has no surface."""


class ExportError(MeshwrightError):
    """A component cannot be exported, or differs from the model it was made from."""


class CheckpointError(ExportError):
    """A checkpoint is missing, damaged or another one than was asked for."""


class Cancelled(MeshwrightError):
    """The caller stopped the run."""
