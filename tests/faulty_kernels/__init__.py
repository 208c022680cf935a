"""Kernels with one fault each, after published ones and after what people write, and right ones in several styles."""
