"""One side of `optimum_peer`: the refiner's UNet exported by optimum-onnx or by us, and its denoising loop on ONNX Runtime's CPU provider.

    python -m benchmarks.full_size.optimum_peer.side export SIDE CHECKPOINT FILE LATENT-HEIGHT LATENT-WIDTH
    python -m benchmarks.full_size.optimum_peer.side serve SIDE FILE THREADS

SIDE is "optimum" (in an environment with optimum-onnx) or "ours". optimum's graph is the bare UNet: guidance and diffusers' DDIM are
run around it on the host, as diffusers' pipelines do. Ours holds all of the step.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ...harness.worker import serve

GUIDANCE = 3.0
Inputs = dict[str, np.ndarray]


def export_by_optimum(checkpoint: Path, file: Path) -> None:
    """FP32, which is its default, with its own choice of opset."""
    import torch
    from diffusers import UNet2DConditionModel
    from optimum.exporters.onnx import export
    from optimum.exporters.onnx.model_configs import UNetOnnxConfig

    unet = UNet2DConditionModel.from_pretrained(checkpoint, torch_dtype=torch.float32)
    config = UNetOnnxConfig(unet.config, task="semantic-segmentation")
    file.parent.mkdir(parents=True, exist_ok=True)
    export(unet, config, file)


def export_by_us(checkpoint: Path, file: Path, latent: tuple[int, int]) -> None:
    """As `meshwright export sharp-it` does it, weights stored in FP16; without the comparison with PyTorch that follows there."""
    from meshwright.export.components.refiner import refiner
    from meshwright.export.onnx.onnx_file import write_onnx
    from meshwright.export.published import folders

    from ..configs import TOKENS

    network = folders.unet(checkpoint, in_channels=8)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_onnx(refiner(network.load(), latent, (TOKENS, network.config["cross_attention_dim"])), file)


class Loop:
    """Its public methods are the requests. Opening the file is what the worker does before it is ready."""

    def __init__(self, side: str, file: str, threads: str) -> None:
        opened = {"optimum": _optimum_loop, "ours": _our_loop}[side]
        self._loop = opened(Path(file), int(threads))

    def run(self, *, inputs: str, steps: int, made: str) -> dict[str, float]:
        """The loop on the latents in the file `inputs`; what it made goes to the file `made`. Seconds of the clock and of all cores."""
        with np.load(inputs) as file:
            arrays = dict(file)
        began, used = time.perf_counter(), time.process_time()
        latent = self._loop(arrays, steps)
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        np.save(made, latent)
        from meshwright.engines.machine.memory import peak_bytes

        return {"seconds": seconds, "processor": processor, "peak_bytes": peak_bytes()}


def _our_loop(file: Path, threads: int) -> Callable[[Inputs, int], np.ndarray]:
    from meshwright.engines import open_engine
    from meshwright.runtime.diffusion.schedules import make_table

    engine = open_engine(file, threads=threads)

    def loop(inputs: Inputs, steps: int) -> np.ndarray:
        table = make_table({"kind": "ddim", "prediction": "v", "spacing": "trailing"}, steps, GUIDANCE)
        latent = inputs["latent"]
        carry = {"latent": latent, "previous": np.zeros_like(latent)}
        per_step = {"row": table.rows, "noise": np.zeros((len(table.rows), *latent.shape), np.float32)}
        return engine.scan(carry, per_step, {"states": inputs["states"], "coarse": inputs["coarse"]})["latent"]

    return loop


def _optimum_loop(file: Path, threads: int) -> Callable[[Inputs, int], np.ndarray]:
    import onnxruntime
    import torch
    from diffusers import DDIMScheduler

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear", prediction_type="v_prediction",
                              timestep_spacing="trailing", clip_sample=False)
    kind = {tensor.name: np.dtype(tensor.type[7:-1].replace("float", "float32").replace("float3216", "float16"))
            for tensor in session.get_inputs()}["timestep"]

    def loop(inputs: Inputs, steps: int) -> np.ndarray:
        scheduler.set_timesteps(steps)
        latent = torch.from_numpy(inputs["latent"]) * scheduler.init_noise_sigma
        coarse = torch.from_numpy(inputs["coarse"])
        for timestep in scheduler.timesteps:
            seen = torch.cat([scheduler.scale_model_input(latent, timestep), coarse], dim=1)
            given = {"sample": torch.cat([seen, seen]).numpy(), "timestep": np.array(timestep, kind).reshape(session_shape),
                     "encoder_hidden_states": inputs["states"]}
            without, with_text = torch.from_numpy(session.run(None, given)[0]).chunk(2)
            latent = scheduler.step(without + GUIDANCE * (with_text - without), timestep, latent, return_dict=False)[0]
        return latent.numpy()

    session_shape = [1] * len(next(tensor.shape for tensor in session.get_inputs() if tensor.name == "timestep"))
    return loop


def main() -> None:
    verb, side, *arguments = sys.argv[1:]
    if verb == "serve":
        serve(lambda: Loop(side, *arguments))
    elif side == "optimum":
        export_by_optimum(Path(arguments[0]), Path(arguments[1]))
    else:
        export_by_us(Path(arguments[0]), Path(arguments[1]), (int(arguments[2]), int(arguments[3])))


if __name__ == "__main__":
    main()
