/**
 * `sign` with the real service, over spans that the OpenTelemetry SDK exported. What it refuses before it asks a service is in
 * `transcripts/sign.md`.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { directory } from "../../support/config-fixture.ts";
import { exportForms, exportSpans } from "../../otel/exported-spans.ts";
import { type RunningService, startService } from "../../support/running-service.ts";
import { badSpan } from "../../support/made-batches.ts";
import { len, message } from "../../support/otlp-wire.ts";
import { resultOf, run, start } from "../../support/cli-fixture.ts";

const count = 300;

let kms: RunningService;
let forms: ReturnType<typeof exportForms>;

beforeAll(async () => {
  const [service, bodies] = await Promise.all([startService(), exportSpans(count)]);
  kms = service;
  forms = exportForms(bodies);
});
afterAll(() => kms.stop());

const address = () => `127.0.0.1:${kms.grpcPort}`;

/** Commands in a directory with these files. */
async function inDirectory(files: Record<string, string | Uint8Array>) {
  const cwd = directory(files);
  const env = { FLUO_KMS_GRPC_ADDR: address() };
  return {
    cwd,
    sign: (...args: string[]) => run(["sign", ...args], { cwd, env }),
    async verify(tenant: string, ...args: string[]) {
      const keys = await fetch(`${kms.url}/api/kms/tenants/${tenant}/jwks.json`);
      const file = directory({ "keys.json": await keys.text() });
      return run(["verify", "--keys", join(file, "keys.json"), "--tenant", tenant, ...args], { cwd });
    },
    read: (name: string) => readFileSync(join(cwd, name)),
  };
}

/** The export as it was before `sign`. */
function withoutEvidence(text: string): unknown {
  return JSON.parse(text, (name, value) =>
    name === "attributes" ? value.filter(({ key }: { key: string }) => !key.startsWith("audit.integrity.")) : value,
  );
}

describe("an export of the OpenTelemetry SDK", () => {
  it.each(["protobuf", "JSON", "base64", "lines"] as const)("comes back signed as it was: %s", async (form) => {
    const { sign, verify, read } = await inDirectory({ spans: forms[form] });
    const tenant = `sdk-${form.toLowerCase()}`;
    const one = await sign("--tenant", tenant, "--out", "signed", "spans");
    expect(one).toEqual({ code: 0, out: `${count} of ${count} signed for ${tenant}\n`, err: "" });
    expect(await verify(tenant, "signed")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^300 of 300 verified$/m),
    });

    const log = await sign("--tenant", tenant, "--mode", "log", "--out", "logged", "spans");
    expect(log.out).toBe(`${count} of ${count} signed for ${tenant}, entries 0 to 299 of its log\n`);
    const verified = await verify(tenant, "--log", "logged");
    expect(verified.out).toContain(`entries 0 to 299: ${count} spans\n`);
    expect(verified.out).toMatch(/^ {2}no problems$/m);
    expect(verified.code).toBe(0);

    if (form === "protobuf") return;
    const [before, after] = [forms[form], read("signed")].map((file) => Buffer.from(file).toString().trimEnd());
    const linesOf = (text: string) => (form === "lines" ? text.split("\n") : [text]).map(withoutEvidence);
    expect(linesOf(after!)).toEqual(linesOf(before!));
    expect(after).toContain(before!.slice(0, before!.indexOf('"attributes"')));
  });

  it("is signed to standard output, from an address on the command line", async () => {
    const cwd = directory({ spans: forms.protobuf });
    const env = { FLUO_KMS_GRPC_ADDR: "127.0.0.1:1" };
    const { code, out, err } = await run(["sign", "--tenant", "piped", "--grpc-address", address(), "spans"], {
      cwd,
      env,
    });
    expect({ code, err }).toEqual({ code: 0, err: `${count} of ${count} signed for piped\n` });
    expect(out.match(/audit\.integrity\.signed_at/g)).toHaveLength(count);
  });

  it("becomes one of several files, in their order, in one log", async () => {
    const half = Buffer.from(forms.lines).toString();
    const { sign, verify, read } = await inDirectory({ a: forms.JSON, b: half, c: forms.base64 });
    const signed = await sign("--tenant", "several", "--mode", "log", "--out", "all", "a", "b", "c");
    expect(signed.code).toBe(0);
    expect(read("all").toString().trimEnd().split("\n")).toHaveLength(2 + half.trimEnd().split("\n").length);
    const verified = await verify("several", "--log", "all");
    expect(verified.out).toContain(
      "entries 0 to 899: 900 spans\n  not checked, without a --checkpoint: whether the log was cut off behind entry 899, or written anew\n  no problems\n",
    );
  });

  it("is summed up as JSON where asked", async () => {
    const { sign } = await inDirectory({ spans: forms.JSON });
    const { code, out } = await sign("--tenant", "summed", "--mode", "log", "--json", "--out", "signed", "spans");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      tenant: "summed",
      mode: "log",
      spans: count,
      signed: count,
      first_leaf_index: 0,
      last_leaf_index: count - 1,
      refused: [],
      out: "signed",
    });
  });
});

