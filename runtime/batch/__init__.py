"""Many meshes from a list of prompts or pictures, by several processes, continued wherever it was stopped.

    from meshwright.runtime.batch import BatchSettings, read_lines, run_batch
    run_batch(read_lines("props.csv"), "out", BatchSettings(), jobs=2)
"""

from .lines import Line, read_lines
from .run import BatchResult, run_batch
from .worker import BatchSettings

__all__ = ["BatchResult", "BatchSettings", "Line", "read_lines", "run_batch"]
