/**
 * An OpenTelemetry Collector (collector/main.go) on free loopback ports, as deploy/collector/collector.yaml has it: it takes OTLP, shows
 * Prometheus what it was given last, and hands spans on.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "yaml";
import { onFreePorts } from "../support/free-ports.ts";
import { startServer } from "../support/server-program.ts";

const root = join(import.meta.dirname, "..", "..");
const program = join(root, "tools", "bin", "otel-collector");
const example = join(root, "deploy", "collector", "collector.yaml");

export interface CollectorProcess {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT must say, by protocol. */
  endpoints: Readonly<Record<"grpc" | "http/protobuf" | "http/json", string>>;
  /** What Prometheus looks at, under /metrics. */
  url: string;
  end(): Promise<void>;
}

/** `spans` is where spans are handed on to. */
export async function startCollectorProcess({ spans = "http://127.0.0.1:9" } = {}): Promise<CollectorProcess> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-collector-"));
  const config = join(dir, "collector.json");
  return onFreePorts(3, async (grpc, http, shown) => {
    writeFileSync(config, JSON.stringify(configuration({ grpc: grpc!, http: http!, shown: shown!, spans })));
    const server = await startServer(program, ["--config", config], { ready: /Everything is ready/ });
    const byHttp = `http://127.0.0.1:${http}`;
    return {
      endpoints: { grpc: `http://127.0.0.1:${grpc}`, "http/protobuf": byHttp, "http/json": byHttp },
      url: `http://127.0.0.1:${shown}`,
      async end() {
        await server.end();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  });
}

/** The example at other addresses, and without a port for the Collector's own metrics. */
function configuration({ grpc, http, shown, spans }: { grpc: number; http: number; shown: number; spans: string }) {
  const config = parse(readFileSync(example, "utf8"));
  const { protocols } = config.receivers.otlp;
  const { exporters, service } = config;
  for (const [part, port] of [
    [protocols.grpc, grpc] as const,
    [protocols.http, http] as const,
    [exporters.prometheus, shown] as const,
  ]) {
    part.endpoint = `127.0.0.1:${port}`;
  }
  exporters.otlp_http.endpoint = spans;
  service.telemetry = { metrics: { level: "none" } };
  return config;
}
