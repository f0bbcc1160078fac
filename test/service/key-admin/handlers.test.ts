/** KeyAdminService's handlers over a store and a lifecycle of the test's making. */
import { noHeads } from "../../../src/store/heads/keeper.ts";
import { create, toBinary } from "@bufbuild/protobuf";
import { durationMs, timestampDate } from "@bufbuild/protobuf/wkt";
import { describe, expect, it, vi } from "vitest";
import { ListAuditEventsRequestSchema, VerifyAuditRequestSchema } from "../../../gen/ts/fluo/kms/v1/audit_pb.ts";
import {
  CancelKeyDestructionRequestSchema,
  DisableKeyRequestSchema,
  EnableKeyRequestSchema,
  type Key,
  type ListKeysRequest,
  ListKeysRequestSchema,
  ListKeysResponseSchema,
  MarkKeyCompromisedRequestSchema,
  ScheduleKeyDestructionRequestSchema,
} from "../../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyPurpose, KeyState } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import { AcceptRollbackRequestSchema } from "../../../gen/ts/fluo/kms/v1/rollback_pb.ts";
import { RewrapKeysRequestSchema } from "../../../gen/ts/fluo/kms/v1/rewrap_pb.ts";
import { KmsError } from "../../../src/errors.ts";
import type { KeyRecord, Purpose } from "../../../src/store/key-record.ts";
import type { Rewrap } from "../../../src/keys/rewrapping.ts";
import type { Caller } from "../../../src/call/context.ts";
import { type KeyAdminParts, keyAdminHandlers } from "../../../src/service/key-admin/handlers.ts";
import type { AuditRow } from "../../../src/store/audit-store.ts";
import { anyone } from "../../../src/transport/authenticate.ts";
import { thrownBy } from "../../support/matchers.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { createTurns } from "../../../src/runtime/turns/one-at-a-time.ts";

const keyId = "00112233445566778899aabbccddeeff";
const at = new Date("2026-03-01T12:00:00.123Z");
const current = { provider: "vault", providerKeyId: "transit/kms" };
const other = { provider: "local", providerKeyId: "local:0011223344556677" };

function record(fields: Partial<KeyRecord> = {}): KeyRecord {
  return {
    tenantId: "acme",
    purpose: "data",
    version: 1,
    keyId,
    state: "ACTIVE",
    provider: "local",
    providerKeyId: "master",
    wrapped: Buffer.from("the wrapped key"),
    publicKey: new Uint8Array(),
    createdAt: at,
    activatedAt: at,
    retiredAt: undefined,
    compromisedAt: undefined,
    destroyAt: undefined,
    destroyWait: undefined,
    previousState: undefined,
    destruction: undefined,
    ...fields,
  };
}

function auditRow(id: number, fields: Partial<AuditRow> = {}): AuditRow {
  const writerId = "ffeeddccbbaa99887766554433221100";
  const who = { actor: "ann", action: "disable", tenantId: "acme", purpose: "data", keyId, requestId: "r-1" } as const;
  return { id, writerId, sequence: id, at, ...who, outcome: "OK", count: 1, ...fields };
}

/** 125 versions of both purposes of a tenant, in the order of a store. */
const records = (["data", "signing"] as const).flatMap((purpose) =>
  Array.from({ length: 125 }, (_, index) => record({ purpose, version: index + 1 })),
);
const rows = Array.from({ length: 250 }, (_, index) => auditRow(index + 1));

type Place = { purpose: Purpose; version: number };
const isAfter = (each: Place, place: Place) =>
  each.purpose === place.purpose ? each.version > place.version : each.purpose > place.purpose;

