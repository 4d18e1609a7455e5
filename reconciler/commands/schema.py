"""`pinata-reconciler schema`."""

from importlib.resources import files

import click

_EPILOG = """
\b
example, and the first line of a manifest that uses it:
  pinata-reconciler schema > schema.json
  # yaml-language-server: $schema=schema.json
"""


@click.command("schema", epilog=_EPILOG)
def command() -> None:
    """Print the JSON Schema of manifests: editors complete and check by it."""
    click.echo(files("reconciler.manifest").joinpath("schema.json").read_text(), nl=False)
