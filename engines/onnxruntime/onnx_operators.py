"""The operators that models may be made of: what our exporter writes and networks of these kinds use, all of ONNX's own domain.

Left out is what holds other graphs (If, Loop, Scan, SequenceMap), draws random numbers, works on text, sequences or optional
values, and whatever lies in other domains. Those on the list do work that is bounded by the sizes of their tensors.
"""

from __future__ import annotations

DOMAINS = ("", "ai.onnx")
MAX_OPSET = 30

_ELEMENTWISE = """Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast CastLike Ceil
Celu Clip Cos Cosh Div Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish Identity IsInf IsNaN LeakyRelu Less
LessOrEqual Log Max Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus
Softsign Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor"""
_REDUCING = """ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
ReduceSumSquare TopK LogSoftmax Softmax Hardmax"""
_LAYERS = """Attention AveragePool BatchNormalization Conv ConvTranspose DequantizeLinear Einsum Gemm GlobalAveragePool GlobalMaxPool
GroupNormalization InstanceNormalization LRN LayerNormalization LpNormalization MatMul MatMulInteger MaxPool MeanVarianceNormalization
QuantizeLinear RMSNormalization RotaryEmbedding"""
_SHAPING = """AffineGrid CenterCropPad Compress Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather
GatherElements GatherND GridSample NonZero OneHot Pad Range Reshape Resize Scatter ScatterElements ScatterND Shape Size Slice
SpaceToDepth Split Squeeze Tile Transpose Trilu Unsqueeze"""
OPERATORS = frozenset(f"{_ELEMENTWISE} {_REDUCING} {_LAYERS} {_SHAPING}".split())

# Inputs that say how large the output is, by position. Where they are constants, they are looked at before the model is opened.
SIZES = {"ConstantOfShape": (0,), "Expand": (1,), "Tile": (1,), "Pad": (1,), "Resize": (2, 3), "Range": (0, 1),
         "CenterCropPad": (1,), "OneHot": (1,), "AffineGrid": (1,)}
MAX_ELEMENTS = 1 << 27  # of a tensor whose size a model spells out: a gigabyte of the widest type

# Whole numbers that name axes are small, all others are no larger than a kernel, a group or a number of outputs can be.
AXES = frozenset({"axis", "axes", "batch_dims", "perm", "start", "end", "batch_axis", "time_axis", "scan_input_axes"})
NOT_NEGATIVE = frozenset({"batch_dims", "perm", "strides", "dilations", "kernel_shape", "group", "num_outputs", "blocksize",
                          "num_groups", "q_num_heads", "kv_num_heads", "output_padding", "output_shape", "block_size"})
MAX_AXIS, MAX_NUMBER = 16, 1 << 16