function setUp(caller: Partial<Caller> = {}) {
  const lifecycle = {
    disable: vi.fn(async () => record({ state: "DISABLED", previousState: "ACTIVE" })),
    enable: vi.fn(async () => record()),
    markCompromised: vi.fn<KeyAdminParts["lifecycle"]["markCompromised"]>(async () => ({
      record: record({ state: "COMPROMISED", compromisedAt: at }),
      replacement: undefined,
    })),
    scheduleDestruction: vi.fn(async () => record({ state: "DESTROY_SCHEDULED", destroyAt: at })),
    cancelDestruction: vi.fn(async () => record({ state: "DISABLED" })),
  };
  const store = {
    listKeys: vi.fn<KeyAdminParts["store"]["listKeys"]>(async ({ purpose, limit, after }) =>
      records
        .filter((each) => (purpose ?? each.purpose) === each.purpose && (!after || isAfter(each, after)))
        .slice(0, limit),
    ),
    witnessedTime: vi.fn<KeyAdminParts["store"]["witnessedTime"]>(async () => ({
      noted: { witnessedMs: 3_000, wallAt: at, secondAt: undefined },
      storeAt: undefined,
    })),
    auditEvents: vi.fn<KeyAdminParts["store"]["auditEvents"]>(async ({ limit, after = 0 }) =>
      rows.filter(({ id }) => id > after).slice(0, limit),
    ),
  };
  const verifyAudit = vi.fn<KeyAdminParts["verifyAudit"]>(async () => ({
    events: 0,
    heads: [],
    headsTotal: 0,
    problems: [],
    problemCount: 0,
  }));
  const rewrap = vi.fn<Rewrap["rewrap"]>(async () => ({
    target: current,
    storeKey: true,
    keys: 2,
    interrupted: new KmsError("PROVIDER_UNAVAILABLE", "no answer"),
    failed: [
      { key: { ...other, ...record() }, error: new KmsError("DATA_LOSS", "damaged") },
      { key: undefined, error: new KmsError("PROVIDER_DENIED", "unknown") },
    ],
    others: [{ ...other, keys: 7 }],
    remaining: 8,
    next: { ...other, keyId },
  }));
  const handlers = keyAdminHandlers({
    auditTurns: createTurns({ time: realTime }),
    lifecycle,
    rewrap: { rewrap },
    current,
    store,
    heads: noHeads,
    verifyAudit,
  });
  const call = { caller: { ...anyone, name: "ann", ...caller }, signal: new AbortController().signal };
  const listKeys = (request: Partial<ListKeysRequest> = {}) =>
    handlers.listKeys(create(ListKeysRequestSchema, request as never), call);
  const listAudit = (request: { tenantId?: string; keyId?: string; pageSize?: number; pageToken?: string } = {}) =>
    handlers.listAuditEvents(create(ListAuditEventsRequestSchema, request), call);
  return { lifecycle, rewrap, store, verifyAudit, handlers, call, listKeys, listAudit };
}

/** Each call that changes a key, and what it asks of the lifecycle. */
const changes = {
  disableKey: [DisableKeyRequestSchema, "disable"],
  enableKey: [EnableKeyRequestSchema, "enable"],
  markKeyCompromised: [MarkKeyCompromisedRequestSchema, "markCompromised"],
  scheduleKeyDestruction: [ScheduleKeyDestructionRequestSchema, "scheduleDestruction"],
  cancelKeyDestruction: [CancelKeyDestructionRequestSchema, "cancelDestruction"],
} as const;
type Change = keyof typeof changes;
const eachChange = Object.keys(changes) as Change[];

async function change({ handlers, call }: ReturnType<typeof setUp>, name: Change, request: object) {
  const handle = handlers[name] as (request: unknown, context: typeof call) => Promise<{ key?: Key }>;
  return handle(create(changes[name][0], { tenantId: "acme", keyId, ...request } as never), call);
}

const tokenOf = (...parts: unknown[]) => Buffer.from(JSON.stringify(parts)).toString("base64url");

