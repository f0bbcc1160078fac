/** Keys through their states: what each change allows and refuses, races, and what a failure leaves. */
import { describe, expect, it, vi } from "vitest";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import type { WholeKeyring } from "../support/whole-keyring.ts";
import { replacementMs } from "../../src/keys/lifecycle.ts";
import type { ChangeRequest } from "../../src/keys/record-changes.ts";
import type { KeyRecord, KeyState } from "../../src/store/key-record.ts";
import { destroyed } from "../../src/keys/destruction/waits.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { randomMasterKey } from "../../src/provider/local/master-key.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { cancelled } from "../../src/runtime/deadline.ts";
import { manualTime } from "../../src/runtime/manual-time.ts";
import { type StepName, steps } from "../../src/failpoints.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import type { Store } from "../../src/store/store.ts";
import { thrownBy } from "../support/matchers.ts";
import { dayMs, providerWith, setUp, shared, storeWith, turn } from "../support/keys-fixture.ts";
import { realTime } from "../../src/runtime/time.ts";

const by = { actor: "ann", requestId: "r1" };
const mallory = { name: "mallory", has: () => false };

type Action = "disable" | "enable" | "markCompromised" | "scheduleDestruction" | "cancelDestruction";

async function perform(keyring: WholeKeyring, action: Action, keyId: string, tenantId = "acme"): Promise<KeyRecord> {
  const request: ChangeRequest = { tenantId, keyId, by };
  if (action === "scheduleDestruction") return keyring.scheduleDestruction({ ...request, days: 7 });
  if (action === "markCompromised") return (await keyring.markCompromised(request)).record;
  return keyring[action](request);
}

/** How a key gets into a state, by the changes themselves. */
const waysTo: Record<Exclude<KeyState, "PENDING">, (Action | "rotate" | "destroy")[]> = {
  ACTIVE: [],
  RETIRED: ["rotate"],
  DISABLED: ["disable"],
  COMPROMISED: ["markCompromised"],
  DESTROY_SCHEDULED: ["scheduleDestruction"],
  DESTROYED: ["scheduleDestruction", "destroy"],
};

async function keyIn(state: keyof typeof waysTo, options: Parameters<typeof setUp>[0] = {}) {
  const parts = setUp(options);
  const { keyring, store, time } = parts;
  const { keyId } = await keyring.activeDataKey("acme");
  await keyring.dataKey("acme", keyId);
  for (const way of waysTo[state]) {
    if (way === "rotate") await keyring.rotate({ tenantId: "acme", force: true });
    else if (way === "destroy") {
      time.ms += 7 * dayMs;
      await keyring.destroyDue();
    } else await perform(keyring, way, keyId);
  }
  const record = (await store.get("acme", keyId))!;
  expect(record.state).toBe(state);
  return { ...parts, keyId, record };
}

async function trail(store: Store, keyId: string) {
  const rows = await store.auditEvents({ tenantId: "acme", keyId, limit: 100 });
  return rows.map(({ action, actor, requestId }) => `${action} ${actor} ${requestId}`.trim());
}

