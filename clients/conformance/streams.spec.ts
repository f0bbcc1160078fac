/**
 * Streams sealed in each language and opened in the next: 1 GiB, or 96 MiB in the short form, within 64 MiB of memory beyond what
 * the process had before. A JVM is held to a heap of half that size, since it takes what it may have before it collects.
 */
import { createReadStream, createWriteStream, readFileSync, statSync } from "node:fs";
import { createHash, hash } from "node:crypto";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServiceProcess, startProcess } from "../../test/support/service-process.ts";
import { isShort } from "../../test/support/short.ts";
import { atEnd, type Language, newFolder, runProgram, whole } from "./programs.ts";

process.env.JAVA_TOOL_OPTIONS = "-Xmx32m";

const mebibyte = 2 ** 20;
const length = (isShort ? 96 : 1024) * mebibyte + 5;
const most = 64 * mebibyte;
const folder = newFolder("streams-");
const [clear, context] = [join(folder, "clear"), { upload: "größer" }];

let service: ServiceProcess;
let digest: string;
beforeAll(async () => {
  service = await startProcess({}, { finished: atEnd });
  await pipeline(blocks(), createWriteStream(clear));
  digest = await digestOf(clear);
});
afterAll(async () => {
  await service.end();
});

/** Blocks that differ, so that a chunk in the wrong place is seen. */
function* blocks(): Generator<Uint8Array> {
  let block: Uint8Array = hash("sha512", "first", "buffer");
  for (let at = 0; at < length; at += mebibyte) {
    yield Buffer.alloc(Math.min(mebibyte, length - at), block);
    block = hash("sha512", block, "buffer");
  }
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash("sha256");
  await pipeline(createReadStream(path), digest);
  return digest.digest("hex");
}

async function run(language: Language, command: "seal-stream" | "open-stream", from: string, to: string) {
  const out = join(newFolder(), "memory.json");
  const told = await runProgram(language, command, {
    service: service.grpc,
    tenant: "streams",
    context,
    from,
    to,
    out,
    work: newFolder(),
  });
  expect(told.failures).toEqual([]);
  const { peakGrowthBytes } = JSON.parse(readFileSync(out, "utf8"));
  expect(peakGrowthBytes).toBeLessThanOrEqual(most);
}

const sealedBy = ({ name }: Language) => join(folder, `${name}.sealed`);
const named = whole.map((language) => [language.title, language] as const);

describe.each(named)("%s", (_, language) => {
  it("seals a stream in bounded memory", async () => {
    await run(language, "seal-stream", clear, sealedBy(language));
    expect(statSync(sealedBy(language)).size).toBeGreaterThan(length);
  });
});

/** Each opens that of the next, so that all are opened by another language. */
describe.each(named.map(([title, language], i) => [title, language, whole[(i + 1) % whole.length]!] as const))(
  "%s, after all",
  (_, language, other) => {
    it(`opens the stream that ${other.title} sealed`, async () => {
      const opened = join(folder, `${language.name}.opened`);
      await run(language, "open-stream", sealedBy(other), opened);
      expect(await digestOf(opened)).toBe(digest);
    });
  },
);
