"""Kernels for graphics cards, in Triton's language."""
