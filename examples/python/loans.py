"""The service: decides on loans, and keeps applicants with their personal data encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from opentelemetry.trace import Tracer

from fluo_kms import KmsClient
from fluo_kms.records import Pii, decrypt_record, encrypt_record

CONTEXT = {"table": "applicants"}
ENOUGH_INCOME = 2_000


@dataclass(frozen=True)
class Applicant:
    """Who asks for a loan."""

    id: str
    email: Annotated[str, Pii("email")]
    phone: Annotated[str | None, Pii("phone")] = None


class LoanDesk:
    """Decides, and keeps what it must: applicants with tokens in the place of personal data."""

    def __init__(self, kms: KmsClient, tenant: str, tracer: Tracer) -> None:
        self._kms = kms
        self._tenant = tenant
        self._tracer = tracer
        self.kept: dict[str, Applicant] = {}

    def decide(self, applicant: Applicant, income: int) -> bool:
        """Returns whether the loan is approved, and leaves a span that says so."""
        with self._tracer.start_as_current_span("decide-loan") as span:
            is_approved = income >= ENOUGH_INCOME
            # No personal data in spans: they are signed, not encrypted.
            span.set_attributes({"applicant.id": applicant.id, "income": income, "approved": is_approved})
            self.kept[applicant.id] = encrypt_record(self._kms, self._tenant, applicant, CONTEXT)
        return is_approved

    def email_of(self, applicant_id: str) -> str:
        """Returns the address, for a letter."""
        return decrypt_record(self._kms, self._tenant, self.kept[applicant_id], CONTEXT).email