describe("ListKeys", () => {
  it("comes in pages of 100 unless told otherwise, without a gap and without repeating itself", async () => {
    const { listKeys } = setUp();
    const sizes: number[] = [];
    const seen: unknown[] = [];
    let pageToken = "";
    do {
      const { keys, nextPageToken } = await listKeys({ pageToken });
      sizes.push(keys.length);
      seen.push(...keys.map(({ version }) => [version!.purpose, version!.version]));
      pageToken = nextPageToken;
    } while (pageToken !== "");
    expect(sizes).toEqual([100, 100, 50]);
    const all = records.map(({ purpose, version }) => [KeyPurpose[purpose === "data" ? "DATA" : "SIGNING"], version]);
    expect(seen).toEqual(all);
  });

  it("gives no token with the last page, full or not", async () => {
    const { listKeys } = setUp();
    const { nextPageToken } = await listKeys({ pageSize: 125 });
    expect(await listKeys({ pageSize: 125, pageToken: nextPageToken })).toMatchObject({ nextPageToken: "" });
    expect((await listKeys({ pageSize: 1000 })).keys).toHaveLength(250);
  });

  it("asks the store for what the caller asks for, or for all", async () => {
    const { listKeys, store } = setUp();
    const filters = { tenantId: "acme", purpose: KeyPurpose.SIGNING, state: KeyState.DISABLED, pageSize: 1 };
    const { nextPageToken } = await listKeys(filters);
    await listKeys({ ...filters, pageToken: nextPageToken });
    const asked = { tenantId: "acme", purpose: "signing", state: "DISABLED", limit: 2 };
    expect(store.listKeys).toHaveBeenNthCalledWith(1, { ...asked, after: undefined });
    const after = { tenantId: "acme", purpose: "signing", version: 1 };
    expect(store.listKeys).toHaveBeenNthCalledWith(2, { ...asked, after });
    await listKeys();
    const all = { tenantId: undefined, purpose: undefined, state: undefined, limit: 101, after: undefined };
    expect(store.listKeys).toHaveBeenLastCalledWith(all);
  });

  it("shows a key with the times that it has, and never its wrapped bytes", async () => {
    const { listKeys, store } = setUp();
    const full = {
      retiredAt: new Date(at.getTime() + 1),
      compromisedAt: new Date(at.getTime() + 2),
      destroyAt: new Date(at.getTime() + 3),
      previousState: "COMPROMISED",
      state: "DESTROY_SCHEDULED",
    } as const;
    const fresh = record({ activatedAt: undefined });
    store.listKeys.mockResolvedValue([record({ ...full, version: 7 }), fresh]);
    const answer = await listKeys();
    const [old, young] = answer.keys;
    expect(old).toMatchObject({
      version: { tenantId: "acme", purpose: KeyPurpose.DATA, keyId, version: 7 },
      state: KeyState.DESTROY_SCHEDULED,
      previousState: KeyState.COMPROMISED,
      provider: "local",
      providerKeyId: "master",
    });
    const { createdAt, activatedAt, retiredAt, compromisedAt, destroyAt } = old!;
    expect([createdAt, activatedAt, retiredAt, compromisedAt, destroyAt].map((each) => timestampDate(each!))).toEqual([
      at,
      at,
      full.retiredAt,
      full.compromisedAt,
      full.destroyAt,
    ]);
    expect(young).toMatchObject({ state: KeyState.ACTIVE, previousState: KeyState.UNSPECIFIED });
    for (const unset of ["activatedAt", "retiredAt", "compromisedAt", "destroyAt"] as const)
      expect(young![unset]).toBeUndefined();
    expect(Buffer.from(toBinary(ListKeysResponseSchema, answer)).includes(fresh.wrapped)).toBe(false);
  });

  it("shows how much of the days until a destruction nobody has seen pass, and looks for that only where one waits", async () => {
    const { listKeys, store } = setUp();
    const scheduled = { state: "DESTROY_SCHEDULED", destroyAt: at } as const;
    const waits = [{ sinceMs: 1_000, waitMs: 9_000 }, { sinceMs: 0, waitMs: 2_000 }, undefined];
    store.listKeys.mockResolvedValue([
      ...waits.map((destroyWait) => record({ ...scheduled, destroyWait })),
      record({ state: "DESTROYED", destroyWait: waits[0] }),
    ]);
    const { keys } = await listKeys();
    expect(keys.map(({ destroyUnwitnessed: left }) => left && durationMs(left))).toEqual([
      ...[7_000, 0, undefined, undefined],
    ]);
    expect(store.witnessedTime).toHaveBeenCalledTimes(1);
    store.listKeys.mockResolvedValue([record({})]);
    await listKeys();
    expect(store.witnessedTime).toHaveBeenCalledTimes(1);
  });

  it("shows a key that waits for its destruction although the time that services saw pass is damaged", async () => {
    const { listKeys, store } = setUp();
    const destroyWait = { sinceMs: 0, waitMs: 9_000 };
    store.listKeys.mockResolvedValue([record({ state: "DESTROY_SCHEDULED", destroyAt: at, destroyWait })]);
    store.witnessedTime.mockRejectedValueOnce(new KmsError("DATA_LOSS", "the witnessed time is gone from the store"));
    const { keys } = await listKeys();
    expect(keys.map(({ state, destroyUnwitnessed }) => [state, destroyUnwitnessed])).toEqual([
      [KeyState.DESTROY_SCHEDULED, undefined],
    ]);
    store.witnessedTime.mockRejectedValueOnce(new KmsError("STORE_UNAVAILABLE", "away"));
    expect(await thrownBy(listKeys)).toBeKmsError("STORE_UNAVAILABLE");
  });

  it("shows who wants a key destroyed, for how long that waits, and who confirmed it", async () => {
    const { listKeys, store } = setUp();
    const requested = { by: "token:ann", request: { at, rule: "ops", days: 9 }, confirmedBy: undefined };
    const confirmed = { by: "token:ann", request: undefined, confirmedBy: "token:bob" };
    const shown = [requested, confirmed, undefined].map((destruction) => record({ destruction }));
    store.listKeys.mockResolvedValue(shown);
    const { keys } = await listKeys();
    expect(keys.map((key) => [key.destroyRequestedBy, key.destroyRequestedDays, key.destroyConfirmedBy])).toEqual([
      ["token:ann", 9, ""],
      ["token:ann", 0, "token:bob"],
      ["", 0, ""],
    ]);
    const times = keys.map(({ destroyRequestedAt }) => destroyRequestedAt && timestampDate(destroyRequestedAt));
    expect(times).toEqual([at, undefined, undefined]);
  });

  it.each([
    ["page_size", { pageSize: 1001 }],
    ["state", { state: KeyState.PENDING }],
    ["state", { state: 99 as KeyState }],
    ["purpose", { purpose: 99 as KeyPurpose }],
  ])("refuses a wrong %s: %o", async (field, request) => {
    const { listKeys, store } = setUp();
    expect(await thrownBy(() => listKeys(request))).toBeKmsError("INVALID_ARGUMENT", field);
    expect(store.listKeys).not.toHaveBeenCalled();
  });

  describe("refuses a page_token", () => {
    const listing = ["keys", "", 0, 0];
    const good = tokenOf(...listing, "acme", "data", 1);

    it("but its own", async () => {
      const { keys } = await setUp().listKeys({ pageToken: good, pageSize: 1 });
      expect(keys[0]!.version!.version).toBe(2);
    });

    it.each([
      ["that is no base64url", "@@@"],
      ["that is no JSON", Buffer.from("not JSON").toString("base64url")],
      ["that is no list", Buffer.from('{"length":7}').toString("base64url")],
      ["that is empty inside", tokenOf()],
      ["with padding", `${Buffer.from(JSON.stringify([...listing, "acme", "data", 1])).toString("base64")}=`],
      ["with a blank", Buffer.from(JSON.stringify([...listing, "acme", "data", 1], null, 1)).toString("base64url")],
      ["with a line feed", `${good}\n`],
      ["cut short", good.slice(0, -2)],
      ["of no place", tokenOf(...listing)],
      ["of a place and more", tokenOf(...listing, "acme", "data", 1, 1)],
      ["of another listing", tokenOf("audit", "", "", 1)],
      ["of a tenant that cannot be", tokenOf(...listing, "acme\u0000", "data", 1)],
      ["of a tenant that is no text", tokenOf(...listing, 1, "data", 1)],
      ["of a purpose that is none", tokenOf(...listing, "acme", "toString", 1)],
      ["of version 0", tokenOf(...listing, "acme", "data", 0)],
      ["of half a version", tokenOf(...listing, "acme", "data", 1.5)],
      ["of a version in text", tokenOf(...listing, "acme", "data", "1")],
      ["that is longer than any", tokenOf(...listing, "a".repeat(10_000), "data", 1)],
    ])("%s", async (_what, pageToken) => {
      const { listKeys, store } = setUp();
      expect(await thrownBy(() => listKeys({ pageToken }))).toBeKmsError("INVALID_ARGUMENT", "page_token");
      expect(store.listKeys).not.toHaveBeenCalled();
    });

    it.each([
      ["tenant_id", { tenantId: "umbrella" }],
      ["purpose", { purpose: KeyPurpose.SIGNING }],
      ["state", { state: KeyState.RETIRED }],
    ])("of another %s", async (_field, filter) => {
      const { listKeys } = setUp();
      const { nextPageToken } = await listKeys({ pageSize: 1 });
      const error = await thrownBy(() => listKeys({ ...filter, pageToken: nextPageToken }));
      expect(error).toBeKmsError("INVALID_ARGUMENT", "page_token");
    });
  });
});

