/** Sealed files: other programs' vectors, and a running service. */
import { createHash, createHmac } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { itOnWycheproof } from "../../../test/support/wycheproof.ts";
import {
  chunkBytes,
  expand,
  openingChunks,
  prefixBytes,
  SealedFileError,
  sealingChunks,
} from "../src/node/cobblestone.ts";
import { openFile, openStream, sealFile } from "../src/node/files.ts";
import { createGrpcKms, type GrpcKms } from "../src/node/grpc-kms.ts";
import { openSealed, sealStream } from "../src/node/sealed-stream.ts";

type Part = [start: number, end: number] | string;
const vectors: {
  dataKey: string;
  ciphertextBlob: string;
  files: { length: number; sealed: string }[];
  refused: { name: string; of: number; parts: Part[]; authentic?: number }[];
} = JSON.parse(readFileSync(new URL("../../../test/vectors/file/files.json", import.meta.url), "utf8"));
const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, "base64"));
const plaintext = (length: number) => Uint8Array.from({ length }, (_, i) => (31 * i + Math.floor(i / 251)) % 256);

async function* pieces(whole: Uint8Array, size = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < whole.length; at += size) yield whole.subarray(at, at + size);
}
async function opened(sealed: Uint8Array): Promise<{ text: Buffer; error: unknown }> {
  const text: Uint8Array[] = [];
  try {
    for await (const piece of openSealed(pieces(sealed), async () => bytes(vectors.dataKey))) text.push(piece);
    return { text: Buffer.concat(text), error: undefined };
  } catch (error) {
    return { text: Buffer.concat(text), error };
  }
}

describe("a sealed file of PyCA cryptography's", () => {
  it.each(vectors.files)("opens: $length bytes", async ({ length, sealed }) => {
    const { text, error } = await opened(bytes(sealed));
    expect(error).toBeUndefined();
    expect(text.equals(plaintext(length))).toBe(true);
  });

  it.each(vectors.refused)("is refused: $name", async ({ of, parts, authentic = 0 }) => {
    const whole = bytes(vectors.files.find(({ length }) => length === of)!.sealed);
    const altered = parts.map((part) => (typeof part === "string" ? bytes(part) : whole.subarray(...part)));
    const { text, error } = await opened(Buffer.concat(altered));
    expect(error).toBeInstanceOf(SealedFileError);
    expect(text.length).toBeLessThanOrEqual(authentic);
    expect(text.equals(plaintext(of).subarray(0, text.length))).toBe(true);
  });
});

const hex = (text: unknown) => Buffer.from(text as string, "hex");

describe("Cobblestone-256", () => {
  itOnWycheproof("opens and refuses as the vectors say", "c2sp_chunked_encryption_aes_256_gcm_test.json", (groups) =>
    groups.flatMap(({ tests }) =>
      tests.map(({ tcId, key, ctx, ct, msgLength, msgSha512, result }) => {
        const sealed = inflateSync(hex(ct));
        const open = () => {
          const chunks = openingChunks(hex(key), hex(ctx), sealed.subarray(0, prefixBytes));
          const text: Buffer[] = [];
          for (let at = prefixBytes; ; at += chunkBytes + 16) {
            const chunk = sealed.subarray(at, at + chunkBytes + 16);
            text.push(chunks.open(chunk));
            if (chunk.length < chunkBytes + 16) return Buffer.concat(text);
          }
        };
        if (result === "valid") {
          const text = open();
          expect([text.length, createHash("sha512").update(text).digest("hex")]).toEqual([msgLength, msgSha512]);
        } else expect(open, `${tcId}`).toThrow(hex(key).length === 32 ? SealedFileError : RangeError);
        return tcId;
      }),
    ),
  );

  itOnWycheproof("expands keys as the vectors say", "hkdf_sha512_test.json", (groups) => {
    return groups.flatMap(({ tests }) =>
      tests.map(({ tcId, ikm, salt, info, size, okm, result }) => {
        const extracted = createHmac("sha512", hex(salt)).update(hex(ikm)).digest();
        if (result === "valid") expect(expand(extracted, hex(info), size as number).equals(hex(okm))).toBe(true);
        return tcId;
      }),
    );
  });

  it("seals what it opens, with another salt each time", () => {
    const [key, context] = [Buffer.alloc(32, 1), Buffer.from("context")];
    const [one, two] = [sealingChunks(key, context), sealingChunks(key, context)];
    expect(Buffer.from(one.prefix).equals(two.prefix)).toBe(false);
    const sealed = one.seal(Buffer.from("text"));
    expect(openingChunks(key, context, one.prefix).open(sealed).toString()).toBe("text");
    expect(() => openingChunks(key, Buffer.from("other"), one.prefix)).toThrow(SealedFileError);
  });
});

