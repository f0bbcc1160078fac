"""Decides on two loans, and then audits what the backend knows of the decisions."""

from __future__ import annotations

import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from audit import audit
from backend import Backend
from fluo_kms import KmsClient
from fluo_kms.otel import SigningExporter
from loans import Applicant, LoanDesk

TENANT = "example-python"
GRPC_ADDRESS = os.environ.get("FLUO_KMS_GRPC_ADDR", "localhost:9000")
HTTP_ADDRESS = os.environ.get("FLUO_KMS_HTTP_ADDR", "http://localhost:8080")


def main() -> None:
    """Runs the desk, closes it, and audits."""
    with Backend() as backend, KmsClient(GRPC_ADDRESS, insecure=True) as kms:
        exporter = SigningExporter(OTLPSpanExporter(backend.url), kms, tenant=TENANT)
        provider = TracerProvider(resource=Resource({"service.name": "loans"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))

        desk = LoanDesk(kms, TENANT, provider.get_tracer("loans.decisions"))
        for applicant, income in (
            (Applicant("17", "ann@example.com"), 4_000),
            (Applicant("18", "bob@example.com"), 900),
        ):
            outcome = "approved" if desk.decide(applicant, income) else "declined"
            print(f"{applicant.id} is kept as {desk.kept[applicant.id].email[:4]}…, and is {outcome}")
        assert desk.email_of("17") == "ann@example.com"

        provider.shutdown()
        audit(HTTP_ADDRESS, TENANT, backend.export())


if __name__ == "__main__":
    main()
