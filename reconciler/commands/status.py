"""`pinata-reconciler status`."""

from pathlib import Path

import click

from reconciler.commands import options, passes
from reconciler.guards import Verdict

_EPILOG = """
\b
examples:
  pinata-reconciler status manifests/
  pinata-reconciler status -o json | jq '.accounts[] | select(.condition != "Ready")'
"""


@click.command("status", epilog=_EPILOG)
@options.paths
@options.output
@options.workers
@options.rate
def command(paths: tuple[Path, ...], output: str, workers: int, rate: float) -> int:
    """Show how every account declared in PATH stands, those in order too. Exit codes as for plan."""
    manifest = passes.load(paths)
    with passes.upstreams(workers, rate) as access:
        plan = passes.look(manifest, access, workers)
    passes.print_plan(plan, Verdict(), output, all_rows=True)
    return passes.plan_code(plan)