describe.each(eachChange)("%s", (name) => {
  it("says which key, who, and under which request id, and answers with the key", async () => {
    const admin = setUp();
    const { key } = await change(admin, name, { requestId: "r-1" });
    const asked = { tenantId: "acme", keyId, by: { actor: "ann", requestId: "r-1" } };
    expect(admin.lifecycle[changes[name][1]].mock.calls[0]!.at(0)).toMatchObject(asked);
    expect(key).toMatchObject({ version: { tenantId: "acme", keyId } });
  });
});

describe("MarkKeyCompromised", () => {
  it("answers with the replacement where there is one", async () => {
    const admin = setUp();
    const alone = await change(admin, "markKeyCompromised", {});
    expect(alone.key!.state).toBe(KeyState.COMPROMISED);
    expect(alone).not.toHaveProperty("replacement");
    const replacement = record({ version: 2 });
    admin.lifecycle.markCompromised.mockResolvedValue({ record: record({ state: "COMPROMISED" }), replacement });
    expect(await change(admin, "markKeyCompromised", {})).toMatchObject({
      key: { state: KeyState.COMPROMISED, version: { version: 1 } },
      replacement: { state: KeyState.ACTIVE, version: { version: 2 } },
    });
    expect(admin.lifecycle.markCompromised.mock.lastCall![1]).toBe(admin.call.signal);
  });
});

