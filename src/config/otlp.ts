/** The OpenTelemetry SDK's own variables, as far as the service decides by them; the exporters read the rest by themselves. */
import type { Environment } from "./sources.ts";

export interface OtlpSettings {
  /** Whether spans are recorded and exported. */
  traces: boolean;
  metrics: boolean;
  /** Of the metrics; the SDK chooses that of the traces by the same variables. */
  protocol: "http/protobuf" | "http/json" | "grpc";
}

const protocols = ["http/protobuf", "http/json", "grpc"] as const;
const protocolVariables = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];

/** An empty variable is an unset one, and an unknown protocol is warned of and ignored: both as the SDK's specification has it. */
export function otlpSettings(env: Environment): { otlp: OtlpSettings; warnings: string[] } {
  const isSet = (name: string) => (env[name] ?? "").trim() !== "";
  const enabled = env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== "true";
  const exported = (signal: string) =>
    enabled && (isSet("OTEL_EXPORTER_OTLP_ENDPOINT") || isSet(`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`));
  const variable = protocolVariables.find(isSet);
  const protocol = variable === undefined ? protocols[0] : protocols.find((known) => known === env[variable]?.trim());
  return {
    otlp: { traces: exported("TRACES"), metrics: exported("METRICS"), protocol: protocol ?? protocols[0] },
    warnings: protocol ? [] : [`${variable} is not one of ${protocols.join(", ")}: ${protocols[0]} is used.`],
  };
}
