/**
 * Each rpc by each transport with each code that its proto documents. A row of data provokes a code of one rpc or of many, and the codes are
 * held against the comments of the protos. `npx vitest run test/api/matrix --reporter verbose` prints
 * what is covered.
 */
import { readFileSync } from "node:fs";
import type { DescMethod } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KeyAdminService } from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { SignMode } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { roleOf } from "../../../src/call/roles.ts";
import type { KmsErrorCode } from "../../../src/errors.ts";
import { plainSpan } from "../../support/api-fixture.ts";
import { eventually } from "../../support/eventually.ts";
import { type Told, type Way, ways } from "../../support/four-ways.ts";
import { batchOf, spansFrom } from "../../support/span-batches.ts";
import { virtualTime } from "../../support/virtual-time.ts";
import { type Made, startFailing, startGuarded, startPatient } from "./services.ts";
import { wordsIn } from "../../support/words.ts";

type Rpc = keyof typeof roleOf;
const methods = [KmsService, KeyAdminService, LogService].flatMap(
  ({ methods }): readonly DescMethod[] => methods,
) as readonly (DescMethod & { localName: Rpc })[];
const rpcs = methods.map(({ localName }) => localName);
const methodOf = (rpc: Rpc) => methods.find(({ localName }) => localName === rpc)!;
const waysOf = (rpc: Rpc): readonly Way[] => (rpc === "signSpans" ? ways.filter((way) => way !== "gRPC-Web") : ways);

const grpcCodes = wordsIn(`
  CANCELLED INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED
  FAILED_PRECONDITION ABORTED UNAVAILABLE DATA_LOSS UNAUTHENTICATED
`);

/** Codes that a comment names before a colon, alone or as "A and B". */
function codesIn(comment: string): string[] {
  const list = grpcCodes.join("|");
  const named = comment
    .replace(/\s*\n *\/\/ ?/g, " ")
    .matchAll(new RegExp(`\\b(?:(${list}) and )?(${list})\\b(?: "[^"]*")?:`, "g"));
  return [...named].flatMap(([, one, other]) => [one, other]).filter((code) => code !== undefined);
}

/** Codes of a rpc by the comments of its proto: those of its service, and its own. */
function documented({ parent, name }: DescMethod): string[] {
  const proto = readFileSync(new URL(`../../../proto/${parent.file.name}.proto`, import.meta.url), "utf8");
  const comment = (of: string) => new RegExp(`((?: *//.*\\n)+) *${of}\\b`).exec(proto)![1]!;
  return [...codesIn(comment(`service ${parent.name}`)), ...codesIn(comment(`rpc ${name}`))];
}

const acme = { tenantId: "acme" };
const unknownKey = "0".repeat(32);

/** A request that is answered, by the caller with the rpc's role alone. */
const good: Record<Rpc, (made: Made) => object> = {
  generateDataKey: () => acme,
  decryptDataKey: ({ acme: { blob } }) => ({ ...acme, ciphertextBlob: blob }),
  encryptPii: () => ({ ...acme, fields: [{ name: "email", value: Buffer.from("a") }] }),
  decryptPii: ({ acme: { token } }) => ({ ...acme, fields: [{ name: "email", token }] }),
  reEncryptPii: ({ acme: { token } }) => ({ ...acme, fields: [{ name: "email", token }] }),
  signSpan: () => ({ ...acme, span: plainSpan }),
  signSpans: () => batchOf(spansFrom(0, 1), acme),
  verifySpan: ({ idle: { span } }) => ({ tenantId: "idle", span }),
  getPublicKeys: () => acme,
  rotate: () => acme,
  validate: () => ({}),
  status: () => ({}),
  listKeys: () => ({}),
  disableKey: ({ idle: { dataKeyId: keyId } }) => ({ tenantId: "idle", keyId }),
  enableKey: ({ acme: { dataKeyId: keyId } }) => ({ ...acme, keyId }),
  markKeyCompromised: ({ compromised: keyId }) => ({ tenantId: "states", keyId }),
  scheduleKeyDestruction: ({ scheduled: keyId }) => ({ tenantId: "states", keyId, days: 7 }),
  cancelKeyDestruction: ({ acme: { dataKeyId: keyId } }) => ({ ...acme, keyId }),
  rewrapKeys: () => ({ dryRun: true }),
  listAuditEvents: () => ({}),
  verifyAudit: () => ({}),
  acceptRollback: () => ({ digest: "0".repeat(64) }),
  getCheckpoint: () => acme,
  getInclusionProof: () => acme,
  getConsistencyProof: () => ({ ...acme, fromSize: 1n }),
};