describe("ScheduleKeyDestruction", () => {
  it.each([
    [0, 30, true],
    [7, 7, false],
    [30, 30, false],
  ])(
    "with days %i destroys after %i, and takes those of a request that waits: %s",
    async (days, after, orAsRequested) => {
      const admin = setUp({ rule: (role, tenant) => `${role}-${tenant}` });
      await change(admin, "scheduleKeyDestruction", { days });
      const by = { actor: "ann", requestId: "", rule: "destroy-acme" };
      expect(admin.lifecycle.scheduleDestruction.mock.lastCall).toEqual([
        { tenantId: "acme", keyId, by, days: after, orAsRequested },
      ]);
    },
  );

  it.each([1, 6, 31, 2 ** 32 - 1])("refuses %i days", async (days) => {
    const admin = setUp();
    const error = await thrownBy(() => change(admin, "scheduleKeyDestruction", { days }));
    expect(error).toBeKmsError("INVALID_ARGUMENT", "days");
    expect(admin.lifecycle.scheduleDestruction).not.toHaveBeenCalled();
  });
});

describe("ListAuditEvents", () => {
  it("comes in pages, oldest first, without a gap", async () => {
    const { listAudit } = setUp();
    const seen: bigint[] = [];
    let pageToken = "";
    do {
      const { events, nextPageToken } = await listAudit({ pageSize: 99, pageToken });
      seen.push(...events.map(({ sequence }) => sequence));
      pageToken = nextPageToken;
    } while (pageToken !== "");
    expect(seen).toEqual(rows.map(({ sequence }) => BigInt(sequence)));
  });

  it("asks the store for one tenant and key, or for all", async () => {
    const { listAudit, store } = setUp();
    await listAudit({ tenantId: "acme", keyId });
    expect(store.auditEvents).toHaveBeenLastCalledWith({ tenantId: "acme", keyId, limit: 101, after: undefined });
    await listAudit();
    const all = { tenantId: undefined, keyId: undefined, limit: 101, after: undefined };
    expect(store.auditEvents).toHaveBeenLastCalledWith(all);
  });

  it("shows a row as it is", async () => {
    const { listAudit, store } = setUp();
    const nameless = { tenantId: "", purpose: undefined, keyId: "", outcome: "PERMISSION_DENIED", requestId: "" };
    store.auditEvents.mockResolvedValue([auditRow(1, { count: 12, rule: "ops" }), auditRow(2, nameless)]);
    const { events } = await listAudit();
    const { writerId } = auditRow(1);
    expect(events).toMatchObject([
      { writerId, sequence: 1n, actor: "ann", action: "disable", tenantId: "acme", keyId, purpose: KeyPurpose.DATA },
      { writerId, sequence: 2n, tenantId: "", keyId: "", purpose: KeyPurpose.UNSPECIFIED, count: 1n },
    ]);
    expect(events[0]).toMatchObject({ outcome: "OK", requestId: "r-1", count: 12n, rule: "ops" });
    expect(events[1]).toMatchObject({ outcome: "PERMISSION_DENIED", requestId: "", rule: "" });
    expect(timestampDate(events[0]!.at!)).toEqual(at);
  });

  it.each([
    ["page_size", { pageSize: 1001 }],
    ["key_id", { keyId: "1234" }],
    ["page_token", { pageToken: tokenOf("audit", "", "") }],
    ["page_token", { pageToken: tokenOf("audit", "", "", -1) }],
    ["page_token", { pageToken: tokenOf("audit", "", "", 1e300) }],
    ["page_token", { pageToken: tokenOf("audit", "", "", "1") }],
    ["page_token", { pageToken: tokenOf("audit", "", "", 1, 2) }],
    ["page_token", { pageToken: tokenOf("audit", "umbrella", "", 1) }],
    ["page_token", { pageToken: tokenOf("keys", "", 0, 0, "acme", "data", 1) }],
  ])("refuses a wrong %s: %j", async (field, request) => {
    const { listAudit, store } = setUp();
    expect(await thrownBy(() => listAudit(request))).toBeKmsError("INVALID_ARGUMENT", field);
    expect(store.auditEvents).not.toHaveBeenCalled();
  });
});

