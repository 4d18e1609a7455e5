"""What each of hvac's and requests' errors means, and that none of their texts gets through."""

import pytest
import requests
from hvac import exceptions
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from pulumi_pinata.adapters.vault_errors import translated
from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Refused, Transient

CANARY = "canary"
_NEVER_SENT = requests.exceptions.ConnectionError(
    MaxRetryError(None, CANARY, NewConnectionError(None, CANARY))  # type: ignore[arg-type]
)
_RESET = requests.exceptions.ConnectionError(ConnectionResetError(CANARY))


def raised(error: Exception, *, write: bool) -> PinataError:
    with pytest.raises(PinataError) as caught, translated("do a thing", write=write):
        raise error
    assert CANARY not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__
    assert "do a thing" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("error", "read", "write"),
    [
        (
            exceptions.InvalidRequest(f"check-and-set parameter did not match the current version {CANARY}"),
            Conflict,
            Conflict,
        ),
        (exceptions.InvalidRequest(CANARY), Refused, Refused),
        (exceptions.Unauthorized(CANARY), Refused, Refused),
        (exceptions.Forbidden(CANARY), Refused, Refused),
        (exceptions.RateLimitExceeded(CANARY), Transient, Transient),
        (exceptions.VaultNotInitialized(CANARY), Transient, Transient),
        (exceptions.VaultDown(CANARY), Transient, Ambiguous),
        (exceptions.InternalServerError(CANARY), Transient, Ambiguous),
        (exceptions.BadGateway(CANARY), Transient, Ambiguous),
        (exceptions.UnexpectedError(CANARY), Transient, Ambiguous),
        (exceptions.VaultError(CANARY), Transient, Ambiguous),
        (requests.exceptions.ConnectTimeout(CANARY), Transient, Transient),
        (_NEVER_SENT, Transient, Transient),
        (_RESET, Transient, Ambiguous),
        (requests.exceptions.ReadTimeout(ReadTimeoutError(None, CANARY, CANARY)), Transient, Ambiguous),  # type: ignore[arg-type]
        (requests.exceptions.ChunkedEncodingError(CANARY), Transient, Ambiguous),
        (requests.exceptions.SSLError(CANARY), Refused, Refused),
        (requests.exceptions.JSONDecodeError(CANARY, CANARY, 0), Transient, Ambiguous),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.__name__,
)
def test_each_error_has_its_class_for_reads_and_for_writes(
    error: Exception, read: type[PinataError], write: type[PinataError]
) -> None:
    assert read is type(raised(error, write=False))
    assert write is type(raised(error, write=True))


def test_a_missing_path_is_left_to_the_caller() -> None:
    with pytest.raises(exceptions.InvalidPath), translated("do a thing"):
        raise exceptions.InvalidPath


def test_no_error_is_no_error() -> None:
    with translated("do a thing", write=True):
        done = True

    assert done