/** The first field of a rpc's request that is checked, with its name on the wire. */
function textField(rpc: Rpc) {
  const { field } = methodOf(rpc).input;
  return (field.tenantId ?? field.headsAfter ?? field.digest ?? field.pageToken)!;
}
const withText = (rpc: Rpc, made: Made, text: string) => ({ ...good[rpc](made), [textField(rpc).localName]: text });

interface Row {
  code: string;
  /** That of the ErrorInfo detail, if it is another word than the code. */
  reason?: KmsErrorCode;
  rpcs: readonly Rpc[];
  /** In place of the good one. */
  request?(made: Made, rpc: Rpc): object;
  message?: string;
  /** The field of the BadRequest detail. */
  field?: string;
  retry?: true;
  /** What the store throws meanwhile, where it can be made to. */
  fault?: KmsErrorCode;
}

const ofTenant = (tenantId: string) => (made: Made, rpc: Rpc) => ({ ...good[rpc](made), tenantId });
const changes = [
  "disableKey",
  "enableKey",
  "markKeyCompromised",
  "scheduleKeyDestruction",
  "cancelKeyDestruction",
] as const;
const logs = ["getCheckpoint", "getInclusionProof", "getConsistencyProof"] as const;
const pii = ["encryptPii", "decryptPii", "reEncryptPii"] as const;
const invalid = { code: "INVALID_ARGUMENT" } as const;
const rejected = { ...invalid, reason: "CIPHERTEXT_REJECTED", message: "ciphertext rejected" } as const;
const unusable = { code: "FAILED_PRECONDITION", reason: "KEY_UNUSABLE" } as const;
const used = { code: "ALREADY_EXISTS", reason: "REQUEST_ID_REUSED" } as const;

