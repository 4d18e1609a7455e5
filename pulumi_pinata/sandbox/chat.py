"""Chat completions as an OpenAI client meets them at Pinata: checks, price, reply, stream; no accounts."""

import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from pulumi_pinata.sandbox.accounts import Account
from pulumi_pinata.sandbox.replies import ApiError, Json, bearer, json_object
from pulumi_pinata.sandbox.state import SandboxState
from pulumi_pinata.sandbox.variants import ErrorShape, Microcredits, ProbeOrder

MODELS: tuple[Json, ...] = tuple(
    {
        "model_id": name,
        "input_usd_per_1m_tokens": price,
        "output_usd_per_1m_tokens": price * 4,
        "cache_read_usd_per_1m_tokens": price / 10,
    }
    for name, price in (("sandbox/small", 1.0), ("sandbox/large", 10.0))
)
_DEFAULT_MAX_TOKENS = 4096
_SHAPE = ErrorShape.MESSAGE


@dataclass(frozen=True)
class _Question:
    model: str
    text: str
    stream: bool
    max_tokens: int


@dataclass(frozen=True)
class _Answer:
    id: str
    created: int
    model: str
    words: list[str]
    finish_reason: str
    usage: dict[str, int]


async def completions(request: Request) -> Response:
    """Answer `POST /v0/llm/chat/completions` (docs.pinata.cloud/inference/chat-completions).

    401 = no key or a dead one, 400 = invalid body, 402 = no credits; always `{"error": {"message": ...}}`.
    """
    state: SandboxState = request.app.state.sandbox
    key = bearer(request)
    if state.directory.probe_order(key) is ProbeOrder.VALIDATE_FIRST:
        question = _read(await json_object(request, _SHAPE))
        account = _account(state, key)
    else:
        account = _account(state, key)
        question = _read(await json_object(request, _SHAPE))
    answer = _answer(question, int(state.clock()))
    cost = max(1, answer.usage["total_tokens"])
    held = account.credits.hold(cost)
    if held is None:
        return _no_credits(account)
    if question.stream:
        return StreamingResponse(
            _events(answer, account, held, cost),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-cache"},
        )
    account.credits.settle(held=held, used=cost)
    return JSONResponse(_whole(answer))


def _account(state: SandboxState, key: str) -> Account:
    if not key:
        raise ApiError(401, "Missing Authorization header", _SHAPE)
    holder = state.directory.by_key(key)
    if holder is None or not holder.account.accepts(key):
        raise ApiError(401, "Invalid or revoked inference key", _SHAPE)
    return holder.account


def _read(body: Json) -> _Question:
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or "/" not in model:
        raise ApiError(400, "model must be provider/model", _SHAPE)
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "messages must be a list with at least one message", _SHAPE)
    if not all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in messages):
        raise ApiError(400, "each message must be an object with a role", _SHAPE)
    stream = body.get("stream", False)
    if not isinstance(stream, bool | None):
        raise ApiError(400, "stream must be true or false", _SHAPE)
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ApiError(400, "max_tokens must be a positive integer", _SHAPE)
    text = " ".join(str(message.get("content") or "") for message in messages)
    return _Question(model, text, bool(stream), _DEFAULT_MAX_TOKENS if limit is None else limit)


def _answer(question: _Question, created: int) -> _Answer:
    asked = question.text.split()
    words = f"This is the Pinata sandbox. You sent {len(asked)} words.".split(" ")
    kept = words[: question.max_tokens]
    prompt, completion = len(asked), len(kept)
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    finish = "stop" if len(kept) == len(words) else "length"
    return _Answer(f"chatcmpl-{uuid.uuid4().hex}", created, question.model, kept, finish, usage)


def _whole(answer: _Answer) -> Json:
    message = {"role": "assistant", "content": " ".join(answer.words)}
    return {
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
        "usage": answer.usage,
    }


async def _events(answer: _Answer, account: Account, held: int, cost: int) -> AsyncIterator[str]:
    used = 0
    try:
        for number, word in enumerate(answer.words):
            first: Json = {"role": "assistant", "content": word}
            used = cost
            yield _event(answer, [_choice(first if number == 0 else {"content": f" {word}"}, None)])
        yield _event(answer, [_choice({}, answer.finish_reason)])
        yield _event(answer, [], usage=answer.usage)
        yield "data: [DONE]\n\n"
    finally:
        account.credits.settle(held=held, used=used)


def _choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(answer: _Answer, choices: list[Json], **more: object) -> str:
    chunk = {
        "id": answer.id,
        "object": "chat.completion.chunk",
        "created": answer.created,
        "model": answer.model,
        "choices": choices,
        **more,
    }
    return f"data: {json.dumps(chunk)}\n\n"


def _no_credits(account: Account) -> Response:
    error: Json = {"message": "Insufficient credits"}
    body: Json = {"error": error}
    place = account.variants.microcredits
    if place is not Microcredits.ABSENT:
        (body if place is Microcredits.TOP else error)["availableMicrocredits"] = (
            account.credits.available_microcredits()
        )
    return JSONResponse(body, 402)
