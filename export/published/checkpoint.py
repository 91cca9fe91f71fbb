"""Weights from files, safetensors, PyTorch's pickles and sharded ones, mapped from disk and never executed; and into a module that has
exactly those, without a second copy of either.

A file's pages are read when a tensor is used, so looking at names and shapes costs next to nothing.
"""

from __future__ import annotations

import os
import pickle
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import safetensors
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ...engines.errors import CheckpointError
from ...engines.files.regular_file import open_regular
from .json_file import LFS_POINTER, pointer_error, read_object

AGAIN = "download the file again"
SMALLEST, LARGEST = 16, 1 << 40  # bytes; nothing that holds a tensor is shorter, and no network here is as large
# What fills a tensor with nothing or with chance: only parameters are made so, and the checkpoint has them all.
_UNFILLED = {torch.empty, torch.rand, torch.randn}
# Levels of names that transformers 5 does without, and buffers that were once saved.
_OLD_PREFIXES = ("text_model.", "vision_model.")
_OLD_BUFFERS = re.compile(r"(?:.*\.)?embeddings\.position_ids\Z")
# diffusers' AttentionBlock, which autoencoders had before 0.17.
_OLD_ATTENTION = re.compile(r"(.*\.attentions\.\d+)\.(query|key|value|proj_attn)\.(weight|bias)\Z")
_NEW_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}

Build = Callable[[], nn.Module]


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
    with open_regular(path, str(path), CheckpointError, max_bytes=LARGEST) as stream:
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
        raise CheckpointError(f"{index} is not an index of shards", expected='"weight_map", from tensors to files beside it')
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
    return CheckpointError(f"{path} is damaged or not a PyTorch checkpoint",
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


def load_strict(build: Build, tensors: Mapping[str, Tensor], subject: str) -> nn.Module:
    """The module that `build` makes, with those weights in FP32, in eval mode and without gradients.

    tensors : any floating dtype; those in FP32 are used as they are, mapped from their file if they were
    subject : what messages call the checkpoint, such as "the text encoder in DIR"
    Spellings of older diffusers and transformers are understood. Raises CheckpointError as `check_strict` does.
    """
    module, tensors = _matched(build, tensors, subject)
    module.load_state_dict({name: _fp32(tensor) for name, tensor in tensors.items()}, strict=True, assign=True)
    left = [name for name, tensor in [*module.named_parameters(), *module.named_buffers()] if tensor.is_meta]
    if left:
        raise CheckpointError(f"{subject} does not fill its module", received=listing(left, "left empty"))
    return module.eval().requires_grad_(False)


def check_strict(build: Build, tensors: Mapping[str, Tensor], subject: str) -> None:
    """Compare names and shapes only. Raises CheckpointError that lists what is missing, extra or of another shape."""
    _matched(build, tensors, subject)


def _matched(build: Build, tensors: Mapping[str, Tensor], subject: str) -> tuple[nn.Module, dict[str, Tensor]]:
    module = _skeleton(build, subject)
    expected = module.state_dict()
    tensors = _respelled(tensors, expected)
    missing = [name for name in expected if name not in tensors]
    extra = [name for name in tensors if name not in expected]
    shapes = [f"{name} {tuple(tensors[name].shape)} and not {tuple(tensor.shape)}" for name, tensor in expected.items()
              if name in tensors and tensors[name].shape != tensor.shape]
    problems = [(missing, "missing"), (extra, "extra"), (shapes, "of another shape")]
    found = "; ".join(listing(names, what) for names, what in problems if names)
    if found:
        raise CheckpointError(f"{subject} does not have the tensors of {type(module).__name__}", received=found,
                              expected=f"{len(expected)} tensors", remedy="give the checkpoint that belongs to this option, as published")
    return module, tensors


class _WithoutMemory(TorchFunctionMode):
    """Makes the parameters on the meta device, but calculates what is calculated, such as position ids.

    Under torch.device("meta") buffers that no checkpoint holds would be lost.
    """

    def __torch_function__(self, function: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        options = dict(kwargs or {})
        if function in _UNFILLED and options.get("device") is None:
            options["device"] = "meta"
        return function(*args, **options)


def _skeleton(build: Build, subject: str) -> nn.Module:
    try:
        with _WithoutMemory(), torch.random.fork_rng(devices=[]):
            return build()
    # The user's configuration goes through the constructors of other packages, which may raise anything.
    except Exception as error:
        raise CheckpointError(f"{subject} has a configuration from which no module can be built",
                              received=f"{type(error).__name__}: {error}", remedy="give its config.json as it was published") from error


def _respelled(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the names that today's libraries use; a name that is as expected stays."""
    found = {}
    for name, tensor in tensors.items():
        if name not in expected:
            if _OLD_BUFFERS.match(name):
                continue
            name, tensor = _new_name(name, expected), _new_shape(name, tensor)
        found[name] = tensor
    return found


def _new_name(name: str, expected: Mapping[str, Tensor]) -> str:
    candidates = [name.removeprefix(prefix) for prefix in _OLD_PREFIXES]
    old = _OLD_ATTENTION.match(name)
    candidates += [f"{old[1]}.{_NEW_ATTENTION[old[2]]}.{old[3]}"] if old else []
    return next((candidate for candidate in candidates if candidate in expected), name)


def _new_shape(name: str, tensor: Tensor) -> Tensor:
    """Some of the old attention blocks were saved as 1x1 convolutions."""
    return tensor[..., 0, 0] if _OLD_ATTENTION.match(name) and tensor.shape[2:] == (1, 1) else tensor


def _fp32(tensor: Tensor) -> Tensor:
    return tensor.detach().to(torch.float32) if tensor.is_floating_point() else tensor.detach()
