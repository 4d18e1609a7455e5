"""`pulumi-pinata`: what a Pulumi program cannot do for itself: adopt what is there, import a key from escrow."""

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
    escrow = commands.add_parser("escrow", help="keys that Vault would not take").add_subparsers(
        dest="verb", required=True
    )
    restorer = escrow.add_parser(
        "import",
        help="put a sealed key into Vault",
        description="Put a key from escrow into Vault and close its intent.",
    )
    restorer.add_argument("file", help="the sealed file that the failed run named")
    restorer.add_argument("--identity", required=True, metavar="FILE", help="file with the age identity that opens it")
    restorer.add_argument("--owner", required=True, help="the resource: pulumi:ORGANIZATION/PROJECT/STACK/NAME")
    restorer.add_argument("--input", action="append", default=[], metavar="NAME=VALUE", help="as for import-file")
    options = parser.parse_args(argv)
    run = _import_file if options.command == "import-file" else _escrow_import
    try:
        print(run(options))  # noqa: T201 - the product
    except PinataError as error:
        print(f"pulumi-pinata: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _escrow_import(options: argparse.Namespace) -> str:
    from pulumi_pinata import escrow_import

    return escrow_import.run(options.file, options.identity, options.owner, _inputs(options.input))


def _import_file(options: argparse.Namespace) -> str:
    from pulumi_pinata import import_file

    owner = f"pulumi:{options.organization}/{options.project}/{options.stack}/{options.name}"
    inputs = _inputs(options.input)
    built = import_file.build(options.name, owner, inputs, take_over=options.take_over, adopt=options.adopt_key)
    return json.dumps(built, indent=2)


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
