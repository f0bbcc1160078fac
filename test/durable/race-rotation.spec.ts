/** Replicas on one PostgreSQL want the same thing at the same moment: one of them gets it, and the others learn what it made. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { purposes } from "../../src/store/key-record.ts";
import type { Store } from "../../src/store/store.ts";
import { fromNow } from "../support/from-now.ts";
import { firstOfEach, isShort } from "../support/short.ts";
import { newMasterKeyFile, type Observer, openObserver, type Replica, startReplica } from "./replicas.ts";
import { serverOfFile } from "./services.ts";

const server = await serverOfFile();
const trials = Number(process.env.RACE_TRIALS ?? (isShort ? 1 : 50));
const replicaCount = isShort ? 3 : 10;
/** That are called for the first time at once. */
const newcomers = isShort ? 20 : 200;
const maxConnections = 4;

describe.skipIf(server === undefined)(`${replicaCount} replicas on one PostgreSQL`, () => {
  let observer: Observer;
  let replicas: Replica[];

  beforeAll(async () => {
    const store = { name: "postgres", url: await server!.createDatabase(), maxConnections } as const;
    const masterKeyFile = newMasterKeyFile();
    observer = await openObserver(store, masterKeyFile);
    replicas = Array.from({ length: replicaCount }, () => startReplica({ store, masterKeyFile }));
    await Promise.all(replicas.map((replica) => replica.ask("activations")));
  });

  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.end()));
    await observer.close();
  });

  const all = <T>(work: (replica: Replica) => Promise<T>) => Promise.all(replicas.map(work));

  /** All of them go on from before this call of the store at once; without one they begin at once. */
  async function together<T>(work: (replica: Replica) => Promise<T>, from?: keyof Store): Promise<T[]> {
    if (from === undefined) return all(work);
    await all((replica) => replica.ask("hold", from));
    const working = all(work);
    await all((replica) => replica.held());
    await all((replica) => replica.ask("release"));
    return working;
  }

  describe.each(firstOfEach(purposes))("that rotate one tenant's %s key at once", (purpose) => {
    const tenantId = `rotated-${purpose}`;
    const request = { tenantId, purposes: [purpose], force: true };
    /** From all of them have read which key is ACTIVE, and none has replaced it yet. */
    const afterReading: (keyof Store)[] = ["insertPending", "get", "activate"];
    const rounds = Math.ceil(trials / 4);
    const counts = { rounds: 0, won: 0, conflicts: 0, answeredAlike: 0 };

    beforeAll(() => observer.createKeys([tenantId], purpose));
    afterAll(() => console.log(`${purpose} keys rotated by ${replicaCount} replicas at once:`, counts));
    afterEach(() => observer.expectClean());

    it.each(pick(afterReading, rounds))(
      "have one winner and others that are told so (%i, together from %s)",
      async (_, from) => {
        const before = await observer.versions(tenantId, purpose);

        const results = await together((replica) => replica.ask("rotate", request), from);

        const after = await observer.versions(tenantId, purpose);
        const present = after.at(-1)!;
        expect(after).toHaveLength(before.length + 1);
        const retiredKeyId = before.at(-1)!.keyId;
        const won = { tenantId, purpose, retiredKeyId, keyId: present.keyId, version: present.version };
        expect(results.flatMap(({ rotated }) => rotated)).toEqual([won]);
        const failures = results.flatMap(({ failed }) => failed);
        expect(failures).toHaveLength(replicaCount - 1);
        for (const { error } of failures) expect(error).toMatch(/^CONFLICT: /);
        expect(results.flatMap(({ skipped }) => skipped)).toEqual([]);
        counts.rounds += 1;
        counts.won += 1;
        counts.conflicts += failures.length;
      },
    );

    const anywhere = [undefined, "request", "active", ...afterReading] as const;
    it.each(pick(anywhere, rounds))("give one answer to one request id (%i, together from %s)", async (round, from) => {
      const before = await observer.versions(tenantId, purpose);
      const requestId = `round-${round}`;

      const results = await together((replica) => replica.ask("rotate", { ...request, requestId }), from);

      const after = await observer.versions(tenantId, purpose);
      const { keyId, version } = after.at(-1)!;
      expect(after).toHaveLength(before.length + 1);
      const rotated = { tenantId, purpose, retiredKeyId: before.at(-1)!.keyId, keyId, version };
      for (const result of results)
        expect(result).toEqual({ rotated: [rotated], skipped: [], failed: [], remaining: 0 });
      counts.rounds += 1;
      counts.won += 1;
      counts.answeredAlike += results.length - 1;
    });

    it.each(firstOfEach(["request", "active", ...afterReading] as const))(
      "answer one that is late with the key made for its request id (before %s)",
      async (from) => {
        const before = await observer.versions(tenantId, purpose);
        const same = { ...request, requestId: `late-${from}` };
        const [late, winner] = replicas as [Replica, Replica];
        await late.ask("hold", from);
        const lateAnswer = late.ask("rotate", same);
        await late.held();

        const answer = await winner.ask("rotate", same);
        await late.ask("release");

        expect(await lateAnswer).toEqual(answer);
        expect(await observer.versions(tenantId, purpose)).toHaveLength(before.length + 1);
      },
    );

    it.each(pick([undefined], Math.ceil(trials / 10)))(
      "make a chain of versions, one a winner, where one that is late may win too (%i)",
      async () => {
        const before = await observer.versions(tenantId, purpose);

        const results = await together((replica) => replica.ask("rotate", request));

        const added = (await observer.versions(tenantId, purpose)).slice(before.length);
        const winners = results.flatMap(({ rotated }) => rotated).sort((a, b) => a.version - b.version);
        expect(winners.map(({ keyId }) => keyId)).toEqual(added.map(({ keyId }) => keyId));
        const retired = [before.at(-1)!, ...added.slice(0, -1)].map(({ keyId }) => keyId);
        expect(winners.map(({ retiredKeyId }) => retiredKeyId)).toEqual(retired);
        const failures = results.flatMap(({ failed }) => failed);
        expect(winners.length + failures.length).toBe(replicaCount);
        counts.rounds += 1;
        counts.won += winners.length;
        counts.conflicts += failures.length;
        for (const { error } of failures) expect(error).toMatch(/^CONFLICT: /);
      },
    );
  });

  it.each(firstOfEach(purposes))(
    `use one %s key a tenant after first calls for ${newcomers} tenants at once`,
    async (purpose) => {
      const tenantIds = Array.from({ length: newcomers }, (_, index) => `new-${purpose}-${index}`);

      const answers = await together((replica) => replica.ask("activeKeys", tenantIds, purpose));

      const retries = answers.reduce((sum, answer) => sum + answer.retries, 0);
      // A replica that waited too long for a connection may also have had none to clean up with; the service does that 10 minutes later.
      const left = retries > 0 ? await observer.store.deletePendingBefore(fromNow(60_000)) : 0;
      console.log(
        `first calls, ${purpose}: ${replicaCount} replicas, ${tenantIds.length} tenants, ${retries} calls retried, ${left} PENDING left by those`,
      );
      const [first, ...others] = answers.map(({ keyIds }) => keyIds);
      for (const other of others) expect(other).toEqual(first);
      const stored = await Promise.all(tenantIds.map((tenantId) => observer.versions(tenantId, purpose)));
      expect(stored.map((records) => records.map(({ keyId }) => keyId))).toEqual(first!.map((keyId) => [keyId]));
      await observer.expectClean();
    },
  );
});

/** `count` of these in turn, numbered. */
function pick<T>(values: readonly T[], count: number): [round: number, value: T][] {
  return Array.from({ length: count }, (_, index) => [index + 1, values[index % values.length]!]);
}
