"""What is wrong with a template, and where: the rulebook's own kind of finding."""

from engine.rulebook.findings import Finding

__all__ = ["Finding", "error", "warning"]


def error(path: str, line: int, message: str, *, column: int = 1) -> Finding:
    """Make a finding that keeps the template from being used."""
    return Finding(path, line, column, "error", message)


def warning(path: str, line: int, message: str, *, column: int = 1) -> Finding:
    """Make a finding that should be looked at."""
    return Finding(path, line, column, "warning", message)