describe("a file", () => {
  let service: RunningService;
  let kms: GrpcKms;
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-files-"));
  const [from, sealed, to] = ["plain", "sealed", "opened"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const context = { file: "é" };
  beforeAll(async () => {
    service = await startService();
    kms = createGrpcKms({ target: `127.0.0.1:${service.grpcPort}`, insecure: true });
  });
  afterAll(async () => {
    kms.close();
    await service.stop();
    rmSync(folder, { recursive: true });
  });

  it.each([0, 1, chunkBytes - 1, chunkBytes, 300_000])("of %i bytes is sealed, and opens", async (length) => {
    writeFileSync(from, plaintext(length));
    await sealFile(kms, "acme", from, sealed, { context });
    await openFile(kms, "acme", sealed, to, { context });
    expect(readFileSync(to).equals(plaintext(length))).toBe(true);
    expect(statSync(to).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(["opened", "plain", "sealed"]);
  });

  it("is not opened for another tenant, with another context, or cut: what stood there stays", async () => {
    writeFileSync(from, plaintext(40_000));
    await sealFile(kms, "acme", from, sealed, { context });
    writeFileSync(to, "as before");
    await expect(openFile(kms, "globex", sealed, to, { context })).rejects.toThrow();
    await expect(openFile(kms, "acme", sealed, to, {})).rejects.toThrow(SealedFileError);
    truncateSync(sealed, statSync(sealed).size - 1);
    await expect(openFile(kms, "acme", sealed, to, { context })).rejects.toThrow(SealedFileError);
    expect(readFileSync(to, "utf8")).toBe("as before");
    expect(readdirSync(folder).sort()).toEqual(["opened", "plain", "sealed"]);
  });

  it("is not made where there is nothing to seal or to open, or no folder for it", async () => {
    const [nothing, nowhere] = [join(folder, "nothing"), join(folder, "no-folder", "sealed")];
    await expect(sealFile(kms, "acme", nothing, sealed)).rejects.toThrow(/ENOENT/);
    await expect(sealFile(kms, "acme", nothing, nowhere)).rejects.toThrow(/ENOENT/);
    await expect(openFile(kms, "acme", nothing, to)).rejects.toThrow(/ENOENT/);
    expect(readdirSync(folder).some((name) => name.endsWith(".tmp"))).toBe(false);
  });

  it("delivers what is authentic, and throws where the end is missing", async () => {
    writeFileSync(from, plaintext(2 * chunkBytes));
    await sealFile(kms, "acme", from, sealed);
    const whole = readFileSync(sealed);
    const got: Uint8Array[] = [];
    const cut = pieces(whole.subarray(0, whole.length - 16));
    await expect(openStream(kms, "acme", cut, (piece) => void got.push(piece))).rejects.toThrow(SealedFileError);
    expect(Buffer.concat(got).equals(plaintext(2 * chunkBytes))).toBe(true);
    got.length = 0;
    await openStream(kms, "acme", pieces(whole), (piece) => void got.push(piece));
    expect(Buffer.concat(got).length).toBe(2 * chunkBytes);
  });

  it("overwrites the data key", async () => {
    const key = bytes(vectors.dataKey);
    const sealedText = Buffer.concat(await Array.fromAsync(sealStream(key, Buffer.of(1), pieces(plaintext(5)))));
    for await (const _ of openSealed(pieces(sealedText), async () => key));
    expect(key.every((byte) => byte === 0)).toBe(true);
  });
});
