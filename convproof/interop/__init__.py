"""Files of other programs become spec Networks. Nothing is imported until a file is read: `convproof.interop.onnx`."""
