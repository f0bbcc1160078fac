/** What a backend has once the SDK's own flush, or its shutdown, returned: a serverless function is frozen right after it. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, afterAll, describe, expect, it } from "vitest";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { spansOf, startBackend } from "./backend.ts";
import { atEnd, newFolder, runProgram, whole } from "./programs.ts";

const spans = 100;

let service: ServiceProcess;
beforeAll(async () => {
  service = await startProcess({}, { finished: atEnd });
});
afterAll(async () => {
  await service.end();
});

describe.each(whole.map((language) => [language.title, language] as const))("%s", (_, language) => {
  it.each(["flush", "shutdown"] as const)("has delivered all when the SDK's %s returns", async (how) => {
    const backend = await startBackend();
    const out = join(newFolder(), "flushed.json");
    const told = await runProgram(language, "flush", {
      service: service.grpc,
      backend: backend.url,
      tenant: `${language.name}-${how}`,
      mode: "LOG",
      spans,
      how,
      queue: { spans: 20_000, bytes: 64 * 1024 * 1024 },
      batch: 512,
      processorQueue: 2_048,
      exportTimeoutMs: 30_000,
      shutdownMs: 30_000,
      out,
      work: newFolder(),
    });
    backend.close();
    expect(told.failures).toEqual([]);
    expect(JSON.parse(readFileSync(out, "utf8"))).toEqual({ ended: spans, delivered: spans, ok: true });
    expect(new Set(spansOf(backend.requests).map(({ name }) => name)).size).toBe(spans);
  });
});
