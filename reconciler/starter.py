"""The files of a repository to start from; text only."""

MANIFEST = """\
# yaml-language-server: $schema=../schema.json
apiVersion: pinata-reconciler.dev/v1alpha1
kind: InferenceDefaults
spec:
  fleet: {fleet}
  prune: true # an account whose manifest is gone is switched off
  # vault:
  #   address: https://vault.example   # the default is VAULT_ADDR
  #   auth: {{method: approle, roleId: env:VAULT_ROLE_ID, secretId: env:VAULT_SECRET_ID}}
---
apiVersion: pinata-reconciler.dev/v1alpha1
kind: Inference
metadata:
  name: {account}
spec:
  credentials: env:{variable}
"""

README = """\
# {fleet}: Pinata Inference as declared

Each document in `manifests/` is a Pinata account whose inference is kept as declared there, its key in Vault at
`secret/pinata/NAME`.

```sh
export VAULT_ADDR=… VAULT_TOKEN=… {variable}=…
pinata-reconciler doctor manifests/      # is everything there?
pinata-reconciler plan manifests/        # what would be done
pinata-reconciler apply manifests/       # do it
```

A pull request gets the plan as a comment; a merge applies it; every night drift is looked for.
To add an account, add a document and, for CI, a secret with its JWT to `.github/workflows/pinata.yml`.
"""

WORKFLOW = """\
name: pinata
on:
  pull_request:
  push: {{branches: [main]}}
  schedule: [{{cron: "17 3 * * *"}}]

concurrency: pinata-${{{{ github.event_name == 'pull_request' && github.ref || 'apply' }}}}

env:
  VAULT_ADDR: ${{{{ vars.VAULT_ADDR }}}}
  VAULT_TOKEN: ${{{{ secrets.VAULT_TOKEN }}}} # better: a login by the workflow's own OIDC token
  {variable}: ${{{{ secrets.{variable} }}}}

jobs:
  pinata:
    runs-on: ubuntu-latest
    permissions: {{contents: read, pull-requests: write}}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - run: pip install 'pulumi-pinata[reconciler]'
      - run: pinata-reconciler validate --offline manifests/
      - name: Plan, as a comment
        if: github.event_name == 'pull_request'
        env: {{GH_TOKEN: "${{{{ github.token }}}}"}}
        run: |
          code=0
          pinata-reconciler plan manifests/ -o markdown > comment.md || code=$?
          gh pr comment "${{{{ github.event.number }}}}" --edit-last --create-if-none --body-file comment.md
          [ "$code" = 0 ] || [ "$code" = 2 ]
      - name: Apply
        if: github.event_name == 'push'
        run: pinata-reconciler apply manifests/ --yes
      - name: Look for drift
        if: github.event_name == 'schedule'
        run: pinata-reconciler plan manifests/
"""


def files(fleet: str, account: str) -> dict[str, str]:
    """The files, by their paths."""
    names = {"fleet": fleet, "account": account, "variable": f"PINATA_JWT_{account.upper().replace('-', '_')}"}
    return {
        "manifests/pinata.yaml": MANIFEST.format(**names),
        "README.md": README.format(**names),
        ".github/workflows/pinata.yml": WORKFLOW.format(**names),
        ".gitignore": "comment.md\nplan.json\n",
    }
