import { createSecretKey } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { mergeHeads, mostNoted, nothingNoted } from "../../../src/store/head-notes.ts";
import { decodeHeads, encodeHeads, type HeadsContent, headsKey } from "../../../src/store/heads/format.ts";
import { readNotedCommits } from "../../../src/store/sqlite/wal/noted-commits.ts";

const storeKey = createSecretKey(Buffer.from(Array.from({ length: 32 }, (_, at) => at)));
const key = headsKey(storeKey);
const bytes = (value: number) => new Uint8Array(32).fill(value);

const content: HeadsContent = {
  storeId: "0b",
  generation: 7,
  since: new Date("2026-01-01T00:00:00.000Z"),
  writtenAt: new Date("2026-01-02T00:00:00.000Z"),
  counted: { commits: 41, logHeads: bytes(1), auditHeads: bytes(2) },
  writersCounted: 5,
  writers: [{ writerId: "w", sequence: 3, mac: bytes(3) }],
  logs: [{ tenantId: "acme", number: 1, size: 300, root: bytes(4) }],
  keys: [{ tenantId: "acme", purpose: "data", keyId: "k", version: 2, state: "COMPROMISED" }],
};

/** Made by hmac and hashlib of Python: HMAC(HMAC(00 01 … 1f, "fluo-kms/v1/heads" 01), what stands before it and a brace). */
const mac = "134902108f8ddf36d1ab4c1b660b4a224e26ef8e3a89151163d6beef23114509";

it("ends with an HMAC under a key of its own", () => {
  expect(encodeHeads(content, key).endsWith(`"state":"COMPROMISED"}],"mac":"${mac}"}\n`)).toBe(true);
});

it("is read as it was written", () => {
  expect(decodeHeads(Buffer.from(encodeHeads(content, key)), key)).toEqual(content);
  const postgres = { ...content, counted: undefined };
  expect(decodeHeads(Buffer.from(encodeHeads(postgres, key)), key)).toEqual(postgres);
});

it("is not read with any byte changed, under another key, or in part", () => {
  const written = Buffer.from(encodeHeads(content, key));
  for (let at = 0; at < written.length; at += 1) {
    const changed = Buffer.from(written);
    changed[at]! ^= 1;
    expect(decodeHeads(changed, key)).toBeUndefined();
    expect(decodeHeads(written.subarray(0, at), key)).toBeUndefined();
  }
  expect(decodeHeads(written, storeKey)).toBeUndefined();
});

it("tells the commits of its newer generation before anybody can authenticate it", () => {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-heads-")), "kms.db-heads");
  expect(readNotedCommits(file)).toBeUndefined();
  writeFileSync(file, "{");
  expect(readNotedCommits(file)).toBeUndefined();
  writeFileSync(`${file}.1`, encodeHeads(content, key));
  expect(readNotedCommits(file)).toBe(41);
  writeFileSync(file, encodeHeads({ ...content, generation: 8, counted: undefined }, key));
  expect(readNotedCommits(file)).toBe(41);
  const counted = { ...content.counted!, commits: 45 };
  writeFileSync(file, encodeHeads({ ...content, generation: 8, counted }, key));
  expect(readNotedCommits(file)).toBe(45);
});

it("is never lowered by what is merged, and keeps the newest of each kind", () => {
  const lower = { ...content, counted: { ...content.counted!, commits: 40 }, logs: [{ ...content.logs[0]!, size: 2 }] };
  const older = { ...lower, writersCounted: 4, writers: [{ ...content.writers[0]!, sequence: 2 }], keys: [] };
  for (const merged of [mergeHeads(content, older), mergeHeads(older, content)]) {
    const { counted, writersCounted, writers, logs, keys } = content;
    expect(merged).toEqual({ counted, writersCounted, writers, logs, keys });
  }
  const many = Array.from({ length: mostNoted + 5 }, (_, at) => ({ ...content.writers[0]!, writerId: `w${at}` }));
  const { writers } = mergeHeads({ ...nothingNoted, writers: many }, content);
  expect(writers).toHaveLength(mostNoted);
  expect(writers.at(-1)).toEqual(content.writers[0]);
  expect(writers[0]!.writerId).toBe("w6");
});
