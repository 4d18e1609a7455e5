"""`pinata-reconciler plan`."""

from pathlib import Path
from typing import Any

import click

from reconciler import planfile
from reconciler.commands import options, passes
from reconciler.guards import judge

_EPILOG = """
\b
examples:
  pinata-reconciler plan manifests/
  pinata-reconciler plan manifests/ -o markdown > comment.md
  pinata-reconciler plan manifests/ --out plan.json

\b
exit codes: 0 all as declared, 1 an account cannot be had as declared, 2 changes pending
"""


@click.command("plan", epilog=_EPILOG)
@options.paths
@options.output
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Save the plan, for `apply FILE`.")
@options.workers
@options.rate
@options.limits
def command(paths: tuple[Path, ...], output: str, out: Path | None, workers: int, rate: float, **guards: Any) -> int:
    """Show what apply would do to the accounts declared in PATH (files or folders; default: here).

    Reads only. A line that means an outage for those who use a key says so and names its Vault path.
    """
    manifest = passes.load(paths)
    with passes.upstreams(workers, rate) as access:
        plan = passes.look(manifest, access, workers)
    verdict = judge(plan, options.limits_of(guards), today=passes.now().date().isoformat())
    passes.print_plan(plan, verdict, output)
    if out:
        planfile.save(plan, paths or passes.HERE, out)
    return passes.plan_code(plan)
