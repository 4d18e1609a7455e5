"""Where traces go: the standard OTEL_ variables to OpenTelemetry's SDK; needs the extra `otel`."""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from pulumi_pinata.core.errors import Refused
from reconciler.listeners.traces import Traces

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CLOSING = 3.0
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_INSTALL = "pip install 'pulumi-pinata[otel]', or unset the variable."

_LOG = logging.getLogger(__name__)


def tracing(version: str, say: Callable[[str], None] = _LOG.warning) -> Traces | None:
    """Traces by the standard OTEL_ variables, or None where they ask for none; `say` hears once of a silent collector.

    Raises Refused when they ask for what cannot be had.
    """
    environ = os.environ  # where the SDK looks too
    variable = next((name for name in ENDPOINTS if environ.get(name)), None)
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if variable is None or off or environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return None
    if not environ[variable].startswith(("http://", "https://")):
        raise Refused("this is no http(s) address.", about=variable, hint="Such as http://localhost:4318.")
    for name in _PROTOCOLS:
        if environ.get(name, "http/protobuf") not in ("", "http/protobuf"):
            raise Refused("only http/protobuf is spoken here.", about=name, hint="Collectors take it at port 4318.")
    # The SDK logs every failed try, some with stack traces and the whole address; `say` takes its place.
    silent = logging.getLogger("opentelemetry")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Refused(
            "traces are asked for, but OpenTelemetry is not installed.", about=variable, hint=_INSTALL
        ) from error
    try:
        exporter = _noted(OTLPSpanExporter(), say)
        provider = TracerProvider(resource=_resource(version, environ), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter))
    except Exception as error:
        # Its own texts may quote a header or an address.
        message = f"OpenTelemetry does not take its settings ({type(error).__name__})."
        raise Refused(message, about="OTEL_…", hint="Look at the variables that begin with OTEL_.") from None

    def shutdown() -> None:
        # By itself it waits for up to 30 s.
        thread = threading.Thread(target=provider.shutdown, name="traces-shutdown", daemon=True)
        thread.start()
        thread.join(CLOSING)
        if thread.is_alive():
            exporter.shutdown()  # ends its waiting for another try

    return Traces(provider.get_tracer("pinata-reconciler", version), shutdown)


def _noted(exporter: "SpanExporter", say: Callable[[str], None]) -> "SpanExporter":
    """`exporter`, with a word when it begins to fail and when it works again, and without its exceptions."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Noted(SpanExporter):
        failing = False

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            try:
                found = exporter.export(spans)
            except Exception:
                found = SpanExportResult.FAILURE
            failing = found is not SpanExportResult.SUCCESS
            if failing != self.failing:
                say("traces cannot be sent, and are dropped" if failing else "traces are sent again")
            self.failing = failing
            return found

        def shutdown(self) -> None:
            exporter.shutdown()

    return Noted()


def _resource(version: str, environ: Mapping[str, str]) -> "Resource":
    from opentelemetry.sdk.resources import Resource

    named = environ.get("OTEL_SERVICE_NAME") or "service.name=" in environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    return Resource.create({"service.version": version, **({} if named else {"service.name": "pinata-reconciler"})})
