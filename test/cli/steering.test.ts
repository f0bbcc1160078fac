/** Text of others that would steer a terminal, in every place from which a command prints: no character of it comes out, whoever wrote it. */
import * as grpc from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { randomFrom } from "../crash/random.ts";
import { answering, run } from "../support/cli-fixture.ts";
import { directory } from "../support/config-fixture.ts";
import { keysFile } from "../support/keys-file.ts";
import { exported, pay } from "../support/log-auditor.ts";
import { attribute, signedResult, spanService } from "../support/span-service.ts";
import { testLog } from "../support/test-log.ts";

const range = (first: number, last = first) =>
  Array.from({ length: last - first + 1 }, (_, i) => String.fromCodePoint(first + i));
const steering = [
  ...[...range(1, 0x1f), ...range(0x7f, 0x9f), ...range(0x61c), ...range(0x200e, 0x200f)],
  ...[...range(0x2028, 0x202e), ...range(0x2066, 0x2069)],
];
/** A line feed ends each line. */
const anySteering = new RegExp(`[${steering.filter((each) => each !== "\n").join("")}]`, "u");

interface Made {
  args: string[];
  files?: Record<string, string | Uint8Array>;
  /** Answer of the service. */
  answer?: object;
}

const [traceId, spanId] = ["07".repeat(16), "01".repeat(8)];
const exportOf = (span: object) => JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
const withAttributes = (attributes: Record<string, string>) =>
  exportOf({
    traceId,
    spanId,
    name: "pay",
    attributes: Object.entries(attributes).map(([key, value]) => ({
      key: `audit.integrity.${key}`,
      value: { stringValue: value },
    })),
  });
const keys = { keys: [keysFile([testLog()]).keys[0]!] };

const verify = (spans: string | Uint8Array, jwks: object = keys, ...more: string[]): Made => ({
  args: ["verify", "--keys", "keys.json", ...more, "spans"],
  files: { spans, "keys.json": JSON.stringify(jwks) },
});
const withKey = (more: object) => verify(exportOf({ traceId, spanId }), { keys: [{ ...keys.keys[0], ...more }] });

/** A log whose name and key somebody else named, with what such names may have. */
async function verifyLog(text: string, ...more: string[]): Promise<Made> {
  const name = text.replaceAll(/[^!-\u{10ffff}]|\p{White_Space}/gu, "");
  const log = testLog({ origin: `kms.example.com/${name}` });
  const spans = exported(await log.sign(pay(0), pay(1), pay(2)));
  const made = verify(spans, keysFile([log], { 1: { kid: text } }), ...more);
  return { ...made, files: { ...made.files, checkpoint: log.checkpoint() } };
}

/** A policy as JSON, which YAML reads. */
const rule = { name: "r", who: { token: "app" }, roles: ["sign"], tenants: ["acme"] };
const policyOf = (more: object, ofRule: object = {}) =>
  JSON.stringify({
    version: "1",
    tokens: [{ name: "app", sha256: "1".repeat(64) }],
    rules: [{ ...rule, ...ofRule }],
    ...more,
  });
const policies = (make: (text: string) => string): ((text: string) => Made)[] => [
  (text) => ({ args: ["policy", "check", "--no-files", "p"], files: { p: make(text) } }),
  (text) => ({ args: ["policy", "explain", "--as", `token:${text}`, "p"], files: { p: make(text) } }),
  (text) => ({ args: ["policy", "diff", "old", "p"], files: { p: make(text), old: policyOf({}) } }),
];

