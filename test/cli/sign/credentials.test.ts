/** What `sign` shows a service by gRPC, and what it says where that is refused. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../../gen/ts/google/rpc/error_details_pb.ts";
import { StatusSchema } from "../../../gen/ts/google/rpc/status_pb.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { pkiFiles, type Pair } from "../../support/pki-files.ts";
import { startProxy } from "../../support/proxy.ts";
import { attribute, signedResult, spanService, type Stream } from "../../support/span-service.ts";

const answer = (stream: Stream, { requestId }: { requestId: string }) =>
  stream.write(signedResult(requestId, [attribute]));

function tokenFile(content = "fkt_canary"): string {
  const file = join(directory(), "token");
  writeFileSync(file, content);
  chmodSync(file, 0o600);
  return file;
}

function refuse(stream: Stream, details: string, reason?: string): void {
  const code = grpc.status.UNAUTHENTICATED;
  const info = create(ErrorInfoSchema, { reason: reason ?? "UNAUTHENTICATED", domain: "kms.fluo.dev" });
  const status = create(StatusSchema, { code, message: details, details: [anyPack(ErrorInfoSchema, info)] });
  const metadata = new grpc.Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  stream.emit("error", { code, details, metadata });
}

describe("a token", () => {
  it("goes with the stream, by option and by variable", async () => {
    const { sign, shown } = await spanService(answer, { env: { FLUO_KMS_TOKEN: "fkt_text", VAULT_TOKEN: "hvs.no" } });
    expect((await sign()).code).toBe(0);
    expect((await sign("--token-file", tokenFile())).code).toBe(0);
    expect(shown.map(({ authorization }) => authorization)).toEqual(["Bearer fkt_text", "Bearer fkt_canary"]);
  });

  it("is none where none is named, be there one of Vault", async () => {
    const { sign, shown } = await spanService(answer, { env: { VAULT_TOKEN: "hvs.no" } });
    expect((await sign()).code).toBe(0);
    expect(shown).toEqual([{ authorization: undefined, certificate: undefined }]);
  });

  it("is read anew for each stream", async () => {
    const file = tokenFile("fkt_first");
    const { sign, shown } = await spanService((stream, request, before) => {
      writeFileSync(file, "fkt_second");
      if (before > 0) answer(stream, request);
      else stream.emit("error", { code: grpc.status.UNAVAILABLE, details: "draining" });
    });
    expect((await sign("--token-file", file)).code).toBe(0);
    expect(shown.map(({ authorization }) => authorization)).toEqual(["Bearer fkt_first", "Bearer fkt_second"]);
  });

  it.each(["kms.invalid:9000", "http://kms.invalid:9000"])(
    "is not sent in the clear to another machine: %s",
    async (address) => {
      const args = ["sign", "--tenant", "acme", "--grpc-address", address, "--token-file", tokenFile(), "spans"];
      const { code, err } = await run(args, { cwd: directory({ spans: "{}" }) });
      expect(code).toBe(2);
      expect(err).toContain(
        `fluo-kms: a token is not sent to ${address}, where others could read it on its way; use https://\n`,
      );
    },
  );

  it.each([
    ["no credential", undefined, /; give a token by --token-file, or a certificate /],
    ["the token is not accepted", undefined, /; it is that of FLUO_KMS_TOKEN; the service's log says why/],
    ["the token has expired", "CREDENTIAL_EXPIRED", /; put a new one where it was found: FLUO_KMS_TOKEN\n$/],
  ])("that is refused is not sent again, and what to do is said: %s", async (message, reason, advice) => {
    const env = message === "no credential" ? {} : { FLUO_KMS_TOKEN: "fkt_canary" };
    const { sign, requests } = await spanService((stream) => refuse(stream, message, reason), { env });
    const { code, out, err } = await sign();
    expect([code, out, requests.length]).toEqual([1, "", 1]);
    expect(err.startsWith(`fluo-kms: UNAUTHENTICATED: ${message}; `)).toBe(true);
    expect(err).toMatch(advice);
    expect(err).not.toContain("canary");
  });
});

const pki = pkiFiles();
const shownPair = ["--client-cert", pki.client.certificate, "--client-key", pki.client.key];

/** Asks clients for a certificate, and takes those that show none. */
function asking({ certificate, key }: Pair): grpc.ServerCredentials {
  const pair = { cert_chain: readFileSync(certificate), private_key: readFileSync(key) };
  return grpc.ServerCredentials.createSsl(readFileSync(pki.ca), [pair], true);
}