describe("a change of state", () => {
  const [no, scheduled] = ["KEY_UNUSABLE", "DESTROY_SCHEDULED"] as const;
  const froms = ["ACTIVE", "RETIRED", "DISABLED", "COMPROMISED", scheduled, "DESTROYED"] as const;
  /** What becomes of a key in each of these states. */
  const table: Record<Action, (KeyState | typeof no)[]> = {
    disable: ["DISABLED", "DISABLED", "DISABLED", no, no, no],
    enable: ["ACTIVE", "RETIRED", "ACTIVE", no, no, no],
    markCompromised: ["COMPROMISED", "COMPROMISED", "COMPROMISED", "COMPROMISED", scheduled, "DESTROYED"],
    scheduleDestruction: [scheduled, scheduled, scheduled, scheduled, scheduled, no],
    cancelDestruction: [no, no, "DISABLED", "COMPROMISED", "DISABLED", no],
  };
  const actions = Object.keys(table) as Action[];
  const cells = actions.flatMap((action) => froms.map((from, index) => ({ action, from, to: table[action][index]! })));

  it.each(cells)("$action of a key that is $from: $to", async ({ action, from, to }) => {
    const { keyring, store, keyId, record } = await keyIn(from);
    const rows = await trail(store, keyId);
    if (to === "KEY_UNUSABLE") {
      expect(await thrownBy(() => perform(keyring, action, keyId))).toBeKmsError("KEY_UNUSABLE", `${keyId} is ${from}`);
      expect(await store.get("acme", keyId)).toEqual(record);
      expect(await trail(store, keyId)).toEqual(rows);
      return;
    }
    const answered = await perform(keyring, action, keyId);
    expect(answered.state).toBe(to);
    expect(await store.get("acme", keyId)).toEqual(answered);
    const isChange = from !== to || answered.compromisedAt?.getTime() !== record.compromisedAt?.getTime();
    expect(await trail(store, keyId)).toHaveLength(rows.length + (isChange ? 1 : 0));
    // Tried again, it is answered the same and changes nothing.
    expect(await perform(keyring, action, keyId)).toEqual(answered);
    expect(await trail(store, keyId)).toHaveLength(rows.length + (isChange ? 1 : 0));
    keyring.invalidate("acme", keyId);
    const opening = async () => keyring.dataKey("acme", keyId);
    if (to === "ACTIVE" || to === "RETIRED") expect(await opening()).toMatchObject({ keyId });
    else expect(await thrownBy(opening)).toBeKmsError("KEY_UNUSABLE", keyId);
  });

  it.each(actions)("%s knows neither another tenant's key, nor a pending one, nor a made-up one", async (action) => {
    const { keyring, store, record } = await keyIn("ACTIVE");
    const pendingId = "0a".repeat(16);
    await store.insertPending({ ...record, keyId: pendingId });
    for (const [tenantId, keyId] of [
      ["other", record.keyId],
      ["acme", pendingId],
      ["acme", "ff".repeat(16)],
    ] as const) {
      expect(await thrownBy(() => perform(keyring, action, keyId, tenantId))).toBeKmsError("NOT_FOUND", keyId);
    }
    expect((await store.get("acme", pendingId))?.state).toBe("PENDING");
  });

  it("is in the audit trail with who asked for it, in their request", async () => {
    const { keyring, store, keyId } = await keyIn("ACTIVE");
    for (const action of [
      "disable",
      "enable",
      "scheduleDestruction",
      "cancelDestruction",
      "markCompromised",
    ] as const) {
      await perform(keyring, action, keyId);
    }
    expect(await trail(store, keyId)).toEqual([
      "create fluo-kms",
      "disable ann r1",
      "enable ann r1",
      "schedule_destruction ann r1",
      "cancel_destruction ann r1",
      "mark_compromised ann r1",
    ]);
  });

  it("passes a place where a crash can be tried, each time something was stored", async () => {
    const seen: StepName[] = [];
    const listen = (name: unknown) => void seen.push(name as StepName);
    steps.subscribe(listen);
    try {
      const { keyring, time, keyId } = await keyIn("ACTIVE");
      await perform(keyring, "disable", keyId);
      await perform(keyring, "disable", keyId);
      await perform(keyring, "scheduleDestruction", keyId);
      time.ms += 7 * dayMs;
      await keyring.destroyDue();
    } finally {
      steps.unsubscribe(listen);
    }
    const made = ["key.made", "key.inserted", "key.proven", "key.activated"];
    expect(seen.filter((name) => !name.startsWith("sqlite."))).toEqual([
      ...made,
      "state.changed",
      "state.changed",
      "state.changed",
      "destruction.stored",
    ]);
  });
});

