/**
 * What parts of the service count and time, under the names and buckets that dashboards and alerts use. No instrument has a
 * tenant's name: cardinality and privacy. Every counter is there from the first export, at 0 for each value of its labels. One
 * that is born with its first event hides that from `rate()`. What a part knows anyway (keys, connections) is observed at
 * export time instead: see metrics/start.ts.
 */
import type { Counter, Histogram, Meter } from "@opentelemetry/api";
import { RpcCode } from "../errors.ts";
import { countTable, tally } from "./tally.ts";

/** How a call ended, for whoever answers for the service. */
export const outcomes = [
  "ok",
  /** The caller asked for what cannot be. */
  "caller_fault",
  /** The service failed. */
  "server_fault",
  /** Nobody's fault: the caller left, a quiet stream was closed, or the service shuts down. */
  "lifecycle",
] as const;

export type Outcome = (typeof outcomes)[number];

/** gRPC statuses of failed calls, by name. */
export const errorCodes = Object.keys(RpcCode);

/** Whose a provider key is: for all tenants that have none of their own, or a tenant's own. */
export const scopes = ["service", "tenant"] as const;

export type Scope = (typeof scopes)[number];

const providerOperations = ["generate_data_key", "encrypt", "decrypt", "describe", "inspect"] as const;

export type Instruments = ReturnType<typeof createInstruments>;

/** Upper ends of buckets, in seconds. */
const quick = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];
/** An attempt at a provider takes up to 3 s, and a call of it 10. */
const patient = [...quick, 5, 10, 30];
const streamsLast = [1, 5, 15, 60, 300, 900, 1_800, 3_600];

export function createInstruments(meter: Meter) {
  return {
    ...ofCalls(meter),
    ...ofWork(meter),
    ...ofKeys(meter),
    storeCall: seconds(meter, "kms_store_seconds", "Calls of the store by operation and outcome", patient),
    auditRows: counter(meter, "kms_audit_rows_total", "Rows written to the audit trail for uses and refusals"),
    dataLoss: counter(
      meter,
      "kms_data_loss_total",
      "Stored records that failed their authentication when they were used",
    ),
  };
}

function ofCalls(meter: Meter) {
  const streams = meter.createUpDownCounter("kms_streams", { description: "Open streams of messages both ways" });
  streams.add(0);
  return {
    calls: countTable(meter, "kms_calls_total", {
      description: "Calls and streams that ended, by how",
      labels: ["rpc_method", "outcome"],
      columns: outcomes,
    }),
    errors: countTable<string>(meter, "kms_errors_total", {
      description: "Calls that failed, by operation and status",
      labels: ["operation", "code"],
      columns: errorCodes,
    }),
    callDuration: seconds(meter, "rpc_server_call_duration_seconds", "Calls answered, by method and status", quick),
    streamDuration: seconds(meter, "kms_stream_duration_seconds", "Streams ended, by method and status", streamsLast),
    streams,
  };
}

function ofWork(meter: Meter) {
  return {
    spansSigned: tally(meter, "kms_spans_signed_total", {
      description: "Spans signed, by mode",
      label: "mode",
      values: ["individual", "log"],
    }),
    piiFields: tally(meter, "kms_pii_fields_total", {
      description: "PII fields by operation",
      label: "operation",
      values: ["encrypt", "decrypt", "re_encrypt"],
    }),
    batch: seconds(meter, "kms_batch_seconds", "Batches of a stream, from the message to its answers", patient),
  };
}

function ofKeys(meter: Meter) {
  const providerRequests = counter(
    meter,
    "kms_provider_requests_total",
    "Requests to the provider by operation, each attempt of a call by itself: what it charges for",
    providerOperations.map((operation) => ({ operation })),
  );
  return {
    retrieveSigningKey: seconds(
      meter,
      "kms_retrieve_signing_key_seconds",
      "Time to get a signing key, cached or not",
      patient,
    ),
    retrieveEncryptionKey: seconds(
      meter,
      "kms_retrieve_encryption_key_seconds",
      "Time to get an encryption key, cached or not",
      patient,
    ),
    providerCall: seconds(
      meter,
      "kms_provider_call_seconds",
      "Calls to the provider by operation and outcome",
      patient,
    ),
    providerRequests,
    providerLies: meter.createCounter("kms_provider_lies_total", {
      description: "Lies in which a provider was caught, by kind",
    }),
    rotationDuration: seconds(meter, "kms_rotation_duration_seconds", "Time to rotate one key", patient),
    rotationSuccess: counter(meter, "kms_rotation_success_total", "Keys rotated"),
    rotationFailures: counter(
      meter,
      "kms_rotation_failures_total",
      "Rotations that failed, by whose provider key",
      scopes.map((scope) => ({ scope })),
    ),
  };
}

/** Records each call of the store. */
export function storeRecorder({ storeCall }: Pick<Instruments, "storeCall">) {
  return (operation: string, outcome: string, took: number): void => storeCall.record(took, { operation, outcome });
}

/** Records each rotation that was tried. */
export function rotationRecorder({ rotationDuration, rotationSuccess, rotationFailures }: Instruments) {
  return (outcome: "success" | "failure", took: number, scope: Scope = "service"): void => {
    rotationDuration.record(took);
    if (outcome === "success") rotationSuccess.add(1);
    else rotationFailures.add(1, { scope });
  };
}

function seconds(meter: Meter, name: string, description: string, buckets: number[]): Histogram {
  return meter.createHistogram(name, { description, unit: "s", advice: { explicitBucketBoundaries: buckets } });
}

function counter(
  meter: Meter,
  name: string,
  description: string,
  series: readonly Record<string, string>[] = [{}],
): Counter {
  const made = meter.createCounter(name, { description });
  for (const labels of series) made.add(0, labels);
  return made;
}
