/**
 * An OpenTelemetry Collector (collector/main.go) on free loopback ports, as deploy/collector/collector.yaml has it: it takes OTLP, shows
 * Prometheus what it was given last, and hands spans on.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parse } from "yaml";

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
  const [grpc, http, shown] = (await freePorts(3)) as [number, number, number];
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-collector-"));
  const config = join(dir, "collector.json");
  writeFileSync(config, JSON.stringify(configuration({ grpc, http, shown, spans })));
  const child = spawn(program, ["--config", config], { stdio: ["ignore", "ignore", "pipe"] });
  const killed = () => {
    child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", killed);
  let said = "";
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      said = `${said}${line}\n`.slice(-10_000);
      if (line.includes("Everything is ready")) resolve();
    });
    child.once("error", reject);
    child.once("close", () => reject(new Error(`the Collector ended: ${said}`)));
  });
  const byHttp = `http://127.0.0.1:${http}`;
  return {
    endpoints: { grpc: `http://127.0.0.1:${grpc}`, "http/protobuf": byHttp, "http/json": byHttp },
    url: `http://127.0.0.1:${shown}`,
    async end() {
      process.off("exit", killed);
      const ended = once(child, "close");
      child.kill("SIGTERM");
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
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

/** Ports that are free now; the Collector tells nobody which one it took. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