describe("a certificate", () => {
  const tls = { scheme: "https://", host: "localhost" };

  it("is shown by option and by variable, with a token beside it", async () => {
    const env = {
      FLUO_KMS_CACERT: pki.ca,
      FLUO_KMS_CLIENT_CERT: pki.client.certificate,
      FLUO_KMS_CLIENT_KEY: pki.client.key,
    };
    for (const [given, args] of [
      [env, []],
      [{}, ["--ca-cert", pki.ca, ...shownPair]],
    ] as const) {
      const { sign, shown } = await spanService(answer, { ...tls, credentials: asking(pki.server), env: given });
      expect((await sign(...args, "--token-file", tokenFile())).code).toBe(0);
      expect(shown).toEqual([{ authorization: "Bearer fkt_canary", certificate: "client" }]);
    }
  });

  it("is needed where the service asks for one: without it there is no stream", async () => {
    const { sign, shown } = await spanService(answer, { ...tls, credentials: asking(pki.server) });
    expect((await sign("--ca-cert", pki.ca)).code).toBe(1);
    expect(shown).toEqual([]);
  });

  it.each([
    ["by an authority that nobody named", pki.server, [], /; name its authority's PEM file with --ca-cert/],
    ["for another name", pki.named, ["--ca-cert", pki.ca], /altnames.*; name the service with --grpc-address as its /],
  ] as const)("of the service is not believed %s, and gets no token", async (_, pair, args, advice) => {
    const { sign, shown } = await spanService(answer, { ...tls, credentials: asking(pair) });
    const { code, err } = await sign(...args, ...shownPair, "--token-file", tokenFile());
    expect([code, shown]).toEqual([1, []]);
    expect(err).toMatch(/^fluo-kms: the certificate of https:\/\/localhost:\d+ is not trusted/);
    expect(err).toMatch(advice);
  });

  it("whose key does not fit is told of before anything is read", async () => {
    const args = ["--client-cert", pki.client.certificate, "--client-key", pki.server.key, "no-such-file"];
    const { code, err } = await run(["sign", "--tenant", "acme", "--grpc-address", "https://localhost:1", ...args]);
    expect(code).toBe(2);
    expect(err).toMatch(/^fluo-kms: --client-key \S+ does not fit the certificate in --client-cert /);
  });
});

describe("a proxy", () => {
  const args = ["--ca-cert", pki.ca, ...shownPair];

  it("is gone through where Node is told to, by TLS with the service", async () => {
    const { asked, env } = await startProxy();
    const host = { scheme: "https://", host: "kms.test" };
    const { sign, shown, port } = await spanService(answer, { ...host, credentials: asking(pki.named), env });
    expect((await sign(...args, "--token-file", tokenFile())).code).toBe(0);
    expect(asked).toEqual([`kms.test:${port}`]);
    expect(shown).toEqual([{ authorization: "Bearer fkt_canary", certificate: "client" }]);
  });

  it.each([
    ["where Node is not told to", "kms.test", { NODE_USE_ENV_PROXY: "" }, 1],
    ["to this machine", "localhost", {}, 0],
  ])("is not gone through %s", async (_, host, more, code) => {
    const { asked, env } = await startProxy();
    const pair = host === "localhost" ? pki.server : pki.named;
    const options = { scheme: "https://", host, credentials: asking(pair), env: { ...env, ...more } };
    const { sign } = await spanService(answer, options);
    expect([(await sign(...args)).code, asked]).toEqual([code, []]);
  });
});
