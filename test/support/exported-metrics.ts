/** Metrics in Prometheus' text form, of instruments that a test makes. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { otlpSettings } from "../../src/config/otlp.ts";
import { createObserver, type Observer } from "../../src/metrics/read-metrics.ts";
import { startTelemetry, type Telemetry } from "../../src/telemetry/start.ts";
import { realTime } from "../../src/runtime/time.ts";

/** An observer whose metrics must all be read. */
export function testObserver(meter: Telemetry["meter"]): Observer {
  return createObserver(meter, (error) => {
    throw error;
  });
}

/** Gives what is exported after `use`. */
export async function exportedTextBy(use: (telemetry: Telemetry) => void): Promise<string> {
  const telemetry = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp }, realTime);
  use(telemetry);
  const server = createServer(telemetry.servePrometheus).listen(0, "127.0.0.1");
  await once(server, "listening");
  const text = await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text();
  server.close();
  await telemetry.shutdown();
  return text;
}

/** Gives the lines of it, without comments. */
export async function exportedBy(use: (telemetry: Telemetry) => void): Promise<string[]> {
  const text = await exportedTextBy(use);
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

/** Lines of one metric, by its name. */
export function linesOf(lines: readonly string[], name: string): string[] {
  return lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
}