const ids = { traceId: "5b8efff798038103d269b633813fc60c", spanId: "eee19b7ec3c1b174" };
const exported = (...spans: object[]) => JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] });

it("signs a number for what it means", async () => {
  const time = (spelling: string) => exported(ids).replace('"spanId"', `"startTimeUnixNano":${spelling},"spanId"`);
  const { cwd, sign, verify, read } = await inDirectory({ spans: time("1.76424320300000005e18") });
  expect((await sign("--tenant", "exact", "--out", "signed", "spans")).code).toBe(0);
  const said = async (spelling: string) => {
    const text = read("signed").toString().replace("1.76424320300000005e18", spelling);
    writeFileSync(join(cwd, "respelled"), text);
    const { out } = await verify("exact", "--json", "respelled");
    return JSON.parse(out).spans[0].reason;
  };
  expect(await said("1.76424320300000005e18")).toBe("OK");
  expect(await said('"1764243203000000050"')).toBe("OK");
  expect(await said("1.764243203e18")).toBe("SIGNATURE_MISMATCH");
  expect(await said("1764243203000000000")).toBe("SIGNATURE_MISMATCH");
  expect(await said("1764243203000000050.1")).toBe("MALFORMED");
});

describe("a span that the service refuses", () => {
  const good = { ...ids, name: "pay" };
  const twice = { ...good, attributes: ["a", "a"].map((key) => ({ key, value: { intValue: "1" } })) };
  const named = `spans: span 2, ${ids.traceId}/${ids.spanId}, is refused (INVALID_ARGUMENT): attributes[1].key: `;

  it("is named, and stays in the export, where it does not look signed", async () => {
    const { sign, verify, read } = await inDirectory({ spans: exported(good, twice, good) });
    const { code, out, err } = await sign("--tenant", "refused", "--mode", "log", "--out", "signed", "spans");
    expect({ code, out }).toEqual({ code: 1, out: "2 of 3 signed for refused, entries 0 to 1 of its log\n" });
    expect(err).toContain(`fluo-kms: ${named}`);
    const { spans } = JSON.parse(read("signed").toString()).resourceSpans[0].scopeSpans[0];
    expect(spans[1]).toEqual(twice);
    const verified = await verify("refused", "signed");
    expect(verified.code).toBe(1);
    expect(verified.out).toMatch(/^2 of 3 verified, 1 failed$/m);
  });

  it("stays in an export in protobuf, too, and is in the summary", async () => {
    const bytes = len(1, len(2, message(len(2, badSpan), len(2, badSpan))));
    const { sign, read } = await inDirectory({ spans: bytes });
    const { code, out } = await sign("--tenant", "refused", "--json", "--out", "signed", "spans");
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      spans: 2,
      signed: 0,
      refused: [
        { file: "spans", number: 1, code: "INVALID_ARGUMENT" },
        { file: "spans", number: 2 },
      ],
    });
    expect(read("signed")).toEqual(Buffer.from(bytes));
  });
});

describe("nothing is sent", () => {
  it("for a tenant that is none", async () => {
    const { cwd, sign } = await inDirectory({ spans: exported(ids) });
    const { code, out, err } = await sign("--tenant", "A B", "--out", "signed", "spans");
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("INVALID_ARGUMENT: tenant_id: must match");
    expect(readdirSync(cwd)).toEqual(["spans"]);
  });

  it("to the HTTP port, which it takes for another's", async () => {
    const { sign } = await inDirectory({ spans: exported(ids) });
    const { code, err } = await sign("--tenant", "a", "--grpc-address", `127.0.0.1:${kms.httpPort}`, "spans");
    expect(code).toBe(1);
    expect(err).toMatch(/no answer from .*; is it the service's gRPC port, without TLS\?\n$/);
  });
});

describe("a run that failed on its way", () => {
  const many = (name: string) =>
    exported(...Array.from({ length: 1_000 }, (_, n) => ({ ...ids, spanId: `${n}`.padStart(16, "1"), name })));

  it("goes on with --resume, and what was in the log has its place again", async () => {
    const { sign, verify } = await inDirectory({ a: many("a"), b: many("b"), c: many("c") });
    const log = ["--tenant", "resumed", "--mode", "log", "--resume", "run-1", "--out"];
    expect((await sign(...log, "ab", "a", "b")).code).toBe(0);
    const failed = await sign(...log, "ac", "a", "c");
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/^fluo-kms: ALREADY_EXISTS: /);
    expect(failed.err).toContain(
      "1000 spans are in the log, and more may be; within 24 hours the same command with --resume run-1",
    );
    const again = await sign(...log, "again", "a", "b");
    expect(again.out).toBe("2000 of 2000 signed for resumed, entries 0 to 1999 of its log\n");
    const verified = await verify("resumed", "--log", "again");
    expect(verified.out).toContain(
      "entries 0 to 1999: 2000 spans\n  not checked, without a --checkpoint: whether the log was cut off behind entry 1999, or written anew\n  no problems\n",
    );
  });
});

