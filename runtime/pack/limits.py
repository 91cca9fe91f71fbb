"""How large the numbers in a pack, and in a request, may be: what the program can serve."""

from __future__ import annotations

MAX_STEPS, MAX_TRAIN_STEPS = 1000, 10_000
MAX_GUIDANCE = 100.0
MAX_FACES = 1_000_000
TEXTURES = (64, 128, 256, 512, 1024, 2048, 4096, 8192)
MAX_TOKENS = 4096
MAX_VIEW, MAX_VIEWS = 4096, 64  # pixels along a view, and how many of them
RESOLUTION, STRIDE = (2, 512), (1, 64)
LENGTH = (1e-4, 1e4)  # in world units, or a factor between units
ANGLE, HIGHEST_ELEVATION, FOV = (-360.0, 360.0), 89.9, (1.0, 170.0)  # degrees; straight down, a camera has no up
MAX_RANK = 8
MAX_LATENTS = 1 << 24  # values of one set of latents
MAX_TENSORS, MAX_TENSOR = 256, 1 << 31  # inputs or outputs of a model, and values of one
MAX_COMPONENTS, MAX_NOTES = 64, 256
DTYPES = ("float32", "float16", "float64", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
