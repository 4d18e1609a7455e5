"""The dynamic provider as the engine sees it: a process of its own, spoken to over gRPC."""

import os
import subprocess
import sys
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class ProviderProcess:
    """`python -m pulumi.dynamic` with `env`, and its verbs with dicts in and out."""

    def __init__(self, env: dict[str, str], provider: ResourceProvider) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "pulumi.dynamic"],
            env={**os.environ, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._provider = serialize_provider(provider)
        self._stub.Configure(provider_pb2.ConfigureRequest())
        self.printed = ""

    def __enter__(self) -> "ProviderProcess":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()
        self._process.terminate()
        self.printed = self._process.communicate(timeout=20)[0]

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self, news: dict[str, Any], olds: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict[str, str]]:
        answer = self._stub.Check(provider_pb2.CheckRequest(olds=self._struct(olds or {}), news=self._struct(news)))
        return _plain(answer.inputs), {f.property: f.reason for f in answer.failures}

    def diff(self, olds: dict[str, Any], news: dict[str, Any]) -> tuple[bool, list[str]]:
        answer = self._stub.Diff(
            provider_pb2.DiffRequest(id="x", olds=self._struct(olds), news=self._struct(news)), timeout=60
        )
        return answer.changes == provider_pb2.DiffResponse.DIFF_SOME, list(answer.replaces)

    def create(self, news: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Create(provider_pb2.CreateRequest(properties=self._struct(news)), timeout=120)
        return answer.id, _plain(answer.properties)

    def read(self, id_: str, props: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Read(provider_pb2.ReadRequest(id=id_, properties=self._struct(props)), timeout=120)
        return answer.id, _plain(answer.properties)

    def get(self, id_: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        answer = self._stub.Read(provider_pb2.ReadRequest(id=id_, inputs=self._struct(inputs)), timeout=120)
        return answer.id, _plain(answer.properties)

    def update(self, id_: str, olds: dict[str, Any], news: dict[str, Any]) -> dict[str, Any]:
        answer = self._stub.Update(
            provider_pb2.UpdateRequest(id=id_, olds=self._struct(olds), news=self._struct(news)), timeout=120
        )
        return _plain(answer.properties)

    def delete(self, id_: str, props: dict[str, Any]) -> None:
        self._stub.Delete(provider_pb2.DeleteRequest(id=id_, properties=self._struct(props)), timeout=120)

    def _struct(self, values: dict[str, Any]) -> struct_pb2.Struct:
        struct = struct_pb2.Struct()
        struct.update({**values, "__provider": self._provider})
        return struct


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    values: dict[str, Any] = MessageToDict(struct)
    values.pop("__provider", None)
    return values


def message(error: grpc.RpcError) -> str:
    """The last line of what the console would show: the exception's own text."""
    details: str = error.details()  # type: ignore[attr-defined]
    return details.strip().splitlines()[-1].partition(": ")[2]
