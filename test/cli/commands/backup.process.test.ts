/** What only processes show of `backup`: that it is consistent beside a service, and what is left of one that is killed. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { postRpc } from "../../support/api-fixture.ts";
import { resultOf, start } from "../../support/cli-fixture.ts";
import { liveIn, type Place, placesOn, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { turn } from "../../support/keys-fixture.ts";
import { startProcess } from "../../support/service-process.ts";
import { sharedPostgres } from "../../support/shared-postgres.ts";

const server = await sharedPostgres();
afterAll(() => server.close());

const kinds = placesOn(() => server);

const backupOf = (where: Place, name: string) => where.with({ name: "sqlite", file: join(where.directory, name) });

describe.each(kinds)("backup of a %s store", (_, make) => {
  it("is consistent while a service makes keys", async () => {
    const from = await make();
    const service = await startProcess(from.env);
    let [began, made] = [0, 0];
    let isOver = false;
    const makeKeys = async () => {
      while (!isOver) {
        began += 1;
        expect((await postRpc(service.http, "GenerateDataKey", { tenantId: `t${began}` })).status).toBe(200);
        made += 1;
      }
    };
    const making = Promise.all([makeKeys(), makeKeys(), makeKeys(), makeKeys()]);
    const counts: number[] = [];
    for (const name of ["b1.db", "b2.db", "b3.db"]) {
      const before = made;
      while (made === before) await Promise.race([turn(), making]);
      const { code, answer } = await from.json("backup", name);
      expect(code).toBe(0);
      counts.push(answer.keys.data.ACTIVE!);
      expect((await backupOf(from, name).json("check")).answer).toMatchObject({
        ok: true,
        keys: { data: { ACTIVE: answer.keys.data.ACTIVE } },
      });
      expect((await from.json("check")).answer).toMatchObject({ ok: true });
    }
    isOver = true;
    await making;
    expect(counts[2]).toBeGreaterThan(counts[0]!);
    expect(counts[2]).toBeLessThanOrEqual(began);
    service.child.kill("SIGTERM");
    expect((await service.ended).code).toBe(0);
  });
});

it("a backup that is killed leaves nothing under its name, or all of it", async () => {
  const from = sqlitePlace();
  await liveIn(from);
  for (let tries = 0; tries < 3; tries += 1) {
    const name = `b${tries}.db`;
    const command = start(["backup", name], { env: from.env, cwd: from.directory });
    const ended = resultOf(command);
    // Killed while its draft is there, unless it was faster than this looks.
    const isDraft = (file: string) => file.startsWith(`.${name}`);
    while (command.exitCode === null && !readdirSync(from.directory).some(isDraft)) await turn();
    command.kill("SIGKILL");
    await ended;
    if (readdirSync(from.directory).includes(name)) expect((await backupOf(from, name).run("check")).code).toBe(0);
    else expect((await from.run("backup", name)).code).toBe(0);
  }
});
