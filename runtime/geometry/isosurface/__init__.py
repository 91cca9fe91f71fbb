"""From a field to a mesh: sparse evaluation and dual marching cubes with learned weights."""

from .extract import extract
from .sparse_field import SparseField, evaluate_sparse

__all__ = ["SparseField", "evaluate_sparse", "extract"]
