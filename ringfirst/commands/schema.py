"""``ringfirst schema``: the language of rules for editors."""

import click


@click.command(short_help="Print the JSON schema of rule files, for editors.")
def schema() -> None:
    """Print the JSON schema of rule files: editors complete and check them with it."""
    from engine.rulebook.schema import json_schema
    from ringfirst.answers import print_json

    print_json(json_schema())
