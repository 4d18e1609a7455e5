"""The files of a repository to start from; text only. examples/gitops/github-actions is what they come to."""

MANIFEST = """\
# yaml-language-server: $schema=../schema.json
apiVersion: pinata-reconciler.dev/v1alpha1
kind: InferenceDefaults
spec:
  fleet: {fleet}
  prune: true # an account whose manifest is gone is switched off
  # vault:
  #   address: https://vault.example # the default is VAULT_ADDR
  #   auth: {{method: jwt, role: env:VAULT_ROLE, jwt: env:VAULT_ID_TOKEN}} # the default is VAULT_TOKEN
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

## In GitHub Actions

`.github/workflows/pinata.yml` checks a pull request and comments the plan on it, applies what is merged to `main`, and
fails every night on which something is not as declared, so that GitHub tells you.

| set in the repository | what |
|---|---|
| variable `VAULT_ADDR` | Vault's address, reachable from the runner |
| secret `{variable}` | the account's JWT; one secret an account, named in the workflow's `env` too |
| secret `VAULT_TOKEN` | a token with the policy of pulumi-pinata's README; or better none, see below |

- The apply plans again and is held by the guards: what has changed since the comment is in its log, and more outages
  than they allow are refused. To do it all the same, run the workflow by hand on `main` with the checksum that the log
  names.
- A pull request from a fork gets no secrets, so its manifests are checked and not planned. Dependabot's fail at the
  plan for the same reason.
- Whoever may push a branch can change the workflow in it and so use its secrets. Protect `main`.
- A drift check reports. To heal drift as well, let the scheduled step run `apply`, or use `pinata-reconciler run`.
- GitHub stops schedules of public repositories in which nothing happens for 60 days.

## Log in to Vault without a stored token

GitHub signs a token for each job, and Vault can be told whose to take: jobs on `main` may write, others may read.
Set the repository's variable `VAULT_LOGIN` to `oidc`, uncomment `vault.auth` in `manifests/pinata.yaml`, and let Vault
know once (`pinata-write` is the policy of pulumi-pinata's README, `OWNER/REPOSITORY` this repository):

```sh
vault auth enable jwt
vault write auth/jwt/config oidc_discovery_url=https://token.actions.githubusercontent.com \\
  bound_issuer=https://token.actions.githubusercontent.com
vault policy write pinata-read - <<'END'
path "secret/data/*" {{
  capabilities = ["read"]
}}
path "secret/metadata/*" {{
  capabilities = ["read"]
}}
END
vault write auth/jwt/role/pinata-plan - <<'END'
{{
  "role_type": "jwt",
  "user_claim": "repository",
  "bound_audiences": ["pinata-reconciler"],
  "bound_claims": {{"repository": "OWNER/REPOSITORY"}},
  "token_policies": ["pinata-read"],
  "token_ttl": "15m"
}}
END
vault write auth/jwt/role/pinata-apply - <<'END'
{{
  "role_type": "jwt",
  "user_claim": "repository",
  "bound_audiences": ["pinata-reconciler"],
  "bound_claims": {{"repository": "OWNER/REPOSITORY", "ref": "refs/heads/main"}},
  "token_policies": ["pinata-write"],
  "token_ttl": "1h"
}}
END
```

A plan needs to read the secrets only where their marks do not tell enough; narrow `secret/data/*` to your paths and
`secret/data/pinata-inference/*`.
"""

WORKFLOW = """\
name: pinata
on:
  pull_request:
  push: {{branches: [main]}}
  schedule: [{{cron: "17 3 * * *"}}]
  workflow_dispatch:
    inputs:
      acknowledge: {{description: "Checksum of a plan that the guards refused"}}

# Two applies never run at once, and none is cancelled while it runs.
concurrency: >-
  pinata-${{{{ (github.event_name == 'pull_request' || github.event_name == 'schedule') && github.ref ||
  'apply' }}}}

permissions:
  contents: read
  pull-requests: write # the comment
  id-token: write # the login to Vault by OIDC

env:
  VAULT_ADDR: ${{{{ vars.VAULT_ADDR }}}}
  VAULT_TOKEN: ${{{{ secrets.VAULT_TOKEN }}}} # better none: see the README
  VAULT_ROLE: pinata-plan
  {variable}: ${{{{ secrets.{variable} }}}}

jobs:
  pinata:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: {{persist-credentials: false}}
      - uses: actions/setup-python@v5
        with: {{python-version: "3.12"}}
      - name: Install
        run: pip install 'pulumi-pinata[reconciler]'
      - name: Validate
        run: pinata-reconciler validate --offline manifests/
      - name: Say why there is no plan
        if: github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name != github.repository
        run: echo "::warning::This pull request comes from a fork and gets no secrets, so there is no plan."
      - name: Get a token for Vault
        if: >-
          vars.VAULT_LOGIN == 'oidc' &&
          (github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository)
        run: |
          token=$(curl --fail --silent --show-error --header "Authorization: bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \\
            "$ACTIONS_ID_TOKEN_REQUEST_URL&audience=pinata-reconciler" |
            python -c 'import json, sys; print(json.load(sys.stdin)["value"])')
          echo "::add-mask::$token"
          echo "VAULT_ID_TOKEN=$token" >> "$GITHUB_ENV"
      - name: Plan, as a comment
        if: github.event_name == 'pull_request' && github.event.pull_request.head.repo.full_name == github.repository
        env:
          GH_TOKEN: ${{{{ github.token }}}}
          GH_REPO: ${{{{ github.repository }}}}
          NUMBER: ${{{{ github.event.number }}}}
        run: |
          code=0
          pinata-reconciler plan manifests/ -o markdown > comment.md || code=$?
          if [ -s comment.md ]; then
            gh pr comment "$NUMBER" --edit-last --create-if-none --body-file comment.md
          fi
          [ "$code" = 0 ] || [ "$code" = 2 ]
      - name: Apply
        if: github.ref == 'refs/heads/main' && (github.event_name == 'push' || github.event_name == 'workflow_dispatch')
        env:
          VAULT_ROLE: pinata-apply
          ACKNOWLEDGE: ${{{{ inputs.acknowledge }}}}
        run: pinata-reconciler apply manifests/ --yes ${{ACKNOWLEDGE:+--acknowledge "$ACKNOWLEDGE"}}
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
