"""Weights from files: safetensors, PyTorch's pickles and sharded ones, mapped from disk and never executed.

A file's pages are read when a tensor is used, so looking at names and shapes costs next to nothing.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors
import torch
from torch import Tensor

from ...engines.errors import CheckpointError
from ...engines.files.regular_file import open_regular
from .json_file import LFS_POINTER, pointer_error, read_object

AGAIN = "download the file again"
SMALLEST, LARGEST = 16, 1 << 40  # bytes; nothing that holds a tensor is shorter, and no network here is as large


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Name to tensor, of any dtype, mapped from the file where its format allows.

    path : .safetensors; a pickle of `torch.save`, whose tensors may lie under "state_dict"; or the
        index of a sharded checkpoint (*.index.json)
    Raises CheckpointError: missing, empty, truncated, a pointer of Git LFS, or a pickle of more than tensors.
    """
    path = Path(path)
    _check_file(path)
    if path.name.endswith(".index.json"):
        return _read_shards(path)
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that `read_tensors` reads: `path`, and the shards if it is an index."""
    if not path.name.endswith(".index.json"):
        return (path,)
    return (path, *(path.parent / name for name in sorted(set(_weight_map(path).values()))))


def _check_file(path: Path) -> None:
    if os.path.isdir(path):
        raise CheckpointError(f"{path} is a folder", expected="a file of weights")
    if not os.path.lexists(path):
        raise CheckpointError(f"{path} does not exist", expected="a file of weights")
    with open_regular(path, str(path), CheckpointError, most=LARGEST) as stream:
        head = stream.read(64)
    if head.startswith(LFS_POINTER.encode()):
        raise pointer_error(path)
    if len(head) < SMALLEST:
        raise CheckpointError(f"{path} holds no weights", received=f"{len(head)} bytes", remedy=AGAIN)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with safetensors.safe_open(path, "pt") as stream:
            return {name: stream.get_tensor(name) for name in stream.keys()}
    # Besides its own error, whatever PyTorch says to types and shapes that it does not make tensors of.
    except (safetensors.SafetensorError, OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError,
            OverflowError) as error:
        raise CheckpointError(f"{path} is damaged", received=f"{path.stat().st_size} bytes: {error}",
                              expected="a whole safetensors file", remedy=AGAIN) from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    names = _weight_map(index)
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(names.values())):
        tensors |= read_tensors(index.parent / file)
    absent = [name for name, file in names.items() if name not in tensors]
    if absent:
        raise CheckpointError(f"the shards of {index} lack tensors", received=listing(absent, "missing"), remedy=AGAIN)
    return tensors


def _weight_map(index: Path) -> dict[str, str]:
    names = read_object(index)[0].get("weight_map")
    if not isinstance(names, dict) or not all(_is_plain_name(file) for file in names.values()):
        raise CheckpointError(f"{index} is no index of shards", expected='"weight_map", from tensors to files beside it')
    return names


def _is_plain_name(file: Any) -> bool:
    return isinstance(file, str) and PurePosixPath(file).name == file and "\\" not in file


def _read_pickle(path: Path) -> dict[str, Tensor]:
    document = _unpickle(path)
    document = document.get("state_dict", document) if isinstance(document, Mapping) else document
    if not isinstance(document, Mapping):
        raise CheckpointError(f"{path} holds no named tensors", received=type(document).__name__,
                              expected="a dictionary from names to tensors")
    tensors = {name: value for name, value in document.items() if isinstance(name, str) and isinstance(value, Tensor)}
    if not tensors:
        raise CheckpointError(f"{path} holds no named tensors", received=listing(map(str, document), "entries"),
                              expected='tensors, or a dictionary of them under "state_dict"')
    return tensors


def _unpickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=_is_zip(path))
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise _damaged(path, error) from error
        raise CheckpointError(f"{path} is a pickle that holds more than tensors", received=refused[1], expected="tensors only",
                              remedy=f"{refused[1]} was refused and nothing in the file was executed; use the published file") from error
    # What a damaged pickle makes torch.load stumble over is not specified: KeyError, EOFError and more were seen.
    except Exception as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    reason = str(error).rpartition("WeightsUnpickler error:")[2].strip().partition("\n")[0].partition(". ")[0]
    return CheckpointError(f"{path} is damaged or no PyTorch checkpoint",
                           received=f"{path.stat().st_size} bytes ({type(error).__name__}: {reason})",
                           expected="a file of torch.save", remedy=AGAIN)


def _is_zip(path: Path) -> bool:
    """Whether torch.load can map the file: the format before PyTorch 1.6 cannot be mapped."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PK\x03\x04"


def listing(names: Iterable[str], what: str, most: int = 20) -> str:
    """Such as "23 missing: a, b, ... and 3 more"."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{len(names)} {what}: {', '.join(names[:most])}{more}"
