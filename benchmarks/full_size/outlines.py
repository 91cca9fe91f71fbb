"""Packs and PyTorch modules without weights, written by the exporter from checkpoints in which one number stands for all values of a
tensor; and the weights that they are given later: drawn from seeds, with the deviations that the layers' names and shapes ask for.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from meshwright.engines.files.trust import EXPORTED, trust
from meshwright.export.onnx.onnx_file import save
from meshwright.export.onnx.weight_names import TRANSPOSED
from meshwright.export.pack.writer import hashes
from meshwright.export.spec import ComponentSpec
from meshwright.runtime.pack.pack import BUNDLED

from .fields import coarse_ball, reconstructed_ball
from .job import Job
from .published import write as write_published
from .weights import plain

RECIPE, PROPS = "recipe.json", "props"
# Halves from 2**-6 on stand for the parameters of a component, one each: tensors of the same numbers would be merged. None of them
# is a constant that occurs in a graph. Buffers of more bytes than LARGE are tables in 8 bits.
FIRST, LARGE = 0x2400, 1 << 20
# By the name of an initializer, the name and the shape of the parameter that it holds.
Parameters = Mapping[str, tuple[str, list[int]]]


def write_pack_outline(job: Job, modules: Path) -> None:
    """A published layout's pack, its graphs without weights; RECIPE, the Parameters of each file; and `modules`/NAME/KIND.pt."""
    write_published(job.files, job.sizes, job.published, None)
    plan, numbers = job.plan(), {}

    def outlined() -> Iterator[ComponentSpec]:
        for spec in plan.components():
            numbers[spec.file] = _outline(spec.module)
            _save_module(spec, modules / job.name)
            yield replace(spec, reference=_Nothing(len(spec.outputs)))

    replace(plan, components=outlined).write(job.target, job.name, check_parity=False, largest_file=0)
    recipe = {name: _leave_weights_out(job.target / name, known) for name, known in numbers.items()}
    (job.target / RECIPE).write_text(json.dumps(recipe), "utf-8")
    with np.load(job.target / "golden.npz") as golden:
        inputs = {key: golden[key] for key in golden.files if key.count("/") == 2 and "/in/" in key}
    np.savez_compressed(job.target / "golden.npz", **inputs)


def write_bundled_modules(scratch: Path, modules: Path) -> None:
    """`modules`/KIND.pt of each component of the bundled pack. scratch : a folder for checkpoints"""
    # Not where packs are filled: that machine need not have what trains them.
    from meshwright.export.props.pack import components
    from meshwright.export.props.restore import latent_scaling, networks, write_checkpoints

    made = networks()
    scaling = latent_scaling(made["vae"], BUNDLED / PROPS)
    for module in made.values():
        _outline(module)
    write_checkpoints(scratch, {name: module.state_dict() for name, module in made.items()}, *scaling)
    for spec in components(scratch):
        _outline(spec.module)
        _save_module(spec, modules)


def _outline(module: nn.Module) -> dict[float, tuple[str, list[int]]]:
    """Let one number stand for all of each parameter. Returns name and shape of each by its number."""
    found = {}
    for i, (name, parameter) in enumerate(module.named_parameters()):
        number = torch.from_numpy(np.array(FIRST + i, np.uint16).view(np.float16)).to(parameter.dtype)
        parameter.data = number.expand(parameter.shape)
        found[float(number)] = name, list(parameter.shape)
    for buffer in (each for each in module.buffers() if each.nbytes > LARGE):
        buffer.data = torch.zeros(1, dtype=buffer.dtype).expand(buffer.shape)
    return found


def _save_module(spec: ComponentSpec, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"module": spec.module, "inputs": [tensor.name for tensor in spec.inputs], "outputs": spec.outputs}
    torch.save(document, folder / f"{spec.kind}.pt")


class _Nothing(nn.Module):
    """Stands where a network would be asked for golden outputs, which an outline cannot give."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self._outputs = outputs

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (torch.zeros(1),) * self._outputs


def _leave_weights_out(path: Path, numbers: Mapping[float, tuple[str, list[int]]]) -> Parameters:
    """Rewrite a graph without the weights that are outlines. Returns which parameter each of them is, and its shape."""
    model, found = ir.load(path), {}
    for name, value in model.graph.initializers.items():
        tensor = value.const_value.numpy()
        parameter = numbers.get(float(tensor.flat[0])) if tensor.dtype.kind == "f" and tensor.size else None
        if parameter is not None and (tensor == tensor.flat[0]).all():
            found[name] = parameter
            value.const_value = ir.ExternalTensor("left_out", 0, tensor.nbytes, value.dtype, shape=value.shape, name=name, base_dir=".")
        else:
            value.const_value = ir.tensor(np.array(tensor), name=name)
    ir.save(model, path)
    path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    return found


def fill_outlines(folder: Path) -> None:
    """Give all packs in `folder` weights, on all cores: files, hashes and trust are then as the exporter leaves them."""
    packs = [path.parent for path in sorted(folder.glob(f"*/{RECIPE}"))]
    jobs = [(pack / name, parameters) for pack in packs for name, parameters in json.loads((pack / RECIPE).read_text()).items()]
    jobs.sort(key=lambda job: -sum(np.prod(shape) for _, shape in job[1].values()))
    with ProcessPoolExecutor() as pool:
        list(pool.map(_fill_graph, *zip(*jobs, strict=True)) if jobs else ())
        for pack, found in zip(packs, pool.map(hashes, packs), strict=True):
            document = json.loads((pack / "pack.json").read_text("utf-8"))
            document["files"] = {name: entry for name, entry in found.items() if name not in ("pack.json", RECIPE)}
            text = json.dumps(document, indent=1).encode()
            (pack / "pack.json").write_bytes(text)
            trust(pack, hashlib.sha256(text).hexdigest(), EXPORTED)


def _fill_graph(path: Path, parameters: Parameters) -> None:
    model = ir.load(path)
    for name, (parameter, shape) in parameters.items():
        value = model.graph.initializers[name]
        value.const_value = ir.LazyTensor(partial(_values, parameter, tuple(shape), value), value.dtype, value.shape, name=name)
    save(model, path)


def _values(parameter: str, shape: tuple[int, ...], value: ir.Value) -> ir.TensorProtocol:
    """A parameter's values as the graph stores them: with its axes exchanged, in another shape, or repeated."""
    name = re.sub(r"^(module\.)?(?=decoder\.net)", "synthesizer.", re.sub(r"^(module|decoder)\.(?!net|decoder)", "", parameter))
    values = plain(name, shape, np.random.default_rng(list(name.encode())))
    values = reconstructed_ball(name, coarse_ball(name, values)).astype(value.dtype.numpy())
    values = values.T if value.name.removesuffix(".half").endswith(TRANSPOSED) else values
    stored = tuple(value.shape.numpy())
    values = values.reshape(stored) if values.size == np.prod(stored) else np.broadcast_to(values, stored)
    return ir.tensor(np.ascontiguousarray(values), name=value.name)
