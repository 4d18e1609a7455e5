"""Chat completions as the real OpenAI client sees them, and as raw events."""

import json
from collections.abc import Iterator

import httpx
import pytest
from openai import APIStatusError, AuthenticationError, OpenAI
from sandbox_users import User

QUESTION = {"model": "sandbox/small", "messages": [{"role": "user", "content": "one two three"}]}


@pytest.fixture
def key(user: User) -> str:
    return str(user.enable())


@pytest.fixture
def openai_client(user: User, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{user.pinata.url}/v0/llm", api_key=key, max_retries=0) as client:
        yield client


def test_the_openai_client_gets_a_completion_and_pays_for_it(user: User, openai_client: OpenAI) -> None:
    completion = openai_client.chat.completions.create(
        model="sandbox/small", messages=[{"role": "user", "content": "one two three"}]
    )
    assert completion.id.startswith("chatcmpl-")
    assert "You sent 3 words." in (completion.choices[0].message.content or "")
    assert completion.usage is not None
    assert 3 == completion.usage.prompt_tokens
    assert user.pinata.state(user.name).credits < 100


def test_the_openai_client_streams_the_same_words_with_usage(user: User, openai_client: OpenAI) -> None:
    words, usage = "", None
    with openai_client.chat.completions.create(
        model="sandbox/small", messages=[{"role": "user", "content": "one two three"}], stream=True
    ) as stream:
        for chunk in stream:
            words += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
    assert "This is the Pinata sandbox. You sent 3 words." == words
    assert usage is not None
    assert 0.0 == user.http.get("/v0/credits/balance").json()["loaned"]
    assert user.pinata.state(user.name).credits < 100


def test_the_openai_client_gets_401_with_a_revoked_key(user: User, openai_client: OpenAI) -> None:
    user.http.delete("/v0/llm/disable").raise_for_status()
    with pytest.raises(AuthenticationError, match="revoked"):
        openai_client.chat.completions.create(model="sandbox/small", messages=[{"role": "user", "content": "hello"}])


def test_the_openai_client_gets_402_at_zero(user: User, openai_client: OpenAI) -> None:
    user.pinata.set_credits(user.name, 0)
    with pytest.raises(APIStatusError) as caught:
        openai_client.chat.completions.create(model="sandbox/small", messages=[{"role": "user", "content": "hello"}])
    assert 402 == caught.value.status_code


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("top", {"error": {"message": "Insufficient credits"}, "availableMicrocredits": 0}),
        ("nested", {"error": {"message": "Insufficient credits", "availableMicrocredits": 0}}),
        ("absent", {"error": {"message": "Insufficient credits"}}),
    ],
)
def test_a_402_puts_available_microcredits_where_the_variant_says(
    user: User, key: str, place: str, body: object
) -> None:
    user.pinata.set_variants(user.name, microcredits=place)
    user.pinata.set_credits(user.name, 0)
    reply = user.chat(key, QUESTION)
    assert (402, body) == (reply.status_code, reply.json())


def test_a_stream_is_server_sent_events_that_end_with_done(user: User, key: str) -> None:
    reply = user.chat(key, {**QUESTION, "stream": True})
    assert reply.headers["content-type"].startswith("text/event-stream")
    events = reply.text.strip().split("\n\n")
    assert "data: [DONE]" == events[-1]
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert {"chat.completion.chunk"} == {chunk["object"] for chunk in chunks}
    assert "stop" == chunks[-2]["choices"][0]["finish_reason"]
    assert 3 == chunks[-1]["usage"]["prompt_tokens"]


def test_max_tokens_cuts_the_reply(user: User, key: str) -> None:
    reply = user.chat(key, {**QUESTION, "max_tokens": 2}).json()
    assert "length" == reply["choices"][0]["finish_reason"]
    assert 2 == reply["usage"]["completion_tokens"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {**QUESTION, "model": "no-provider"},
        {**QUESTION, "messages": []},
        {**QUESTION, "messages": ["hello"]},
        {**QUESTION, "stream": "yes"},
        {**QUESTION, "max_tokens": 0},
    ],
)
def test_an_invalid_body_is_400_in_the_openai_shape_and_costs_nothing(user: User, key: str, body: object) -> None:
    reply = user.chat(key, body)
    assert 400 == reply.status_code
    assert isinstance(reply.json()["error"]["message"], str)
    assert 100.0 == user.pinata.state(user.name).credits


@pytest.mark.parametrize(("order", "status"), [("auth_first", 401), ("validate_first", 400)])
def test_a_revoked_key_with_an_invalid_body_meets_what_the_variant_says_first(
    user: User, key: str, order: str, status: int
) -> None:
    user.pinata.set_variants(user.name, probe_order=order)
    user.pinata.disable_out_of_band(user.name)
    assert status == user.chat(key, {}).status_code
    assert 401 == user.chat(key, QUESTION).status_code


def test_without_any_key_chat_is_401(user: User) -> None:
    url = f"{user.pinata.url}/v0/llm/chat/completions"
    assert 401 == httpx.post(url, json=QUESTION).status_code
