"""What the card can do at the most: a large FP16 matrix product, and a large copy within its memory."""

from __future__ import annotations

from statistics import median
from typing import Any

from .gpu_clock import StreamClock, TorchClock

SIDES, ROUNDS, WARM_UP = (4096, 8192, 16384), 10, 3
COPIED = 1 << 30


def peaks() -> dict[str, Any]:
    """"matrix_flops": operations a second of the best square product, None without PyTorch; "copy_bytes": bytes read and written."""
    found = {"matrix_flops": None, "matrix_side": None, "copy_bytes": copy_rate(), "why_not": None}
    try:
        import torch

        if not torch.cuda.is_available():
            return {**found, "why_not": f"PyTorch {torch.__version__} sees no GPU"}
    except ImportError as error:
        return {**found, "why_not": str(error)}
    rates = {side: _product_rate(side) for side in SIDES}
    best = max(rates, key=rates.__getitem__)
    return {**found, "matrix_flops": rates[best], "matrix_side": best}


def _product_rate(side: int) -> float:
    import torch

    # Random numbers: a product of zeros draws less power and runs faster.
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.float16) for _ in range(2))
    clock = TorchClock()
    for _ in range(WARM_UP):
        a @ b
    return 2 * side**3 / (median(clock.milliseconds(lambda: a @ b) for _ in range(ROUNDS)) / 1000)


def copy_rate() -> float:
    """Bytes a second, those that are read and those that are written counted."""
    from meshwright.engines.cuda.device import Cuda

    cuda = Cuda()
    source, target = cuda.allocate(COPIED), cuda.allocate(COPIED)
    clock = StreamClock(cuda)
    times = [clock.milliseconds(lambda: cuda.copy(source, target, COPIED)) for _ in range(WARM_UP + ROUNDS)]
    cuda.free(source)
    cuda.free(target)
    cuda.close()
    return 2 * COPIED / (median(times[WARM_UP:]) / 1000)
