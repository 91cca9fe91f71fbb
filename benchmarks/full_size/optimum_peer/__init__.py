"""The refiner by optimum-onnx beside ours: what a Python user would take."""
