"""The formats that the intake reads: one module each, told in ``streams.mapping``."""