const makers: ((text: string) => Made | Promise<Made>)[] = [
  // Spans.
  (text) => verify(exportOf({ traceId: text, spanId })),
  (text) => verify(exportOf({ traceId, spanId, [text]: 1 })),
  (text) => verify(exportOf({ traceId, spanId, name: { [text]: text } })),
  (text) => verify(`{"${text.replaceAll(/\p{Cc}/gu, "")}":1,"resourceSpans":[]}`),
  (text) => verify(`{"resourceSpans":[{"${text.replaceAll(/[^\P{Cc}\x7f-\x9f]/gu, "")}":1}]}`),
  (text) => verify(exportOf({ traceId, [text]: 1, x: 2 }).replace('"x"', JSON.stringify(text))),
  (text) => verify(withAttributes({ [text]: text })),
  ...["algorithm", "value", "key_id", "tenant", "signed_at"].map((name) => (text: string) => {
    return verify(withAttributes({ algorithm: "EdDSA", [name]: text }));
  }),
  (text) => verify(withAttributes({ algorithm: "c2sp.org/tlog-proof@v1", value: btoa(encodeURI(text)) })),
  (text) => ({ args: ["verify", "--keys", text, text] }),
  (text) => verify("{}", keys, "--vkey", text),
  // Keys.
  ...["kid", "state", "x", "kty", "alg", "use", "valid_from", "vkeys", "compromised_log"].map((name) => {
    return (text: string) => withKey({ [name]: name === "vkeys" ? [text] : text });
  }),
  (text) => withKey({ kid: text, [text]: text }),
  // Logs and their checkpoints.
  (text) => verifyLog(text),
  (text) => verifyLog(text, "--log"),
  (text) => verifyLog(text, "--log", "--checkpoint", "checkpoint"),
  (text) => verifyLog(text, "--log", "--from", "7"),
  (text) => verifyLog(text, "--log", "--checkpoint", text),
  async (text) => {
    const [made, other] = await Promise.all([verifyLog("a", "--log", "--checkpoint", "checkpoint"), verifyLog(text)]);
    return { ...made, files: { ...made.files, checkpoint: other.files!.checkpoint! } };
  },
  // Policies.
  ...[
    (text: string) => policyOf({ [text]: text }),
    (text: string) => policyOf({}, { name: text }),
    (text: string) => policyOf({}, { who: { token: text } }),
    (text: string) => policyOf({}, { who: { [text]: text } }),
    (text: string) => policyOf({}, { who: { spiffe: `spiffe://example.org/${text}` } }),
    (text: string) => policyOf({}, { roles: [text] }),
    (text: string) => policyOf({}, { tenants: [text] }),
    (text: string) => policyOf({ tokens: [{ name: text, sha256: text }] }),
    (text: string) => policyOf({ issuers: [{ name: "i", issuer: `https://${text}`, audience: text, ca: text }] }),
    (text: string) => policyOf({ certificates: [{ name: "c", "trust-domain": "example.org", ca: text }] }),
    (text: string) => `${policyOf({})}\n# ${text}\n${text}: ${text}`,
  ].flatMap(policies),
  (text) => ({
    args: ["policy", "explain", "--issuer", text, "--claims", "c", "p"],
    files: { p: policyOf({}), c: JSON.stringify({ sub: text, [text]: text }) },
  }),
  // Answers of a service.
  ...["status", "whoami", "validate", "rotate", "rewrap"].flatMap((command) => [
    (text: string) => ({ args: [command], answer: answerOf(text) }),
    (text: string) => ({ args: [command], answer: { code: text, message: text, fields: [{ field: text }] } }),
  ]),
  (text) => ({ args: ["audit", "verify"], answer: answerOf(text) }),
  (text) => ({ args: ["audit", "verify", "--head", `${"0".repeat(32)}:1:${"0".repeat(64)}`], answer: answerOf(text) }),
  // Arguments, and other files.
  (text) => ({ args: [text] }),
  (text) => ({ args: ["status", `--${text}`] }),
  (text) => ({ args: ["status", "--address", text] }),
  (text) => ({ args: ["token", "new", "--name", text] }),
  (text) => ({ args: ["policy", "new", "--out", `missing/${text}`] }),
  (text) => ({ args: ["note-check", "report"], files: { report: JSON.stringify({ store_id: text, [text]: text }) } }),
  (text) => ({ args: ["check", "--config", "c"], files: { c: `fluo.kms.store=${text}\n${text}=1\n` } }),
  (text) => ({ args: ["restore", `${text}.db`], files: { c: text } }),
  (text) => ({ args: ["sign", "--tenant", text, "--grpc-address", "127.0.0.1:1", text] }),
  (text) => ({ args: ["sign", "--tenant", "a", "spans"], files: { spans: exportOf({ traceId, spanId, [text]: 1 }) } }),
];

