"""Errors, classed by what the caller may do next.

PinataError
├── Transient   proven to have had no effect: try again later
├── Ambiguous   the effect is unknown: observe before doing anything else, never send it again
├── Conflict    somebody else advanced first: observe again at once
└── Refused     a person or a new declaration is needed: nothing was changed
    └── Unfunded    the workspace has no credits: money is what is needed

Messages are ours from end to end. They never quote a response body, a header, a token or a key.
"""


class PinataError(Exception):
    """Any failure of this package.

    `about` names the input at fault (such as ``vault.path``), where there is one; `hint` says what to do next;
    `service` is the one that spoke, or that did not answer: ``pinata``, ``vault``, or None where neither was asked.
    """

    def __init__(
        self, message: str, *, about: str | None = None, hint: str | None = None, service: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.about = about
        self.hint = hint
        self.service = service

    def __str__(self) -> str:
        place = f"{self.about}: " if self.about else ""
        advice = f" {self.hint}" if self.hint else ""
        return f"{place}{self.message}{advice}"


class Transient(PinataError):
    """The call had no effect and may be tried again, after `retry_after` seconds where the server said so."""

    def __init__(
        self,
        message: str,
        *,
        about: str | None = None,
        hint: str | None = None,
        service: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, about=about, hint=hint, service=service)
        self.retry_after = retry_after


class Ambiguous(PinataError):
    """The call may or may not have had its effect (lost reply, timeout, 5xx after sending)."""


class Conflict(PinataError):
    """A check-and-set was lost: another writer holds or has changed what this one relied on."""


class Refused(PinataError):
    """What was asked cannot be done as declared; it stays so until a person or the declaration changes it."""


class Unfunded(Refused):
    """The workspace has no credits for it; the key and the credentials are as good as before."""
