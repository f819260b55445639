"""The command line: one word for each question or job; a command's module is imported when the word is typed."""

from difflib import get_close_matches
from importlib import import_module

import click

from engine.errors import RingfirstError

WORDS = {
    "init": "init:init",
    "check": "check:check",
    "test": "cases:test",
    "templates": "templates:templates",
    "schema": "schema:schema",
    "import": "importing:import_",
    "run": "run:run",
    "worker": "worker:worker",
    "intake": "intake:intake",
    "web": "web:web",
    "topics": "topics:topics",
    "publish": "publish:publish",
    "status": "status:status",
    "lag": "lag:lag",
    "offsets": "offsets:offsets",
    "relane": "relaning:relane",
    "who": "who:who",
    "accounts": "accounts:accounts",
    "decisions": "decisions:decisions",
    "explain": "explain:explain",
    "backtest": "backtest:backtest",
    "outcomes": "outcomes:outcomes",
    "reports": "reports:reports",
    "replay": "replay:replay",
    "rules": "rules:rules",
    "outreach": "outreach:outreach",
    "send": "send:send",
    "feedback": "feedback:feedback",
    "suppressions": "suppressions:suppressions",
    "dead-letters": "dead_letters:dead_letters",
    "forget": "forget:forget",
    "demo": "demo:demo",
    "doctor": "doctor:doctor",
}
"""The words in the order in which a person meets them, and where each lives."""


class FrontDoor(click.Group):
    """Finds commands by their word and turns refusals into a message on stderr and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every word, in the order of the way through."""
        return list(WORDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of a word."""
        if cmd_name not in WORDS:
            return None
        module, _, name = WORDS[cmd_name].partition(":")
        command = getattr(import_module(f"ringfirst.commands.{module}"), name)
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self,
        ctx: click.Context,
        args: list[str],
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, with a suggestion for a word that is none."""
        near = get_close_matches(args[0], WORDS, n=1)
        if args[0] not in WORDS and near and not args[0].startswith("-"):
            ctx.fail(f"{args[0]}: there is no such command; did you mean 'ringfirst {near[0]}'?")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what Ringfirst refuses to do is said in its own words."""
        try:
            return super().invoke(ctx)
        except RingfirstError as err:
            from ringfirst.answers import shown

            for line in str(err).splitlines():
                click.echo(f"ringfirst: {shown(line)}", err=True)
            ctx.exit(2)


@click.group(cls=FrontDoor, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="ringfirst", message="%(prog)s %(version)s")
def main() -> None:
    """Watches how customers use a product and what they ask support, and reaches out before they ring.

    Start with: ringfirst demo. Then: ringfirst init my-rules.
    """
