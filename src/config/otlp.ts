/** The OpenTelemetry SDK's own variables, as far as the service decides by them; the exporters read the rest by themselves. */
import { type Notice, notice } from "../notices.ts";
import type { Environment } from "./sources.ts";

export interface OtlpSettings {
  /** Whether spans are recorded and exported. */
  traces: boolean;
  metrics: boolean;
  /** Of the metrics; the SDK chooses that of the traces by the same variables. */
  protocol: "http/protobuf" | "http/json" | "grpc";
  /** How often metrics are exported, and how long one export may take, which is not longer. */
  metricIntervalMs: number;
  metricTimeoutMs: number;
}

const protocols = ["http/protobuf", "http/json", "grpc"] as const;
const protocolVariables = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/** The specification's own. */
const defaultIntervalMs = 60_000;
const defaultTimeoutMs = 30_000;

/**
 * An empty variable is an unset one, and an unknown protocol or a bad number is warned of and ignored: both as the SDK's specification
 * has it.
 */
export function otlpSettings(env: Environment): { otlp: OtlpSettings; warnings: Notice[] } {
  const warnings: Notice[] = [];
  const isSet = (name: string) => (env[name] ?? "").trim() !== "";
  const enabled = env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== "true";
  const exported = (signal: string) =>
    enabled && (isSet("OTEL_EXPORTER_OTLP_ENDPOINT") || isSet(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`));
  const variable = protocolVariables.find(isSet);
  const protocol = variable === undefined ? protocols[0] : protocols.find((known) => known === env[variable]?.trim());
  const ignore = (name: string | undefined, why: string) =>
    warnings.push(notice("SETTING_IGNORED", `${name} is not ${why} is used.`, name));
  if (!protocol) ignore(variable, `one of ${protocols.join(", ")}: ${protocols[0]}`);
  const milliseconds = (name: string, otherwise: number): number => {
    if (!isSet(name)) return otherwise;
    const text = env[name]!.trim();
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    ignore(name, `a number of milliseconds: ${otherwise}`);
    return otherwise;
  };
  const metricIntervalMs = milliseconds("OTEL_METRIC_EXPORT_INTERVAL", defaultIntervalMs);
  return {
    otlp: {
      traces: exported("TRACES"),
      metrics: exported("METRICS"),
      protocol: protocol ?? protocols[0],
      metricIntervalMs,
      metricTimeoutMs: Math.min(metricIntervalMs, milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", defaultTimeoutMs)),
    },
    warnings,
  };
}
