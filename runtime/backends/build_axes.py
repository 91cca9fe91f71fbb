"""How long the open axes of a pack's networks get: tight, because scratch memory grows with the largest shape."""

from __future__ import annotations

from ...engines import EngineSpec
from ...engines.errors import PackError
from ...engines.tensorrt.network import Range

# Points in one query of a field, and cubes in one of its weights, as `isosurface.extract` asks for them. Whoever has more
# asks several times.
CHUNK = 1 << 16
RANGES = {"batch": Range(1, 1, 2), "points": Range(1, CHUNK, CHUNK), "cubes": Range(1, CHUNK // 8, CHUNK // 8)}


def ranges_of(spec: EngineSpec) -> dict[str, Range]:
    """A range for each open axis of a component's inputs. PackError for an axis that no recipe knows."""
    opened = dict.fromkeys(axis for tensor in spec.inputs for axis in tensor.shape if isinstance(axis, str))
    for axis in opened:
        if axis not in RANGES:
            raise PackError("an open axis has no known range", received=axis, expected=", ".join(RANGES))
    return {axis: RANGES[axis] for axis in opened}
