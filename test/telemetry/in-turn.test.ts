import type { IncomingMessage, ServerResponse } from "node:http";
import { expect, it } from "vitest";
import { otlpSettings } from "../../src/config/otlp.ts";
import { startTelemetry } from "../../src/telemetry/start.ts";
import { realTime } from "../../src/runtime/time.ts";

it("gives each of several scrapes that begin at once all gauges", async () => {
  const telemetry = await startTelemetry({ version: "test", otlp: otlpSettings({}).otlp }, realTime);
  telemetry.meter.createObservableGauge("a_gauge").addCallback((result) => result.observe(7));
  const scrape = () =>
    new Promise<string>((resolve) => {
      const response = { setHeader() {}, end: resolve } as unknown as ServerResponse;
      telemetry.servePrometheus({} as IncomingMessage, response);
    });
  const texts = await Promise.all([scrape(), scrape(), scrape()]);
  for (const text of texts) expect(text).toContain("\na_gauge 7\n");
  await telemetry.shutdown();
});
