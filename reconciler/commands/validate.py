"""`pinata-reconciler validate`."""

import os
from pathlib import Path

import click

from reconciler import report
from reconciler.commands import options, passes
from reconciler.manifest import manifests

_EPILOG = """
\b
examples:
  pinata-reconciler validate manifests/
  pinata-reconciler validate --offline manifests/prod.yaml -o json
"""


@click.command("validate", epilog=_EPILOG)
@options.paths
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
@click.option("--offline", is_flag=True, help="Do not look at variables and files that references name.")
def command(paths: tuple[Path, ...], output: str, offline: bool) -> int:
    """Check the manifests in PATH (files or folders; default: here), all of them, without a call to anybody.

    Prints every problem as FILE:LINE:COLUMN. Exit codes: 0 none, 1 some.
    """
    # A check that asks nobody (a fork's, say) need not know where Vault is.
    nowhere = {} if os.environ.get("VAULT_ADDR") or not offline else {"VAULT_ADDR": "https://vault.invalid"}
    manifest = passes.load(paths, {**os.environ, **nowhere})
    problems = list(manifest.problems)
    if not offline:
        problems += manifests.local_problems(manifest, os.environ)
    count = len(manifest.accounts)
    if output == "text":
        for problem in problems:
            click.echo(str(problem))
        click.echo(f"{manifest.files} file(s), {count} account(s), {len(problems)} problem(s)")
    else:
        data = {
            "fleet": manifest.fleet,
            "files": manifest.files,
            "accounts": count,
            "problems": [
                {
                    "file": problem.place.file,
                    "line": problem.place.line,
                    "column": problem.place.column,
                    "message": problem.message,
                    "hint": problem.hint or None,
                }
                for problem in problems
            ],
        }
        click.echo(report.as_json(data) if output == "json" else report.as_yaml(data))
    return 1 if problems else 0
