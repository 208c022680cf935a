"""Kernels of libraries that are right, each as the oracle is told of it: KERNELS lists (operation, forward, vjp, options
of the check, ranks).
"""
