"""Faults of kernels by name: what a kernel with each would return, so that a wrong result can be recognised.

A fault is a function of a case and its arrays to what would come out, by part (y, or an operand's gradient): one array,
or several where a fault may show in several ways, such as with the right shape or its own.
"""
