"""Networks from and to the frameworks: `interop.torch` and `interop.onnx`.

Each module imports its framework when one of its functions is called, not before.
"""
