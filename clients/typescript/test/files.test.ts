/** Sealed files: other programs' vectors, and a running service. */
import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import {
  createReadStream,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
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
import { openBytes, openFile, openStream, sealBytes, sealFile, sealStream } from "../src/node/files.ts";
import { createGrpcKms, type GrpcKms } from "../src/node/grpc-kms.ts";
import { openSealed, sealed as sealedPieces } from "../src/node/sealed-stream.ts";
import type { ByteSink } from "../src/node/sink.ts";

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
    const [plaintextKey, opening] = [bytes(vectors.dataKey), bytes(vectors.dataKey)];
    const newDataKey = async () => ({ plaintext: plaintextKey, ciphertextBlob: Buffer.of(1) });
    const sealedText = Buffer.concat(await Array.fromAsync(sealedPieces(pieces(plaintext(5)), newDataKey)));
    for await (const _ of openSealed(pieces(sealedText), async () => opening));
    expect([...plaintextKey, ...opening].every((byte) => byte === 0)).toBe(true);
  });

  const lengths = [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 2 * chunkBytes];

  describe.each(lengths)("of %i bytes", (length) => {
    const text = plaintext(length);

    it.each([1, 777, 70_000])("is the same sealed as a stream in pieces of %i bytes", async (size) => {
      const sink = collecting();
      await sealStream(kms, "acme", pieces(text, length > 1_000 ? Math.max(size, 777) : size), sink.sink, { context });
      expect(Buffer.from(await openBytes(kms, "acme", sink.bytes(), { context })).equals(text)).toBe(true);
    });

    it("is the same sealed as bytes, as a file and as a stream", async () => {
      const asBytes = await sealBytes(kms, "acme", text, { context });
      writeFileSync(sealed, asBytes);
      await openFile(kms, "acme", sealed, to, { context });
      expect(readFileSync(to).equals(text)).toBe(true);
      const sink = collecting();
      await openStream(kms, "acme", createReadStream(sealed), sink.sink, { context });
      expect(sink.bytes().equals(text)).toBe(true);
    });
  });

  it("is sealed from and to streams of the Web, which stay open", async () => {
    const written: Uint8Array[] = [];
    const [source, sink] = [
      new Blob([plaintext(40_000)]).stream(),
      new WritableStream<Uint8Array>({ write: (piece) => void written.push(piece) }),
    ];
    await sealStream(kms, "acme", source, sink);
    expect(Buffer.from(await openBytes(kms, "acme", Buffer.concat(written))).equals(plaintext(40_000))).toBe(true);
    await sink.close();
  });

  it("leaves a stream of Node's open, and its listeners as they were", async () => {
    const { sink, bytes } = collecting();
    const before = sink.eventNames().map((name) => [name, sink.listenerCount(name)]);
    await sealStream(kms, "acme", pieces(plaintext(5)), sink);
    const length = bytes().length;
    expect(sink.eventNames().map((name) => [name, sink.listenerCount(name)])).toEqual(before);
    sink.write("more");
    expect(bytes().length).toBe(length + 4);
  });

  it("is refused as bytes that were altered or cut, or have another tenant or context", async () => {
    const whole = await sealBytes(kms, "acme", plaintext(2 * chunkBytes), { context });
    const altered = whole.with(-1, whole.at(-1)! ^ 1);
    for (const each of [altered, whole.subarray(0, -16), whole.subarray(0, 100), new Uint8Array()])
      await expect(openBytes(kms, "acme", each, { context })).rejects.toThrow(SealedFileError);
    await expect(openBytes(kms, "acme", whole)).rejects.toThrow(SealedFileError);
    await expect(openBytes(kms, "globex", whole, { context })).rejects.toThrow();
  });

  it.each([0, 1, chunkBytes, 3 * chunkBytes])("has no end where the source fails after %i bytes", async (length) => {
    async function* failing() {
      yield* pieces(plaintext(length));
      throw new Error("the source broke");
    }
    const { sink, bytes } = collecting();
    await expect(sealStream(kms, "acme", failing(), sink)).rejects.toThrow("the source broke");
    await expect(openBytes(kms, "acme", bytes())).rejects.toThrow(SealedFileError);
    expect(sink.destroyed).toBe(false);
  });

  it.each([
    ["between pieces", async () => {}],
    ["at the source's end", async () => {}],
    ["while the source is waited for", () => new Promise<void>(() => {})],
  ])("has no end where it is aborted %s", async (when, wait) => {
    const stop = new AbortController();
    async function* aborting() {
      yield plaintext(3 * chunkBytes);
      stop.abort(new Error("the upload was cancelled"));
      await wait();
      if (when === "between pieces") yield plaintext(1);
    }
    const { sink, bytes } = collecting();
    const { signal } = stop;
    await expect(sealStream(kms, "acme", aborting(), sink, { signal })).rejects.toThrow("the upload was cancelled");
    await expect(openBytes(kms, "acme", bytes())).rejects.toThrow(SealedFileError);
  });

  it("rejects for a file of Node's that is not there, with no error left to nobody", async () => {
    await expect(sealStream(kms, "acme", createReadStream(join(folder, "nothing")), () => {})).rejects.toThrow(
      /ENOENT/,
    );
    await expect(openStream(kms, "acme", createReadStream(join(folder, "nothing")), () => {})).rejects.toThrow(
      /ENOENT/,
    );
  });

  it.each<[string, () => ByteSink]>([
    ["a stream of Node's", () => new Writable({ write: (_, __, callback) => callback(new Error("the sink broke")) })],
    [
      "a stream of Node's that was destroyed",
      () => new Writable({ write: () => {} }).on("error", () => {}).destroy(new Error("the sink broke")),
    ],
    [
      "a stream of Node's that is destroyed while it is written to",
      () =>
        new Writable({
          write() {
            this.destroy(new Error("the sink broke"));
          },
        }),
    ],
    ["a stream of the Web", () => new WritableStream({ write: () => Promise.reject(new Error("the sink broke")) })],
    ["a function", () => () => Promise.reject(new Error("the sink broke"))],
  ])("rejects where the sink fails: %s; and closes the source", async (_, newSink) => {
    let isClosed = false;
    async function* source() {
      try {
        yield* pieces(plaintext(100_000));
      } finally {
        isClosed = true;
      }
    }
    await expect(sealStream(kms, "acme", source(), newSink())).rejects.toThrow("the sink broke");
    expect(isClosed).toBe(true);
  });

  it("rejects where the client that a response goes to is gone", async () => {
    const { promise: sealed, resolve, reject } = Promise.withResolvers<void>();
    async function* endless() {
      for (;;) yield new Uint8Array(chunkBytes);
    }
    const server = createServer((_, response) => {
      sealStream(kms, "acme", endless(), response).then(resolve, reject);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { body } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await body!.cancel();
    await expect(sealed).rejects.toThrow();
    server.closeAllConnections();
    await once(server.close(), "close");
  });

  it("takes from its source what the sink takes, and no more than a chunk ahead", async () => {
    let [given, taken, most] = [0, 0, 0];
    async function* counted() {
      for (let i = 0; i < 200; i += 1) {
        given += 1_000;
        yield new Uint8Array(1_000);
      }
    }
    await sealStream(kms, "acme", counted(), async (piece) => {
      taken += piece.length;
      most = Math.max(most, given - taken);
    });
    expect(most).toBeLessThanOrEqual(chunkBytes + 1_000);
  });
});

function collecting(): { sink: Writable; bytes(): Buffer } {
  const parts: Buffer[] = [];
  const sink = new Writable({
    write(chunk, _, callback) {
      parts.push(chunk);
      callback();
    },
  });
  return { sink, bytes: () => Buffer.concat(parts) };
}