/** What a caller who may call is told by the service under a policy. */
const refusals: readonly Row[] = [
  ...rpcs.flatMap((rpc): Row[] => [
    {
      code: "INVALID_ARGUMENT",
      rpcs: [rpc],
      request: (made) => withText(rpc, made, "A!"),
      field: textField(rpc).name,
    },
  ]),
  {
    ...rejected,
    rpcs: ["decryptDataKey"],
    request: (made) => ({ ...good.decryptDataKey(made), encryptionContext: { a: "b" } }),
  },
  {
    ...invalid,
    field: "page_token",
    rpcs: ["listKeys", "listAuditEvents"],
    request: () => ({ pageToken: "W10" }),
  },
  {
    ...invalid,
    field: "days",
    rpcs: ["scheduleKeyDestruction"],
    request: (made) => ({ ...good.scheduleKeyDestruction(made), days: 6 }),
  },
  {
    ...invalid,
    field: "leaf_index",
    rpcs: ["getInclusionProof"],
    request: () => ({ ...acme, leafIndex: 2n }),
  },
  {
    ...invalid,
    field: "tree_size",
    rpcs: ["getInclusionProof"],
    request: () => ({ ...acme, treeSize: 3n }),
  },
  { ...invalid, field: "from_size", rpcs: ["getConsistencyProof"], request: () => acme },
  {
    ...invalid,
    field: "to_size",
    rpcs: ["getConsistencyProof"],
    request: () => ({ ...acme, fromSize: 1n, toSize: 3n }),
  },
  { ...invalid, field: "fields", rpcs: pii, request: () => ({ ...acme, fields: [] }) },
  {
    ...invalid,
    field: "fields[0].value",
    rpcs: ["encryptPii"],
    request: () => ({ ...acme, fields: [{ name: "email", value: Buffer.alloc(65_537) }] }),
  },
  {
    ...invalid,
    field: "encryption_context",
    rpcs: [...pii, "generateDataKey", "decryptDataKey"],
    request: (made, rpc) => ({ ...good[rpc](made), encryptionContext: { a: "v".repeat(4096) } }),
  },
  { ...invalid, field: "key_spec", rpcs: ["generateDataKey"], request: () => ({ ...acme, keySpec: 7 }) },
  { ...invalid, field: "purpose", rpcs: ["rotate"], request: () => ({ purpose: 9 }) },
  { ...invalid, field: "limit", rpcs: ["rotate"], request: () => ({ limit: 1001 }) },
  { ...invalid, field: "request_id", rpcs: ["rotate"], request: () => ({ requestId: "r-1" }) },
  { ...invalid, field: "key_id", rpcs: changes, request: () => ({ ...acme, keyId: "A" }) },
  {
    ...invalid,
    field: "request_id",
    rpcs: [...changes, "rotate", "signSpans", "rewrapKeys"],
    request: (made, rpc) => ({ ...good[rpc](made), requestId: "a b" }),
  },
  {
    ...invalid,
    field: "span.trace_id",
    rpcs: ["signSpan", "verifySpan"],
    request: () => ({ ...acme, span: { ...plainSpan, traceId: Buffer.alloc(16) } }),
  },
  { code: "NOT_FOUND", rpcs: changes, request: () => ({ ...acme, keyId: unknownKey }) },
  { code: "NOT_FOUND", rpcs: ["rotate"], request: () => ({ tenantId: "nobody", force: true }) },
  { code: "NOT_FOUND", rpcs: logs, request: ofTenant("nobody") },
  {
    ...unusable,
    rpcs: ["generateDataKey", "encryptPii", "reEncryptPii", "signSpan", "signSpans", ...logs],
    request: ofTenant("idle"),
  },
  {
    ...unusable,
    rpcs: ["decryptDataKey"],
    request: ({ idle: { blob } }) => ({ tenantId: "idle", ciphertextBlob: blob }),
  },
  {
    ...unusable,
    rpcs: ["signSpans"],
    request: () => batchOf(spansFrom(0, 1), { tenantId: "idle", mode: SignMode.LOG }),
  },
  {
    ...unusable,
    rpcs: ["disableKey", "enableKey"],
    request: ({ compromised: keyId }) => ({ tenantId: "states", keyId }),
  },
  {
    ...unusable,
    rpcs: ["cancelKeyDestruction"],
    request: ({ acme: { dataKeyId: keyId } }) => ({ ...acme, keyId }),
  },
  { ...used, rpcs: ["rotate"], request: () => ({ ...acme, requestId: "used", purpose: 2 }) },
  {
    ...used,
    rpcs: ["signSpans"],
    request: () => batchOf(spansFrom(0, 1), { ...acme, mode: SignMode.LOG, requestId: "used" }),
  },
];

/** What a caller is told whose call the store fails. */
const uncached = (made: Made, rpc: Rpc) => ({
  ...good[rpc](made),
  ...(textField(rpc).localName === "tenantId" && rpc !== "verifySpan" && { tenantId: "other" }),
});
const failures: readonly Row[] = [
  {
    ...unusable,
    rpcs: changes.filter((rpc) => rpc !== "markKeyCompromised"),
    request: ({ doomed: keyId }) => ({ tenantId: "doomed", keyId }),
  },
  {
    code: "UNAVAILABLE",
    reason: "STORE_UNAVAILABLE",
    fault: "STORE_UNAVAILABLE",
    rpcs,
    retry: true,
    request: uncached,
  },
  { code: "DATA_LOSS", reason: "DATA_LOSS", fault: "DATA_LOSS", rpcs, request: uncached },
  {
    code: "ABORTED",
    reason: "CONFLICT",
    fault: "CONFLICT",
    rpcs: ["disableKey", "markKeyCompromised"],
    request: ({ acme: { dataKeyId: keyId } }) => ({ ...acme, keyId }),
  },
  {
    code: "ABORTED",
    reason: "CONFLICT",
    fault: "CONFLICT",
    rpcs: ["enableKey", "scheduleKeyDestruction"],
    request: ({ idle: { dataKeyId: keyId } }) => ({ tenantId: "idle", keyId }),
  },
  {
    code: "ABORTED",
    reason: "CONFLICT",
    fault: "CONFLICT",
    rpcs: ["cancelKeyDestruction"],
    request: ({ scheduled: keyId }) => ({ tenantId: "states", keyId }),
  },
  {
    code: "ABORTED",
    reason: "CONFLICT",
    fault: "CONFLICT",
    rpcs: ["signSpans"],
    request: () => batchOf(spansFrom(0, 1), { ...acme, mode: SignMode.LOG }),
  },
];

