"""Benchmarks: ``python -m bench`` prints what an event costs, step by step, on this machine."""
