"""`pinata-reconciler doctor`."""

import os
from pathlib import Path

import click

from reconciler import report, terminal
from reconciler.commands import options, passes
from reconciler.doctor import Finding, Level, examine

_EPILOG = """
\b
examples:
  pinata-reconciler doctor manifests/
  pinata-reconciler doctor manifests/ -o json | jq '.[] | select(.level != "ok")'

\b
exit codes: 0 nothing stands in the way, 1 something does
"""


@click.command("doctor", epilog=_EPILOG)
@options.paths
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
@options.workers
@options.rate
def command(paths: tuple[Path, ...], output: str, workers: int, rate: float) -> int:
    """Check credentials, Vault logins and capabilities, inventories, open intents and escrow; say what to do.

    Changes nothing.
    """
    manifest = passes.load(paths)
    with (
        passes.upstreams(workers, rate) as access,
        terminal.progress("examining", len(manifest.accounts)) as advance,
    ):
        findings = examine(manifest, access, os.environ, workers=workers, seen=advance)
    if output == "text":
        for alike in report.together(findings, _stands_for):
            finding, count = alike[0], f" ({len(alike)})" if len(alike) > 1 else ""
            subjects = report.names([each.subject for each in alike])
            click.echo(f"{finding.level.value:<8} {subjects}{count}: {finding.message}")
            if finding.todo:
                click.echo(f"         {finding.todo}")
        bad = sum(finding.level is Level.BAD for finding in findings)
        click.echo(f"{len(findings)} finding(s), {bad} of them in the way")
    else:
        data = [
            {"subject": f.subject, "level": f.level.value, "message": f.message, "todo": f.todo or None}
            for f in findings
        ]
        click.echo(report.as_json(data) if output == "json" else report.as_yaml(data))
    return 1 if any(finding.level is Level.BAD for finding in findings) else 0


def _stands_for(finding: Finding) -> tuple[Level, str] | None:
    """One service that is down is one finding, not one for each account; todos may tell seconds."""
    return None if finding.level is Level.OK else (finding.level, finding.message)