describe("a disabled key", () => {
  it("returns to RETIRED if another became ACTIVE, retired from then on", async () => {
    const { keyring, time, keyId } = await keyIn("DISABLED");
    const { rotated } = await keyring.rotate({ tenantId: "acme" });
    time.ms = dayMs;
    const enabled = await perform(keyring, "enable", keyId);
    expect(enabled).toMatchObject({ state: "RETIRED", retiredAt: new Date(time.start + dayMs) });
    expect((await keyring.dataKey("acme", keyId)).keyId).toBe(keyId);
    expect((await keyring.activeDataKey("acme")).keyId).toBe(rotated[0]!.keyId);
  });

  it("that was retired returns to RETIRED, with the time at which it was, though none is ACTIVE", async () => {
    const { keyring, store, time, keyId, record } = await keyIn("RETIRED");
    time.ms += dayMs;
    await perform(keyring, "disable", (await store.active("acme", "data"))!.keyId);
    await perform(keyring, "disable", keyId);
    const enabled = await perform(keyring, "enable", keyId);
    expect(enabled).toMatchObject({ state: "RETIRED", retiredAt: record.retiredAt });
  });

  it("is not enabled where it was marked as compromised", async () => {
    const { keyring, store, keyId, record } = await keyIn("DISABLED");
    const change = { ...by, action: "disable", at: new Date(0) } as const;
    await store.update(record, { ...record, compromisedAt: new Date(1) }, change);
    expect(await thrownBy(() => perform(keyring, "enable", keyId))).toBeKmsError("KEY_UNUSABLE", keyId);
  });
});