describe("an export that cannot be written", () => {
  it.skipIf(!existsSync("/dev/full"))("is told of, with how to have it of the same entries", async () => {
    const cwd = directory({ spans: exported(ids) });
    const command = `exec "$0" "$1" sign --tenant full --mode log --grpc-address ${address()} spans > /dev/full`;
    const child = start([], { cwd, enter: ["sh", "-c", command] });
    const { code, err } = await resultOf(child);
    expect(code).toBe(1);
    expect(err).toMatch(/^fluo-kms: standard output cannot be written \(ENOSPC\)\nfluo-kms: 1 span is in the log/);
    expect(err).toMatch(/with --resume [0-9a-f-]{36} goes on with them\n$/);
  });
});

describe("an output file that cannot be made", () => {
  it.each(["log", "individual"])("is told of before anything is sent in mode %s", async (mode) => {
    const { cwd, sign } = await inDirectory({ spans: exported(ids) });
    const out = "x".repeat(255); // the longest name, so that none is left for what is written first
    const { code, err } = await sign("--tenant", "unwritable", "--mode", mode, "--out", out, "spans");
    expect({ code, err }).toEqual({ code: 1, err: `fluo-kms: ${out} cannot be written (ENAMETOOLONG)\n` });
    expect(readdirSync(cwd)).toEqual(["spans"]);
    const keys = await fetch(`${kms.url}/api/kms/tenants/unwritable/jwks.json`);
    expect(((await keys.json()) as { keys: unknown[] }).keys).toEqual([]);
  });
});

describe("TLS", () => {
  const files = certificateFor("DNS:localhost,IP:127.0.0.1");
  const onlyByName = certificateFor("DNS:localhost");

  /** Signs over TLS by a service with this certificate. */
  async function signTo(host: string, { certificate, key }: Certificate, env: object) {
    const service = await startService({ "fluo.kms.tls.certificate": certificate, "fluo.kms.tls.key": key });
    onTestFinished(() => service.stop());
    const cwd = directory({ spans: exported(ids) });
    return run(["sign", "--tenant", "acme", "--grpc-address", `${host}:${service.grpcPort}`, "spans"], { cwd, env });
  }

  it.skipIf(files === undefined).each(["https://localhost", "https://127.0.0.1"])("is spoken with %s", async (host) => {
    const signed = await signTo(host, files!, { NODE_EXTRA_CA_CERTS: files!.certificate });
    expect(signed).toMatchObject({ code: 0, err: "1 of 1 signed for acme\n" });
  });

  it.skipIf(files === undefined).each([
    ["an authority that nobody trusts", "https://localhost", files, false, /certificate of .* is not trusted/],
    ["a certificate of another host", "https://127.0.0.1", onlyByName, true, /certificate of .* is not trusted/],
    ["an address without https", "localhost", files, true, /is it the service's gRPC port, without TLS\?/],
  ] as const)("is refused with %s", async (_, host, by, isTrusted, text) => {
    const { code, err } = await signTo(host, by!, isTrusted ? { NODE_EXTRA_CA_CERTS: by!.certificate } : {});
    expect(code).toBe(1);
    expect(err).toMatch(text);
  });
});

interface Certificate {
  certificate: string;
  key: string;
}

/** Undefined where openssl cannot make one. */
function certificateFor(names: string): Certificate | undefined {
  const path = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  afterAll(() => rmSync(path, { recursive: true }));
  const [certificate, key] = [join(path, "certificate.pem"), join(path, "key.pem")];
  const made = spawnSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"],
    ...["-subj", "/CN=localhost", "-addext", `subjectAltName=${names}`, "-keyout", key, "-out", certificate],
  ]);
  return made.status === 0 ? { certificate, key } : undefined;
}
