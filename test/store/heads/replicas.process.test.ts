/** Heads files of replicas with one PostgreSQL: what each notes of the others, and what it tells while the store goes on. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { type HeadsWorld, newestOf, postgresWorld, type Run, use } from "../../support/heads-fixture.ts";
import { digestIn } from "../../support/heads-process.ts";
import { grown, newLog } from "../../support/log-store-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres-server.ts";
import { addKey, keptRow } from "../../support/store-fixture.ts";

const by = { actor: "ann", requestId: "" };

describe.runIf(postgresAvailable())("the heads file of a replica", () => {
  let server: PostgresServer;
  let world: HeadsWorld;
  let other: { file: string; lock: string; intervalMs?: number };
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server.close());
  beforeEach(async () => {
    world = await postgresWorld(server);
    const file = `${world.place.file}-2`;
    other = { file, lock: `${file}.lock` };
  });

  const refusal = async () => (await thrownBy(() => world.start())) as KmsError;

  const written = () => newestOf(world.place.file);
  const notes = (tenant: string) =>
    expect.poll(() => written().keys).toContainEqual(expect.objectContaining({ tenant_id: tenant }));
  const problemOf = (run: Run) => expect.poll(() => run.heads.status().problem);

  it("has what the others wrote, so that one that wrote nothing itself finds what is gone", async () => {
    const [quiet, busy] = [await world.start({ intervalMs: 5 }), await world.start(other)];
    await addKey(busy.store);
    const copy = await world.copied();
    await busy.store.appendAudit([use()]);
    const { writerId } = (await busy.store.auditHead())!;
    await expect
      .poll(() => written().writers)
      .toContainEqual(expect.objectContaining({ writer_id: writerId, sequence: 2 }));
    await quiet.end();
    await busy.end();
    await copy.putBack();
    const { code, message } = await refusal();
    expect(code).toBe("ROLLBACK_SUSPECTED");
    expect(message).toContain(`audit writer ${writerId} had written row 2, and its newest is 1`);
  });

  it("misses a writer that ended and is gone whole, with the row that counted it", async () => {
    const quiet = await world.start({ intervalMs: 5 });
    await quiet.store.appendAudit([use()]);
    const early = await keptRow(world, "kms_store");
    const ended = await world.start(other);
    await ended.store.appendAudit([use()]);
    const { writerId } = (await ended.store.auditHead())!;
    await ended.end();
    await expect.poll(() => written().writers_counted).toBe(2);
    await quiet.end();
    for (const table of ["kms_audit", "kms_audit_writers"]) {
      await world.sql(`delete from ${table} where writer_id = ?1`, writerId);
    }
    await early.putBack();
    const store = await world.unlocked();
    expect((await store.verifyAudit(undefined, 100)).problems).toEqual([]);
    await store.close();
    const { message } = await refusal();
    expect(message).toContain("it had counted 2 audit writers, and has counted 1");
    expect(message).toContain(`audit writer ${writerId} had written row 1, and its newest is 0`);
  });

  it("has one digest for a store that others go on with", async () => {
    const run = await world.start();
    await run.store.createLog(newLog());
    await run.store.appendAudit([use()]);
    const copy = await world.copied();
    await run.store.appendLog(grown(newLog(), 300));
    await run.store.appendAudit([use()]);
    await run.end();
    await copy.putBack();
    const digest = digestIn((await refusal()).message);
    const store = await world.unlocked();
    await store.appendLog(grown(newLog(), 2));
    await store.appendAudit([use()]);
    await store.close();
    const { message } = await refusal();
    expect(message).toContain("log 1 of tenant acme had 300 entries, and has 2");
    expect(digestIn(message)).toBe(digest);
  });

  it("tells anew where the store is put back once more, and accepts nothing by the digest before", async () => {
    const first = await world.start();
    await addKey(first.store);
    const oldest = await world.copied();
    await addKey(first.store, { tenantId: "globex" });
    const older = await world.copied();
    await addKey(first.store, { tenantId: "initech" });
    await first.end();
    const run = await world.start(); // it looks when it is to accept something, and not before
    const refuses = async (digest: string) =>
      expect(await thrownBy(() => run.heads.accept(digest, by))).toBeKmsError("INVALID_ARGUMENT", "digest");
    await older.putBack();
    await refuses("0".repeat(64));
    const { problem } = run.heads.status();
    expect(problem).toContain("of tenant initech, version 1");
    expect(problem).not.toContain("globex");
    await oldest.putBack();
    await refuses(digestIn(problem));
    const next = run.heads.status().problem;
    expect(next).toContain("of tenant globex, version 1");
    await run.heads.accept(digestIn(next), by);
    expect(run.heads.problems()).toEqual([]);
    await run.store.appendAudit([use()]);
    await run.end();
    await (await world.start()).end();
  });

  it("is content again where the newer store is put back under the service", async () => {
    const run = await world.start({ intervalMs: 5 });
    await addKey(run.store);
    const older = await world.copied();
    await addKey(run.store, { tenantId: "globex" });
    await notes("globex");
    const newest = await world.copied();
    await older.putBack();
    await problemOf(run).toContain("globex");
    const { problem } = run.heads.status();
    await newest.putBack();
    await problemOf(run).toBe("");
    expect(run.heads.problems()).toEqual([]);
    const late = await thrownBy(() => run.heads.accept(digestIn(problem), by));
    expect(late).toBeKmsError("INVALID_ARGUMENT", "digest");
    await addKey(run.store, { tenantId: "initech" });
    await notes("initech");
    await run.end();
    await (await world.start()).end();
  });

  it("takes a standby that lags behind for no store that was put back, but for one that is away", async () => {
    const run = await world.start({ intervalMs: 5 });
    const goesOn = () =>
      expect
        .poll(() =>
          run.store.appendAudit([use()]).then(
            () => true,
            () => false, // its connections ended with the server
          ),
        )
        .toBe(true);
    await goesOn();
    const early = await server.copied();
    await goesOn();
    await expect.poll(() => Math.max(...written().writers.map(({ sequence }) => sequence))).toBeGreaterThan(1);
    const newest = await server.copied();
    await early.putBack("standby");
    const answer = async () => String(await thrownBy(() => run.heads.accept("0".repeat(64), by)));
    await expect.poll(answer).toContain("the PostgreSQL server is a standby");
    expect(run.heads.problems()).toEqual([]);
    await newest.putBack();
    await goesOn();
    await run.end();
    expect(run.log).toEqual([]);
  });
});