describe("a compromised key", () => {
  it("is replaced in the same transaction, and the new one is used at once without a provider call", async () => {
    const { keyring, store, calls, keyId } = await keyIn("ACTIVE");
    const { record, replacement } = await keyring.markCompromised({ tenantId: "acme", keyId, by });
    expect(record).toMatchObject({ state: "COMPROMISED", previousState: "ACTIVE", compromisedAt: expect.any(Date) });
    expect(replacement).toMatchObject({ state: "ACTIVE", version: 2 });
    expect(await store.active("acme", "data")).toEqual(replacement);
    const before = calls.total;
    expect(keyring.activeDataKey("acme")).toMatchObject({ keyId: replacement!.keyId });
    expect(calls.total).toBe(before);
    expect(await trail(store, replacement!.keyId)).toEqual(["rotate ann r1"]);
    // Marked again, it is answered the same.
    expect(await keyring.markCompromised({ tenantId: "acme", keyId, by })).toEqual({ record, replacement });
  });

  it.each(["RETIRED", "DISABLED"] as const)("that was %s needs no replacement", async (state) => {
    const { keyring, store, keyId } = await keyIn(state);
    const active = await store.active("acme", "data");
    const { record, replacement } = await keyring.markCompromised({ tenantId: "acme", keyId, by });
    expect(record).toMatchObject({ state: "COMPROMISED", previousState: state });
    expect(replacement).toBeUndefined();
    expect(await store.active("acme", "data")).toEqual(active);
  });

  it("opens for the role break-glass alone", async () => {
    const { keyring, keyId } = await keyIn("COMPROMISED");
    const asked: string[] = [];
    const caller = {
      name: "ann",
      has(role: string) {
        asked.push(role);
        return role === "break-glass";
      },
    };
    const waiter = { signal: new AbortController().signal, caller };
    const refused = () => keyring.dataKey("acme", keyId, { ...waiter, caller: mallory });
    expect(await thrownBy(refused)).toBeKmsError("KEY_UNUSABLE", "break-glass");
    expect((await keyring.dataKey("acme", keyId, waiter)).keyId).toBe(keyId);
    expect(asked).toContain("break-glass");
    // What one caller opened is no other's.
    expect(await thrownBy(refused)).toBeKmsError("KEY_UNUSABLE", "break-glass");
    expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("KEY_UNUSABLE", "break-glass");
  });

  it("costs the role break-glass one provider call, and is gone from memory when its destruction is scheduled", async () => {
    const { keyring, calls, keyId } = await keyIn("COMPROMISED");
    const waiter = { signal: new AbortController().signal, caller: { name: "ann", has: () => true } };
    const before = calls.decrypt;
    const key = await keyring.dataKey("acme", keyId, waiter);
    await keyring.dataKey("acme", keyId, waiter);
    expect(calls.decrypt - before).toBe(1);
    await perform(keyring, "scheduleDestruction", keyId);
    await turn();
    expect(() => key.material.inputKey("pii")).toThrow(KmsError);
    expect(await thrownBy(() => keyring.dataKey("acme", keyId, waiter))).toBeKmsError("KEY_UNUSABLE", "SCHEDULED");
  });

  it("does not ask the caller of any other key for its roles", async () => {
    const { keyring, keyId } = await keyIn("ACTIVE");
    const caller = {
      name: "ann",
      has(): boolean {
        throw new Error("asked");
      },
    };
    expect(keyring.dataKey("acme", keyId, { signal: new AbortController().signal, caller })).toMatchObject({ keyId });
  });

  it.each(["its caller hangs up", "two seconds pass"] as const)(
    "is marked though the provider hangs, once %s",
    async (end) => {
      const local = localProvider(randomMasterKey());
      let hangs = false;
      const asked = Promise.withResolvers<void>();
      const provider: Provider = {
        ...local,
        generateDataKey: (context, signal) =>
          hangs
            ? new Promise((_resolve, reject) => {
                signal!.addEventListener("abort", () => reject(cancelled(signal!)), { once: true });
                asked.resolve();
              })
            : local.generateDataKey(context, signal),
      };
      const time = manualTime({ start: new Date("2026-01-01T00:00:00.000Z") });
      const { keyring, store, keyId } = await keyIn("ACTIVE", { provider, time });
      hangs = true;
      const caller = new AbortController();
      const marked = vi.fn();
      const marking = keyring.markCompromised({ tenantId: "acme", keyId, by }, caller.signal).finally(marked);
      await asked.promise;
      await time.advance(replacementMs - 1);
      expect(marked).not.toHaveBeenCalled();
      if (end === "its caller hangs up") caller.abort();
      else await time.advance(1);
      const { record, replacement } = await marking;
      expect(record).toMatchObject({ state: "COMPROMISED", previousState: "ACTIVE" });
      expect(replacement).toBeUndefined();
      expect(await store.get("acme", keyId)).toEqual(record);
      expect((await store.counts()).byPurpose.data).toEqual({ COMPROMISED: 1 });
    },
  );

  it.each<KmsErrorCode>(["PROVIDER_UNAVAILABLE", "PROVIDER_DENIED", "DEADLINE_EXCEEDED", "CANCELLED"])(
    "is marked though no replacement can be made: %s",
    async (code) => {
      let refusal: KmsError | undefined;
      const provider = providerWith((operation) => {
        if (operation === "generateDataKey" && refusal) throw refusal;
      });
      const { keyring, store, keyId } = await keyIn("ACTIVE", { provider });
      refusal = new KmsError(code, "as told");
      const { record, replacement } = await keyring.markCompromised({ tenantId: "acme", keyId, by });
      expect(record).toMatchObject({ state: "COMPROMISED", previousState: "ACTIVE" });
      expect(replacement).toBeUndefined();
      expect(await store.active("acme", "data")).toBeUndefined();
      expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE", "rotate");
      refusal = undefined;
      expect((await keyring.rotate({ tenantId: "acme" })).rotated).toMatchObject([{ version: 2 }]);
      expect((await store.counts()).byPurpose.data).toEqual({ COMPROMISED: 1, ACTIVE: 1 });
    },
  );

  it("is marked though its caller left before a replacement was begun", async () => {
    const { keyring, store, keyId } = await keyIn("ACTIVE");
    await keyring.markCompromised({ tenantId: "acme", keyId, by }, AbortSignal.abort());
    expect((await store.get("acme", keyId))?.state).toBe("COMPROMISED");
  });

  it("is out of use where its mark was stored and only the answer was lost, and a retry says what is", async () => {
    const honest = memoryStore(realTime);
    let answers = true;
    const store: Store = {
      ...honest,
      async activate(activation) {
        const record = await honest.activate(activation);
        if (!answers) throw new KmsError("STORE_UNAVAILABLE", "the connection broke");
        return record;
      },
    };
    const { keyring } = setUp({ store });
    const { keyId, key } = await keyring.activeSigningKey("acme");
    answers = false;
    const mark = () => keyring.markCompromised({ tenantId: "acme", keyId, by });
    expect(await thrownBy(mark)).toBeKmsError("STORE_UNAVAILABLE");
    await turn();
    expect(() => key.sign(new Uint8Array(1))).toThrow(KmsError);
    answers = true;
    const { replacement } = await mark();
    expect((await keyring.activeSigningKey("acme")).keyId).toBe(replacement!.keyId);
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ state: "COMPROMISED" });
  });
});

