"""How our errors reach the engine."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from pulumi_pinata.core.errors import PinataError

P = ParamSpec("P")
R = TypeVar("R")


def clean(method: Callable[P, R]) -> Callable[P, R]:
    """Raise our errors bare: Pulumi prints the whole chain of an exception, causes and all, into CI logs."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except PinataError as error:
            bare = type(error)(str(error))
        raise bare from None

    return call