/** Documented codes of a service that one of its rpcs answers in another way, and why. */
const otherwise: Partial<Record<Rpc, Partial<Record<string, string>>>> = {
  validate: { UNAVAILABLE: "is a check that failed", DATA_LOSS: "is a check that failed" },
  decryptPii: { DATA_LOSS: "is the error of a field" },
  rotate: { DATA_LOSS: "is an element of `failed`", ABORTED: "is an element of `failed`" },
  markKeyCompromised: { FAILED_PRECONDITION: "is none: a key of any state is marked" },
  acceptRollback: { UNAVAILABLE: "needs a finding", DATA_LOSS: "needs a finding" },
};
/** The good request of these is refused: they need what only a test of their own makes. */
const unanswered: readonly Rpc[] = ["cancelKeyDestruction", "acceptRollback"];

const each = (rows: readonly Row[]) =>
  rows.flatMap((row) =>
    row.rpcs
      .filter((rpc) => isGiven(rpc, row.code))
      .flatMap((rpc) =>
        waysOf(rpc).map((way) => [rpc, way, row.code, row.field ?? row.reason ?? row.code, row] as const),
      ),
  );
const isGiven = (rpc: Rpc, code: string) => otherwise[rpc]?.[code] === undefined;
const everyCall = rpcs.flatMap((rpc) => waysOf(rpc).map((way) => [rpc, way] as const));

/** What a row has told, whose message is free unless it has one. */
function toldBy({ code, reason = code as KmsErrorCode, message, field, retry }: Row): Told {
  return {
    code,
    reason,
    message: message ?? expect.stringMatching(/\w/),
    fields: field === undefined ? [] : [field],
    retry: retry ?? expect.any(Boolean),
  };
}

describe("the documented codes", () => {
  const provoked = (rpc: Rpc) => [
    ...["UNAUTHENTICATED", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "CANCELLED"],
    ...each([...refusals, ...failures])
      .filter(([name]) => name === rpc)
      .map(([, , code]) => code),
    ...Object.keys(otherwise[rpc] ?? {}),
  ];
  it.each(rpcs)("of %s are those that are provoked here", (rpc) => {
    expect(new Set(provoked(rpc))).toEqual(new Set(documented(methodOf(rpc))));
  });
});

