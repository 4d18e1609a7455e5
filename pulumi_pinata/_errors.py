"""How our errors reach the engine."""

import traceback
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from pulumi_pinata.core.errors import PinataError

P = ParamSpec("P")
R = TypeVar("R")


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "pulumi_pinata" in frame.filename] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


def clean(method: Callable[P, R]) -> Callable[P, R]:
    """Raise our errors bare: Pulumi prints the whole chain of an exception, causes and all, into CI logs."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except PinataError as error:
            bare = type(error)(str(error))
        except Exception as error:
            bare = PinataError(
                f"a defect of pulumi-pinata ({type(error).__name__} at {_place(error)}).",
                hint="Please report it; its own text is held back, since it could quote a secret.",
            )
        raise bare from None

    return call
