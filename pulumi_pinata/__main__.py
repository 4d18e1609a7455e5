"""`pulumi-pinata`: the one thing that a Pulumi program cannot do for itself, adopting what is there."""

import argparse
import json
import sys
from typing import Any

from pulumi_pinata import __version__
from pulumi_pinata.core.errors import PinataError

_EXAMPLE = """
example:
  pulumi-pinata import-file prod --project shop --stack dev --input vault.path=shop/prod > import.json
  pulumi import --file import.json
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 done, 1 refused or failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="pulumi-pinata", description="Tools for pulumi_pinata.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    importer = commands.add_parser(
        "import-file",
        help="write the file for `pulumi import --file`",
        description="Print the file by which `pulumi import --file` adopts an account whose key is in Vault.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    importer.add_argument("name", help="the resource's name in the program")
    importer.add_argument("--project", required=True, help="the Pulumi project")
    importer.add_argument("--stack", required=True, help="the Pulumi stack")
    importer.add_argument("--organization", default="organization", help="Pulumi Cloud organization, if any")
    importer.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an input as the program declares it, such as credentials=env:JWT or vault.path=team/prod; repeatable",
    )
    importer.add_argument("--take-over", action="store_true", help="accept that another stack manages it now")
    importer.add_argument(
        "--adopt-key", action="store_true", help="mark a live key that a person stored at the path as ours, first"
    )
    options = parser.parse_args(argv)
    try:
        print(json.dumps(_import_file(options), indent=2))  # noqa: T201 - the product
    except PinataError as error:
        print(f"pulumi-pinata: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _import_file(options: argparse.Namespace) -> dict[str, Any]:
    from pulumi_pinata import import_file

    owner = f"pulumi:{options.organization}/{options.project}/{options.stack}/{options.name}"
    inputs = _inputs(options.input)
    return import_file.build(options.name, owner, inputs, take_over=options.take_over, adopt=options.adopt_key)


def _inputs(pairs: list[str]) -> dict[str, Any]:
    """`a.b=c` as nested dicts; numbers as numbers."""
    inputs: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        *groups, last = name.split(".")
        place = inputs
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = float(value) if last == "timeout" and value.replace(".", "", 1).isdigit() else value
    return inputs


if __name__ == "__main__":
    sys.exit(main())