describe("a destruction", () => {
  it("is scheduled for 7 to 30 whole days", async () => {
    const { keyring, time, keyId } = await keyIn("ACTIVE");
    for (const days of [6, 31, 0, -7, 7.5, Number.NaN]) {
      const call = () => keyring.scheduleDestruction({ tenantId: "acme", keyId, by, days });
      expect(await thrownBy(call)).toBeKmsError("INVALID_ARGUMENT", "days");
    }
    const { destroyAt } = await keyring.scheduleDestruction({ tenantId: "acme", keyId, by, days: 30 });
    expect(destroyAt).toEqual(new Date(time.start + 30 * dayMs));
  });

  it("keeps the time that was set first", async () => {
    const { keyring, time, keyId, record } = await keyIn("DESTROY_SCHEDULED");
    time.ms += dayMs;
    const again = await keyring.scheduleDestruction({ tenantId: "acme", keyId, by, days: 30 });
    expect(again.destroyAt).toEqual(record.destroyAt);
  });

  it.each([
    ["ACTIVE", "ACTIVE"],
    ["RETIRED", "RETIRED"],
    ["DISABLED", "ACTIVE"],
  ] as const)("of a key that was %s is cancelled to DISABLED, and enabled", async (state, before) => {
    const { keyring, keyId } = await keyIn(state);
    await perform(keyring, "scheduleDestruction", keyId);
    expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("KEY_UNUSABLE", keyId);
    const cancelled = await perform(keyring, "cancelDestruction", keyId);
    expect(cancelled).toMatchObject({ state: "DISABLED", previousState: before, destroyAt: undefined });
    expect(await perform(keyring, "enable", keyId)).toMatchObject({ state: before, previousState: undefined });
    expect((await keyring.dataKey("acme", keyId)).keyId).toBe(keyId);
  });

  it.each([["markCompromised", "scheduleDestruction"] as const, ["scheduleDestruction", "markCompromised"] as const])(
    "of a compromised key is cancelled to COMPROMISED, never further: %s, then %s",
    async (...actions) => {
      const { keyring, keyId } = await keyIn("ACTIVE");
      for (const action of actions) await perform(keyring, action, keyId);
      const cancelled = await perform(keyring, "cancelDestruction", keyId);
      expect(cancelled).toMatchObject({ state: "COMPROMISED", compromisedAt: expect.any(Date), destroyAt: undefined });
      expect(await thrownBy(() => perform(keyring, "enable", keyId))).toBeKmsError("KEY_UNUSABLE", keyId);
    },
  );

  it("happens at its time and not before, leaves no secret, and keeps the public key", async () => {
    const { keyring, store, time } = setUp();
    const { keyId } = await keyring.activeSigningKey("acme");
    const { publicKey } = (await store.get("acme", keyId))!;
    await perform(keyring, "scheduleDestruction", keyId);
    time.ms = 7 * dayMs - 1;
    expect(await keyring.destroyDue()).toBe(0);
    expect((await store.get("acme", keyId))!.wrapped.length).toBeGreaterThan(0);
    time.ms += 1;
    expect(await keyring.destroyDue()).toBe(1);
    expect(await store.get("acme", keyId)).toMatchObject({
      state: "DESTROYED",
      wrapped: new Uint8Array(),
      publicKey,
      previousState: "ACTIVE",
    });
    expect(await keyring.publicKeys.find("acme", keyId)).toMatchObject({ state: "DESTROYED" });
    expect((await trail(store, keyId)).at(-1)).toBe("destroy fluo-kms");
    expect(await keyring.destroyDue()).toBe(0);
  });

  it("that was put off in its last moment does not happen", async () => {
    const { record, time } = await keyIn("DESTROY_SCHEDULED");
    const at = new Date(time.start + 7 * dayMs);
    expect(destroyed(record, at, 7 * dayMs)).toMatchObject({ state: "DESTROYED" });
    expect(destroyed({ ...record, destroyAt: new Date(at.getTime() + 1) }, at, 7 * dayMs)).toBeUndefined();
    expect(destroyed({ ...record, state: "DISABLED" }, at, 7 * dayMs)).toBeUndefined();
  });

  it("is done once by replicas that see it due at the same time", async () => {
    const parts = shared();
    const { store } = parts;
    const replicas = Array.from({ length: 4 }, () => setUp(parts));
    const { keyId } = await replicas[0]!.keyring.activeDataKey("acme");
    await perform(replicas[0]!.keyring, "scheduleDestruction", keyId);
    for (const { time } of replicas) time.ms = 7 * dayMs;
    const counts = await Promise.all(replicas.map(({ keyring }) => keyring.destroyDue()));
    expect(counts.sort()).toEqual([0, 0, 0, 1]);
    expect((await trail(store, keyId)).filter((row) => row.startsWith("destroy "))).toHaveLength(1);
  });

  /** Scheduled for three tenants, and due. */
  async function threeDue(store = memoryStore(realTime)) {
    const { keyring, time } = setUp({ store });
    for (const tenant of ["a", "b", "c"]) {
      await perform(keyring, "scheduleDestruction", (await keyring.activeDataKey(tenant)).keyId, tenant);
    }
    time.ms = 7 * dayMs;
    return keyring;
  }

  it("takes at most so many at once", async () => {
    const keyring = await threeDue();
    expect(await keyring.destroyDue(2)).toBe(2);
    expect(await keyring.destroyDue(2)).toBe(1);
  });

  it("goes on past a record that is damaged, and says so", async () => {
    const honest = memoryStore(realTime);
    let damaged = "";
    const store = storeWith((name, tenantId) => {
      if (name === "get" && tenantId === damaged) throw new KmsError("DATA_LOSS", "damaged");
    }, honest);
    const keyring = await threeDue(store);
    damaged = "a";
    expect(await thrownBy(() => keyring.destroyDue())).toBeKmsError("DATA_LOSS");
    expect((await honest.counts()).byPurpose.data).toEqual({ DESTROY_SCHEDULED: 1, DESTROYED: 2 });
  });
});

