"""The front door: command line, settings and the wiring of the parts; it knows all others."""
