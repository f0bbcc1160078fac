import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, it } from "vitest";
import type { KeyRecord } from "../../../src/store/key-record.ts";
import { recordContext } from "../../../src/keys/states.ts";
import type { StateAction } from "../../../src/store/audit-store.ts";
import { directory } from "../../support/config-fixture.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";
import { run } from "../../support/cli-fixture.ts";
import { inStore, liveIn, type Place, place, sql, sqlitePlace, placesOn } from "../../support/cli-store-fixture.ts";
import { fromNow } from "../../support/from-now.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

type Keys = Record<string, KeyRecord>;

/** The problems that are found after `change`, of which the one of `kind`. */
async function problemsAfter(change: (where: Place, keys: Keys) => Promise<unknown>, where = sqlitePlace()) {
  const keys = await liveIn(where);
  await change(where, keys);
  const { code, answer } = await where.json("check");
  expect(code).toBe(answer.ok ? 0 : 1);
  const { problems } = answer;
  return { keys, problems, of: (kind: string) => problems.filter((problem) => problem.kind === kind) };
}

/** Puts a whole row back as it was, which no HMAC shows. */
async function putBack(where: Place, keyId: string, change: () => Promise<unknown>): Promise<void> {
  const [row] = await sql(where, "select * from kms_keys where key_id = ?1", keyId);
  await change();
  await sql(where, "delete from kms_keys where key_id = ?1", keyId);
  const places = Object.keys(row!).map((_, index) => `?${index + 1}`);
  await sql(where, `insert into kms_keys values (${places.join(", ")})`, ...Object.values(row!));
}

/** A change of the record with its audit row, as only the service can write it. */
async function rewrite(where: Place, present: KeyRecord, next: Partial<KeyRecord>, action: StateAction = "enable") {
  const by = { action, at: new Date(), actor: "ann", requestId: "" };
  await inStore(where, ({ store }) => store.update(present, { ...present, ...next }, by));
}

const request = (key: KeyRecord) => ({
  tenantId: key.tenantId,
  keyId: key.keyId,
  by: { actor: "ann", requestId: "" },
});

describe("check", () => {
  it.each(placesOn(() => server))(
    "finds nothing in a %s store with keys in every state, and leaves no trace",
    async (name, make) => {
      const where = await make();
      const keys = await liveIn(where);
      const before = await sql(where, "select count(*) as count from kms_audit");
      const { code, out, err } = await where.run("check");
      expect({ code, err }).toEqual({ code: 0, err: "" });
      const answer = JSON.parse(out); // the output is no terminal
      expect(answer).toMatchObject({ ok: true, store: name, problems: [] });
      expect(answer.keys.data).toMatchObject({
        DISABLED: 1,
        COMPROMISED: 1,
        DESTROY_SCHEDULED: 1,
        DESTROYED: 1,
        PENDING: 1,
      });
      expect(answer.keys.signing).toEqual({ ACTIVE: Object.keys(keys).length });
      expect(answer.audit.heads).toEqual([
        { writer_id: expect.stringMatching(/^[0-9a-f]{32}$/), sequence: answer.audit.events, mac: expect.any(String) },
      ]);
      expect(await sql(where, "select count(*) as count from kms_audit")).toEqual(before);
    },
  );

  it("prints for people on a terminal", async () => {
    const where = sqlitePlace();
    const { active } = await liveIn(where);
    await rewrite(where, active!, { wrapped: randomBytes(60) });
    const terminal = "--import=data:text/javascript,Object.assign(process.stdout,{isTTY:true,getColorDepth:()=>1})";
    const { code, out } = await run(["check"], { env: { ...where.env, NODE_OPTIONS: terminal }, cwd: where.directory });
    expect(code).toBe(1);
    expect(out).toMatch(/^store +sqlite [0-9a-f]{32}$/m);
    expect(out).toMatch(/^data keys +1 PENDING, 4 ACTIVE, /m);
    expect(out).toMatch(/^opened +15 keys$/m);
    expect(out).toMatch(
      new RegExp(`^problem: unwrap: tenant active, data, key ${active!.keyId}: key .* cannot be opened`, "m"),
    );
    expect(out).toMatch(/^1 problem$/m);
  });

  it("opens every key but the destroyed one", async () => {
    const where = sqlitePlace();
    await liveIn(where);
    const [row] = await sql(where, "select count(*) as count from kms_keys where state <> 'DESTROYED'");
    const { answer } = await where.json("check");
    expect(answer.opened).toBe(Number(row!.count));
  });
});