describe("VerifyAudit", () => {
  const request = create(VerifyAuditRequestSchema);
  const writerId = auditRow(1).writerId;

  it("is ok where nothing is wrong, and names the heads in hex", async () => {
    const { handlers, call, verifyAudit } = setUp();
    const heads = [{ writerId, sequence: 3, mac: Buffer.from("00ABCDEF", "hex") }];
    verifyAudit.mockResolvedValue({ events: 3, heads, headsTotal: 12, problems: [], problemCount: 0 });
    expect(await handlers.verifyAudit(request, call)).toMatchObject({
      ok: true,
      events: 3n,
      heads: [{ writerId, sequence: 3n, mac: "00abcdef" }],
      problems: [],
      problemCount: 0n,
      headsTotal: 12n,
    });
    expect(verifyAudit).toHaveBeenCalledWith({ headsAfter: "", signal: call.signal });
  });

  it("gives the heads behind a writer, and refuses what is none before any work", async () => {
    const { handlers, call, verifyAudit } = setUp();
    await handlers.verifyAudit(create(VerifyAuditRequestSchema, { headsAfter: writerId }), call);
    expect(verifyAudit).toHaveBeenCalledWith({ headsAfter: writerId, signal: call.signal });
    const other = create(VerifyAuditRequestSchema, { headsAfter: "ABC" });
    expect(await thrownBy(() => handlers.verifyAudit(other, call))).toBeKmsError("INVALID_ARGUMENT", "heads_after");
    expect(verifyAudit).toHaveBeenCalledOnce();
  });

  it("is not ok where something is, and lists 1,000 problems at most", async () => {
    const { handlers, call, verifyAudit } = setUp();
    const problems = Array.from({ length: 1500 }, (_, sequence) => ({ writerId, sequence, what: "altered" }));
    verifyAudit.mockResolvedValue({ events: 2000, heads: [], headsTotal: 1, problems, problemCount: 1700 });
    const answer = await handlers.verifyAudit(request, call);
    expect(answer).toMatchObject({ ok: false, problemCount: 1700n });
    expect(answer.problems).toHaveLength(1000);
    expect(answer.problems[1]).toMatchObject({ writerId, sequence: 1n, what: "altered" });
  });
});

