"""``ringfirst init``: a rulebook to begin with."""

from pathlib import Path

import click


@click.command(short_help="Make a folder with the starter rules and templates.")
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Make DIR with a rulebook to begin with: starter rules, each with its cases, and their templates."""
    import shutil

    from engine.errors import UsageError
    from ringfirst.answers import talk
    from ringfirst.rulebooks import starter

    taken = [name for name in ("rules", "templates") if (directory / name).exists()]
    if taken:
        raise UsageError(
            f"{directory}: there is a rulebook already; found {taken[0]}/; nothing is overwritten, name another folder"
        )
    try:
        for name in ("rules", "templates"):
            shutil.copytree(starter() / name, directory / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))
    except OSError as err:
        raise UsageError(f"{directory}: cannot be written; {err.strerror or err}; name another folder") from err
    talk(f"made {directory}/rules and {directory}/templates")
    talk("")
    talk("next:")
    talk(f"  ringfirst check --rules {directory}          see that it is whole")
    talk(f"  ringfirst test --rules {directory}           run the cases that the rules carry")
    talk(f"  ringfirst import FILE --rules {directory}    take in events and let it decide")
