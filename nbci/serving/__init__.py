"""Serve released ONNX models over HTTP: the Open Inference Protocol, batches, metrics."""