describe("AcceptRollback", () => {
  const digest = "0f".repeat(32);

  it.each([
    ["digest", { digest: "" }],
    ["digest", { digest: digest.toUpperCase() }],
    ["digest", { digest: `${digest}0` }],
    ["request_id", { digest, requestId: "a b" }],
    ["digest", { digest }],
  ])("refuses a bad %s, and any where nothing is to be accepted", async (field, request) => {
    const { handlers, call } = setUp();
    const ask = () => handlers.acceptRollback(create(AcceptRollbackRequestSchema, request), call);
    expect(await thrownBy(ask)).toBeKmsError("INVALID_ARGUMENT", field);
  });
});

describe("RewrapKeys", () => {
  it("passes on who asks for how much, and answers what was done, and what was not", async () => {
    const { handlers, rewrap, call } = setUp();
    const answer = await handlers.rewrapKeys(create(RewrapKeysRequestSchema, { pageSize: 7, requestId: "r-7" }), call);
    const by = { actor: "ann", requestId: "r-7" };
    expect(rewrap).toHaveBeenCalledExactlyOnceWith({ by, limit: 7, after: undefined, dryRun: false }, call.signal);
    expect(answer).toMatchObject({
      ...current,
      storeKeyRewrapped: true,
      rewrapped: 2,
      remaining: 8n,
      dryRun: false,
      interrupted: { code: 14, message: "no answer" },
      failed: [
        { key: { tenantId: "acme", purpose: KeyPurpose.DATA, keyId, version: 1 }, error: { code: 15 } },
        { error: { code: 9, message: "unknown" } },
      ],
      others: [{ ...other, keys: 7n }],
    });
    expect(answer.failed[1]!.key).toBeUndefined();
  });

  it("goes on with the token of the page before, for the same provider key alone", async () => {
    const { handlers, rewrap, call } = setUp();
    const ask = (pageToken: string) =>
      handlers.rewrapKeys(create(RewrapKeysRequestSchema, { pageToken, dryRun: true }), call);
    const { nextPageToken } = await ask("");
    await ask(nextPageToken);
    expect(rewrap.mock.lastCall?.[0]).toMatchObject({ limit: 100, after: { ...other, keyId }, dryRun: true });
    const own = ["rewrap", current.provider, current.providerKeyId, "local", "a"];
    for (const pageToken of [
      "x",
      tokenOf("rewrap", "aws", "key", "local", "a", keyId),
      tokenOf(...own),
      tokenOf(...own, 7),
      tokenOf(...own, keyId, "more"),
    ]) {
      expect(await thrownBy(() => ask(pageToken))).toBeKmsError("INVALID_ARGUMENT", "page_token");
    }
    expect(rewrap).toHaveBeenCalledTimes(2);
  });

  it("refuses a page of 1,001, and moves nothing", async () => {
    const { handlers, rewrap, call } = setUp();
    const ask = () => handlers.rewrapKeys(create(RewrapKeysRequestSchema, { pageSize: 1001 }), call);
    expect(await thrownBy(ask)).toBeKmsError("INVALID_ARGUMENT", "page_size");
    expect(rewrap).not.toHaveBeenCalled();
  });
});
