"""A service that uses the key. It knows Vault and the OpenAI client, and nothing of Pulumi or of Pinata accounts.

VAULT_ADDR, READER_ROLE_ID, READER_SECRET_ID    where Vault is, and a login that may only read

python downstream.py secret/pinata/prod "How are you?" [--stream] [--model PROVIDER/MODEL]
"""

import argparse
import json
import os
import sys
from urllib.request import urlopen

import hvac
import hvac.exceptions
import openai


def main() -> int:
    given = arguments()
    try:
        secret = read_secret(given.secret)
        ask(secret, given)
    except hvac.exceptions.InvalidPath:
        return complain(f"Vault has no secret at {given.secret}, or it was deleted")
    except hvac.exceptions.Forbidden:
        return complain(f"this login may not read {given.secret}")
    except openai.AuthenticationError:
        return complain(f"401: the key at {given.secret} is not valid (any more)")
    except openai.APIStatusError as error:
        return complain(f"the endpoint answered {error.status_code}")
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ask for a chat completion with the key that Vault holds.")
    parser.add_argument("secret", help="mount and path of the secret, e.g. secret/pinata/prod")
    parser.add_argument("question")
    parser.add_argument("--model", help="default: the first that the endpoint lists")
    parser.add_argument("--stream", action="store_true", help="print the answer as it comes")
    return parser.parse_args()


def read_secret(secret: str) -> dict[str, str]:
    mount, _, path = secret.partition("/")
    vault = hvac.Client(url=os.environ["VAULT_ADDR"])
    vault.auth.approle.login(role_id=os.environ["READER_ROLE_ID"], secret_id=os.environ["READER_SECRET_ID"])
    found = vault.secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
    return found["data"]["data"]


def ask(secret: dict[str, str], given: argparse.Namespace) -> None:
    base_url = secret["PINATA_LLM_BASE_URL"]
    client = openai.OpenAI(api_key=secret["PINATA_LLM_KEY"], base_url=base_url)
    model = given.model or first_model(base_url)
    messages = [{"role": "user", "content": given.question}]
    if given.stream:
        for chunk in client.chat.completions.create(model=model, messages=messages, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                print(chunk.choices[0].delta.content, end="", flush=True)
        print()
    else:
        answer = client.chat.completions.create(model=model, messages=messages)
        print(answer.choices[0].message.content)


def first_model(base_url: str) -> str:
    # Pinata's list is a bare array, not OpenAI's object, so the client cannot read it.
    with urlopen(f"{base_url}/models", timeout=20) as reply:
        return json.load(reply)[0]["model_id"]


def complain(message: str) -> int:
    print(f"downstream: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