describe("changes at the same time", () => {
  /** A store that holds its n-th and further updates until the test lets them go. */
  function heldUpdates() {
    const { promise, resolve } = Promise.withResolvers<void>();
    let held: Promise<void> | undefined;
    const store = storeWith((name) => (name === "update" ? held : undefined));
    const hold = () => {
      held = promise;
    };
    const release = () => {
      held = undefined;
      resolve();
    };
    return { store, hold, release };
  }

  it("of two that enable a key both are answered", async () => {
    const { keyring, store, keyId } = await keyIn("DISABLED");
    const answers = await Promise.all([perform(keyring, "enable", keyId), perform(keyring, "enable", keyId)]);
    expect(answers.map(({ state }) => state)).toEqual(["ACTIVE", "ACTIVE"]);
    expect((await trail(store, keyId)).filter((row) => row.startsWith("enable"))).toHaveLength(1);
  });

  it("of two keys that are enabled one is ACTIVE and the other RETIRED", async () => {
    const { keyring, store, keyId } = await keyIn("DISABLED");
    const other = (await keyring.rotate({ tenantId: "acme" })).rotated[0]!.keyId!;
    await perform(keyring, "disable", other);
    const answers = await Promise.all([perform(keyring, "enable", keyId), perform(keyring, "enable", other)]);
    expect(answers.map(({ state }) => state).sort()).toEqual(["ACTIVE", "RETIRED"]);
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 1, RETIRED: 1 });
  });

  it("a key whose enabling a rotation overtakes becomes RETIRED", async () => {
    const { store, hold, release } = heldUpdates();
    const { keyring, keyId } = await keyIn("DISABLED", { store });
    hold();
    const enabling = perform(keyring, "enable", keyId);
    await keyring.rotate({ tenantId: "acme" });
    release();
    expect(await enabling).toMatchObject({ state: "RETIRED", retiredAt: expect.any(Date) });
    expect((await store.counts()).byPurpose.data).toEqual({ ACTIVE: 1, RETIRED: 1 });
  });

  it("a disabling that a mark overtakes conflicts, and the mark stays", async () => {
    const { store, hold, release } = heldUpdates();
    const { keyring, keyId } = await keyIn("ACTIVE", { store });
    hold();
    const disabling = thrownBy(() => perform(keyring, "disable", keyId));
    await perform(keyring, "markCompromised", keyId);
    release();
    expect(await disabling).toBeKmsError("CONFLICT", keyId);
    expect((await store.get("acme", keyId))?.state).toBe("COMPROMISED");
    expect(await thrownBy(() => perform(keyring, "disable", keyId))).toBeKmsError("KEY_UNUSABLE", keyId);
  });

  it("a mark that a disabling overtakes conflicts, leaves no second key, and is made when it is tried again", async () => {
    const { promise, resolve: release } = Promise.withResolvers<void>();
    let held: Promise<void> | undefined;
    const provider = providerWith((operation) => (operation === "generateDataKey" ? held : undefined));
    const { keyring, store, keyId } = await keyIn("ACTIVE", { provider });
    held = promise;
    const marking = thrownBy(() => perform(keyring, "markCompromised", keyId));
    await perform(keyring, "disable", keyId);
    release();
    expect(await marking).toBeKmsError("CONFLICT");
    expect((await store.counts()).byPurpose.data).toEqual({ DISABLED: 1 });
    expect(await perform(keyring, "markCompromised", keyId)).toMatchObject({ state: "COMPROMISED" });
  });

  it("a destruction that is cancelled in its last moment happens or does not", async () => {
    const { keyring, store, time, keyId } = await keyIn("DESTROY_SCHEDULED");
    time.ms = 7 * dayMs;
    const [cancelled, count] = await Promise.allSettled([
      perform(keyring, "cancelDestruction", keyId),
      keyring.destroyDue(),
    ]);
    const { state, wrapped } = (await store.get("acme", keyId))!;
    if (cancelled.status === "fulfilled") {
      expect([state, wrapped.length > 0]).toEqual(["DISABLED", true]);
      expect(count).toMatchObject({ value: 0 });
    } else {
      expect([state, wrapped.length]).toEqual(["DESTROYED", 0]);
      expect(count).toMatchObject({ value: 1 });
    }
  });
});

describe("a store that fails in the middle of a change", () => {
  it("leaves this replica asking the store again, whether the change was stored or not", async () => {
    const honest = memoryStore(realTime);
    let answers = true;
    const store: Store = {
      ...honest,
      async update(...given) {
        await honest.update(...given);
        if (!answers) throw new KmsError("STORE_UNAVAILABLE", "the connection broke");
      },
    };
    const { keyring, keyId } = await keyIn("ACTIVE", { store });
    answers = false;
    expect(await thrownBy(() => perform(keyring, "disable", keyId))).toBeKmsError("STORE_UNAVAILABLE");
    expect(await thrownBy(() => keyring.activeDataKey("acme"))).toBeKmsError("KEY_UNUSABLE");
    expect(await thrownBy(() => keyring.dataKey("acme", keyId))).toBeKmsError("KEY_UNUSABLE");
    answers = true;
    expect((await perform(keyring, "disable", keyId)).state).toBe("DISABLED");
  });
});
