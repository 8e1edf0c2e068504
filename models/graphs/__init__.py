"""Graphs made on the spot from the weights of shipped ones, node by node, for ONNX Runtime to run faster."""
