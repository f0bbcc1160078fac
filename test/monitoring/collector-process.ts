/** An OpenTelemetry Collector (collector/main.go) on free loopback ports: it takes OTLP, and shows Prometheus what it was given last. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const program = join(import.meta.dirname, "..", "..", "tools", "bin", "otel-collector");

export interface CollectorProcess {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT must say, by protocol. */
  endpoints: Readonly<Record<"grpc" | "http/protobuf" | "http/json", string>>;
  /** What Prometheus looks at, under /metrics. */
  url: string;
  end(): Promise<void>;
}

export async function startCollectorProcess(): Promise<CollectorProcess> {
  const [grpc, http, shown] = await freePorts(3);
  const at = (port: number | undefined) => ({ endpoint: `127.0.0.1:${port}` });
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-collector-"));
  const config = join(dir, "collector.json");
  writeFileSync(config, JSON.stringify(configuration(at(grpc), at(http), at(shown))));
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

/** Names stay as they are: the Collector would add units and `_total` to them. `service.instance.id` becomes the label `instance`. */
function configuration(grpc: object, http: object, shown: object) {
  return {
    receivers: { otlp: { protocols: { grpc, http } } },
    exporters: {
      prometheus: {
        ...{ ...shown, translation_strategy: "UnderscoreEscapingWithoutSuffixes", without_scope_info: true },
      },
    },
    service: {
      pipelines: { metrics: { receivers: ["otlp"], exporters: ["prometheus"] } },
      telemetry: { metrics: { level: "none" } },
    },
  };
}

/** Ports that are free now; the Collector tells nobody which one it took. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => once(server.close(), "close")));
  return ports;
}