describe("under a policy", () => {
  const time = virtualTime({ start: new Date(), finished: afterAll });
  let service: Awaited<ReturnType<typeof startGuarded>>;
  beforeAll(async () => {
    service = await startGuarded(time);
  });
  afterAll(() => service.stop());
  /** Batches of a log wait for others. */
  const inTime = <T>(rpc: Rpc, asked: Promise<T>) => (rpc === "signSpans" ? time.until(asked) : asked);
  const ask = (rpc: Rpc, way: Way, caller: string, request = good[rpc](service.made)) =>
    inTime(rpc, service.ask(way, methodOf(rpc), request, { headers: service.as(caller) }));

  it.each(everyCall.filter(([rpc]) => !unanswered.includes(rpc)))(
    "%s by %s: OK for the caller with its role alone",
    async (rpc, way) => {
      if (rpc === "validate" || rpc === "verifyAudit") await time.advance(10_000);
      expect(await ask(rpc, way, roleOf[rpc])).toEqual({ code: "OK" });
    },
  );

  it.each(everyCall)("%s by %s: PERMISSION_DENIED for the caller with all other roles", async (rpc, way) => {
    expect(await ask(rpc, way, `not-${roleOf[rpc]}`)).toMatchObject({
      code: "PERMISSION_DENIED",
      reason: "PERMISSION_DENIED",
      message: expect.stringContaining(`the caller may not ${roleOf[rpc]} for`),
    });
  });

  it.each(everyCall)(
    "%s by %s: UNAUTHENTICATED by no credential, and by a forged one of each kind",
    async (rpc, way) => {
      for (const [client, headers, message] of service.forged) {
        expect(await client.ask(way, methodOf(rpc), good[rpc](service.made), { headers })).toEqual({
          code: "UNAUTHENTICATED",
          reason: "UNAUTHENTICATED",
          message,
          fields: [],
          retry: false,
        });
      }
    },
  );

  const large = everyCall.filter(([rpc]) => ["encryptPii", "signSpans", "listKeys", "getCheckpoint"].includes(rpc));
  it.each(large)("%s by %s: RESOURCE_EXHAUSTED for a message above 4 MiB", async (rpc, way) => {
    const request = withText(rpc, service.made, "a".repeat(4 * 1024 * 1024));
    const client = service.connect();
    const told = await client.ask(way, methodOf(rpc), request, { headers: service.as("all") });
    client.close();
    expect(told).toEqual(toldBy({ code: "RESOURCE_EXHAUSTED", reason: "MESSAGE_TOO_LARGE", rpcs }));
  });

  it.each(everyCall.filter(([rpc]) => rpc !== "signSpans"))(
    "%s by %s: RESOURCE_EXHAUSTED by a limit of calls",
    async (rpc, way) => {
      let told = await ask(rpc, way, "slow");
      for (let left = 5; told.code !== "RESOURCE_EXHAUSTED" && left > 0; left -= 1) told = await ask(rpc, way, "slow");
      expect(told).toMatchObject({ reason: "RATE_LIMITED", message: "too many calls: wait", retry: true });
    },
  );

  it("signSpans by gRPC-Web, which has no streams both ways: UNIMPLEMENTED", async () => {
    expect(await ask("signSpans", "gRPC-Web", "sign")).toMatchObject({
      code: "UNIMPLEMENTED",
      message: expect.stringMatching(
        /^SignSpans is served over HTTP\/2 only, by gRPC and Connect at 127\.0\.0\.1:\d+: /,
      ),
    });
  });

  it.each(["validate", "verifyAudit"] as const)(
    "%s: RESOURCE_EXHAUSTED for a caller that asked just now",
    async (rpc) => {
      await ask(rpc, "gRPC", "all");
      for (const way of ways) {
        expect(await ask(rpc, way, "all")).toMatchObject({
          code: "RESOURCE_EXHAUSTED",
          reason: "RATE_LIMITED",
          retry: true,
        });
      }
    },
  );

  it.each(each(refusals))("%s by %s: %s, %s", async (rpc, way, _code, _about, row) => {
    expect(await ask(rpc, way, "all", row.request?.(service.made, rpc))).toEqual(toldBy(row));
  });
});

describe("over a store that fails", () => {
  let service: Awaited<ReturnType<typeof startFailing>>;
  beforeAll(async () => {
    service = await startFailing();
  });
  afterAll(() => service.stop());

  it.each(each(failures))("%s by %s: %s, %s", async (rpc, way, _code, _about, row) => {
    const request = row.request?.(service.made, rpc) ?? good[rpc](service.made);
    const told = await service.failing(row.fault, () => service.ask(way, methodOf(rpc), request));
    expect(told).toEqual(toldBy(row));
  });
});

describe("where nothing answers", () => {
  let service: Awaited<ReturnType<typeof startPatient>>;
  beforeAll(async () => {
    service = await startPatient();
  });
  afterAll(() => service.stop());

  const anyKey = { blob: Buffer.of(1), token: "fk1.", dataKeyId: unknownKey, span: plainSpan };
  const made = { acme: anyKey, idle: anyKey, compromised: unknownKey, scheduled: unknownKey, doomed: unknownKey };
  const request = (rpc: Rpc) => good[rpc](made);
  it.each(everyCall)("%s by %s: DEADLINE_EXCEEDED", async (rpc, way) => {
    service.next();
    expect(await service.ask(way, methodOf(rpc), request(rpc), { timeoutMs: 20 })).toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
  });

  it.each(everyCall)("%s by %s: CANCELLED, which the log has", async (rpc, way) => {
    const caller = new AbortController();
    const arrived = service.next();
    const asked = service.ask(way, methodOf(rpc), request(rpc), { signal: caller.signal });
    await Promise.race([arrived, asked]);
    const before = service.logged.length;
    caller.abort();
    expect(await asked).toMatchObject({ code: "CANCELLED" });
    await eventually(
      () => {
        const line = service.logged
          .slice(before)
          .map((each) => JSON.parse(each))
          .find(({ method }) => method === methodOf(rpc).name);
        expect(line).toMatchObject({ code: "CANCELLED" });
      },
      { everyMs: 5 },
    );
  });
});