describe("check names", () => {
  it("a record that was altered, in whatever column", async () => {
    for (const change of ["state = 'ACTIVE'", "tenant_id = 'mallory'", "destroy_at = 9223372036854775807"]) {
      const { keys, of } = await problemsAfter((where, { disabled }) =>
        sql(where, `update kms_keys set ${change} where key_id = ?1`, disabled!.keyId),
      );
      expect(of("record_altered"), change).toEqual([
        expect.objectContaining({ key_id: keys.disabled!.keyId, purpose: "data" }),
      ]);
    }
  });

  it("a record that the provider does not open", async () => {
    const { keys, problems } = await problemsAfter((where, { active }) =>
      rewrite(where, active!, { wrapped: randomBytes(60) }),
    );
    const { keyId } = keys.active!;
    expect(problems).toEqual([
      { kind: "unwrap", tenant_id: "active", purpose: "data", key_id: keyId, what: expect.stringContaining(keyId) },
    ]);
  });

  it("a record that another provider key wrapped", async () => {
    const { problems } = await problemsAfter((where, { active }) =>
      rewrite(where, active!, { providerKeyId: "local:00" }),
    );
    expect(problems).toEqual([
      expect.objectContaining({ kind: "unwrap", what: expect.stringContaining("is under local local:00") }),
    ]);
  });

  it("a signing key with the public key of another", async () => {
    const { problems } = await problemsAfter((where) =>
      inStore(where, async ({ store, provider }) => {
        const active = (await store.active("active", "signing"))!;
        const wrapped = await provider.encrypt(randomBytes(32), recordContext(active));
        await store.update(
          active,
          { ...active, wrapped },
          { action: "enable", at: new Date(), actor: "", requestId: "" },
        );
      }),
    );
    expect(problems).toEqual([expect.objectContaining({ kind: "unwrap", tenant_id: "active", purpose: "signing" })]);
  });

  it("a destroyed key whose wrapped form is still there", async () => {
    const { problems } = await problemsAfter((where, { overdue }) =>
      rewrite(where, overdue!, { state: "DESTROYED" }, "destroy"),
    );
    expect(problems).toEqual([expect.objectContaining({ kind: "not_destroyed", tenant_id: "overdue" })]);
  });

  it("a record that is gone, and its version", async () => {
    const { keys, problems } = await problemsAfter((where, { retired }) =>
      sql(where, "delete from kms_keys where key_id = ?1", retired!.keyId),
    );
    expect(problems).toEqual([
      expect.objectContaining({ kind: "record_missing", tenant_id: "retired", key_id: keys.retired!.keyId }),
      expect.objectContaining({ kind: "versions", what: "version 1 of the data key is missing" }),
    ]);
  });

  it("a disabled key that was put back as it was before", async () => {
    const { problems } = await problemsAfter((where, { active }) =>
      putBack(where, active!.keyId, () => inStore(where, ({ keyring }) => keyring.disable(request(active!)))),
    );
    expect(problems).toEqual([
      expect.objectContaining({
        kind: "state",
        tenant_id: "active",
        what: "the record is ACTIVE, and its audit rows lead to DISABLED",
      }),
    ]);
  });

  it("a destroyed key that was put back as it was before it was marked as compromised", async () => {
    const { problems } = await problemsAfter((where, { destroyed }) =>
      putBack(where, destroyed!.keyId, () =>
        inStore(where, ({ keyring }) => keyring.markCompromised(request(destroyed!))),
      ),
    );
    expect(problems).toEqual([
      expect.objectContaining({
        kind: "state",
        tenant_id: "destroyed",
        what: "an audit row marked the key as compromised, and the record does not say so",
      }),
    ]);
  });

  it("a key that was put back, with the rows of two writers in the order that leads to it", async () => {
    const { of } = await problemsAfter(async (where, { active }) => {
      const { keyId } = active!;
      await inStore(where, ({ keyring }) => keyring.disable(request(active!)));
      await putBack(where, keyId, () =>
        inStore(
          where,
          ({ keyring }) => keyring.enable(request(active!)),
          () => fromNow(120_000),
        ),
      );
      await sql(where, "update kms_audit set id = id + 1000000 where key_id = ?1 and action = 'disable'", keyId);
    });
    expect(of("audit_trail")).toEqual([
      expect.objectContaining({ what: expect.stringContaining("by their times, and to DISABLED by their ids") }),
    ]);
  });

  it("rows of two writers whose times contradict their order, though both lead to one state", async () => {
    const { problems } = await problemsAfter(async (where, { active }) => {
      await inStore(where, ({ keyring }) => keyring.scheduleDestruction({ ...request(active!), days: 7 }));
      const behind = () => fromNow(-120_000);
      await inStore(where, ({ keyring }) => keyring.markCompromised(request(active!)), behind);
    });
    expect(problems).toEqual([
      expect.objectContaining({ kind: "audit_trail", what: expect.stringContaining("another order than their times") }),
    ]);
  });

  it("two active keys, where the index that forbids them was dropped", async () => {
    const { of } = await problemsAfter(async (where, { active }) => {
      await sql(where, "drop index kms_keys_active");
      await putBack(where, active!.keyId, () =>
        inStore(where, ({ keyring }) => keyring.rotate({ tenantId: "active", force: true })),
      );
    });
    expect(of("several_active")).toEqual([
      expect.objectContaining({ tenant_id: "active", what: "2 data keys are ACTIVE" }),
    ]);
    expect(of("state")).toHaveLength(1);
  });

  it("a key whose creation was taken from the trail", async () => {
    const { keys, of } = await problemsAfter((where, { active }) =>
      sql(where, "delete from kms_audit where key_id = ?1", active!.keyId),
    );
    expect(of("record_unknown")).toEqual([expect.objectContaining({ key_id: keys.active!.keyId })]);
    expect(of("audit_trail")).toEqual([
      expect.objectContaining({ what: expect.stringMatching(/row \d+ is missing$/) }),
    ]);
  });

  it.each([
    ["an altered audit row", "update kms_audit set actor = 'bob' where sequence = 4", /row 4 was altered$/],
    ["a cut tail", "delete from kms_audit where sequence > 20", /rows 21 to \d+ are missing: the tail was cut$/],
    ["a missing writer", "delete from kms_audit_writers", /the head of this writer is missing|heads are here$/],
    ["rows in another order", "update kms_audit set id = -id where action = 'enable'", /rows are out of order$/],
  ])("%s", async (_, statement, expected) => {
    const { of } = await problemsAfter((where) => sql(where, statement));
    expect(of("audit_trail").map(({ what }) => what)).toContainEqual(expect.stringMatching(expected));
  });

  it.each([
    ["request_altered", "update kms_requests set digest = 'x'", "the remembered request once was altered"],
    ["lease_altered", "update kms_leases set generation = 0", "the lease rotation/2 was altered"],
    [
      "time_altered",
      "update kms_time set witnessed = witnessed + 1",
      "the witnessed time was altered: no key is destroyed until it is restored",
    ],
    ["time_missing", "delete from kms_time", "the witnessed time is gone: no key is destroyed until it is restored"],
  ])("%s", async (kind, statement, what) => {
    const { problems } = await problemsAfter((where) => sql(where, statement));
    expect(problems).toEqual([expect.objectContaining({ kind, what })]);
  });

  it("the same in PostgreSQL", async () => {
    const where = place(directory(), { name: "postgres", url: await server.createDatabase(), maxConnections: 2 });
    const { keys, of, problems } = await problemsAfter(async (_, { active, disabled, retired }) => {
      await sql(where, "update kms_keys set state = 'RETIRED' where key_id = ?1", disabled!.keyId);
      await sql(where, "delete from kms_keys where key_id = ?1", retired!.keyId);
      await rewrite(where, active!, { wrapped: randomBytes(60) });
    }, where);
    expect(of("record_altered")[0]?.key_id).toBe(keys.disabled!.keyId);
    expect(of("record_missing")[0]?.key_id).toBe(keys.retired!.keyId);
    expect(of("unwrap")[0]?.key_id).toBe(keys.active!.keyId);
    expect(problems).toHaveLength(4); // and the missing version
  });
});