/** Members of every answer that is printed for people. */
function answerOf(text: string) {
  const key = { tenant_id: text, purpose: text, key_id: text, version: 1, retired_key_id: text, reason: text };
  const provider = { provider: text, key_id: text, region: text, condition: text, detail: text, since: text };
  return {
    provider: text,
    status: text,
    version: text,
    store: text,
    provider_keys: [provider],
    notices: [text],
    breakers: [{ name: text, state: text }],
    heads: { file: text, since: text, problem: text, remark: text },
    overall: text,
    tests: { [text]: text },
    recommendations: [text],
    provider_calls: { [text]: 1 },
    name: text,
    kind: text,
    until: text,
    policy_sha256: text,
    [text]: text,
    grants: [{ rule: text, roles: [text], tenants: [text] }],
    rotated: [key],
    skipped: [key],
    failed: [{ ...key, code: 1, message: text }],
    providerKeyId: text,
    others: [{ provider: text, providerKeyId: text }],
    interrupted: { message: text },
    problems: [{ writerId: text, what: text }],
    heads_total: text,
  };
}

async function printedBy({ args, files = {}, answer }: Made, mode: string[]): Promise<string> {
  const cwd = directory(files);
  const env = answer === undefined ? {} : { FLUO_KMS_ADDR: (await answering(200, JSON.stringify(answer))).address };
  const { out, err } = await run([...args, ...mode], { cwd, env });
  expect(out.match(anySteering) ?? err.match(anySteering)).toBeNull();
  if (mode.length > 0 && out !== "") expect(() => JSON.parse(out)).not.toThrow();
  return out + err;
}

it("comes out of no command, from no file, argument or answer", async () => {
  const r = randomFrom(42);
  let shown = 0;
  for (const [at, make] of makers.entries()) {
    for (const mode of [[], ["--json"]]) {
      for (let n = 0; n < 3; n += 1) {
        const drawn = Array.from({ length: 3 }, () => r.pick(steering)!);
        const [first, second, third] = n === 2 ? [steering[at % steering.length]!, ...drawn] : drawn;
        const printed = await printedBy(await make(`a${first}b${second}c${third}d`), mode);
        if (/a(?:\?|\\\w+)b(?:\?|\\\w+)c/.test(printed)) shown += 1;
      }
    }
  }
  // Most messages quote nothing that others wrote.
  expect(shown).toBeGreaterThan(50);
});

it("comes out of no refusal by the service that signs", async () => {
  const text = steering.filter((each) => each > "\u007f").join("");
  const { sign } = await spanService((stream) => {
    stream.emit("error", { code: grpc.status.PERMISSION_DENIED, details: `not you${text}` });
  });
  for (const mode of [[], ["--json", "--out", "signed"]]) {
    const { code, out, err } = await sign(...mode);
    expect(code).toBe(1);
    expect(out + err).toMatch(/PERMISSION_DENIED.*not you(?:\?|\\u0080)/s);
    expect(out + err).not.toMatch(anySteering);
  }
});

const rightToLeft = "\u202e";

describe("an export that is signed to standard output", () => {
  const signTo = async (isTerminal: boolean, spans: string | Uint8Array) => {
    const { port } = await spanService((stream, { requestId }) => stream.write(signedResult(requestId, [attribute])));
    const cwd = directory({ spans });
    return run(["sign", "--tenant", "acme", "--grpc-address", `127.0.0.1:${port}`, "spans"], { cwd, isTerminal });
  };
  const spans = exportOf({ traceId, spanId, name: `pay${rightToLeft}` });

  it("is as it was, and on a terminal the same JSON without a character that steers", async () => {
    const [piped, seen] = [await signTo(false, spans), await signTo(true, spans)];
    expect([piped.code, seen.code]).toEqual([0, 0]);
    expect(piped.out).toContain(`"pay${rightToLeft}"`);
    expect(seen.out).toContain('"pay\\u202e"');
    expect(JSON.parse(seen.out)).toEqual(JSON.parse(piped.out));
  });

  it("is refused on a terminal in protobuf, and signed into a pipe", async () => {
    const protobuf = exported([pay(0)]);
    expect(await signTo(false, protobuf)).toMatchObject({ code: 0 });
    const { code, out, err } = await signTo(true, protobuf);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toContain("an export in protobuf is nothing for a terminal; name a file with --out");
  });
});

it("is an escape in JSON that a service wrote, which stays the same value", async () => {
  const written = `{"name":"a\u0085${rightToLeft}b",\r\n\t"kind":"\\u001b"}`;
  const { address } = await answering(200, written);
  const { out } = await run(["whoami", "--json"], { env: { FLUO_KMS_ADDR: address } });
  expect(out).toBe('{"name":"a\\u0085\\u202eb", \n "kind":"\\u001b"}\n');
  expect(JSON.parse(out)).toEqual(JSON.parse(written));
});
