/** A PostgreSQL store that is put back for real, as an operator meets it: while nothing runs, and under a service. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { type Place, place } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { digestIn, refusedStart, type ServedHere, serveHere } from "../../support/heads-process.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { type PostgresServer, startPostgres } from "../../support/postgres-server.ts";
import { failureOf } from "../../support/running-service.ts";

interface Copy {
  putBack(): void | Promise<void>;
}

/** `pg_dump` and `psql` dump no server that is newer than they are, so the whole PostgreSQL is one installation. */
const needed = ["initdb", "postgres", "pg_dump", "psql"];

const programs = installedPostgres();

const ways: [name: string, isThere: boolean, programs: string | undefined, copied: CopyOf][] = [
  ["a copy of its data directory", postgresAvailable(), undefined, (server) => server.copied()],
  ["a dump", programs !== undefined, programs, async (_server, url) => dumped(programs!, url)],
];
type CopyOf = (server: PostgresServer, url: string) => Promise<Copy>;

for (const [name, isThere, installed, copyOf] of ways) {
  describe.runIf(isThere)(`a PostgreSQL store that is put back from ${name}`, () => {
    let server: PostgresServer;
    let where: Place;
    let copied: () => Promise<Copy>;
    beforeAll(async () => {
      server = await startPostgres({ programs: installed });
    });
    afterAll(() => server.close());

    async function begin(): Promise<void> {
      const [path, url] = [directory(), await server.createDatabase()];
      where = place(path, { name: "postgres", url, maxConnections: 4 });
      where.env.FLUO_KMS_AUDIT_HEADS_FILE = join(path, "heads");
      copied = () => copyOf(server, url);
    }

    const started = () => serveHere(where);
    const key = ({ client }: ServedHere, tenantId: string) => client.generateDataKey({ tenantId });
    const statusOf = async ({ client }: ServedHere) => client.status({});
    const readiness = async ({ http }: ServedHere) => (await fetch(`${http}/q/health/ready`)).status;

    /** Until the heads file has all that was written before. */
    async function noted(service: ServedHere): Promise<void> {
      const writtenAt = async () => (await statusOf(service)).heads?.writtenAt;
      const before = await writtenAt();
      await expect.poll(writtenAt).not.toEqual(before);
    }

    it("is refused by the next start, and used once that is accepted, by its digest alone", async () => {
      await begin();
      const first = await started();
      await key(first, "acme");
      await first.end();
      const copy = await copied();
      const second = await started();
      await key(second, "globex");
      await second.end();
      await copy.putBack();
      const said = await refusedStart(where);
      expect(said).toContain("did not start: the store is behind what");
      expect(said).toMatch(/data key [0-9a-f]{32} of tenant globex, version 1, was ACTIVE, and is gone/);
      expect(digestIn(await refusedStart(where))).toBe(digestIn(said));
      expect((await where.json("check")).answer.problems).toMatchObject([{ kind: "rollback" }]);
      const wrong = await where.run("accept-rollback", "0".repeat(64));
      expect(wrong).toMatchObject({ code: 1, err: expect.stringContaining(digestIn(said)) });
      const accepted = await where.run("accept-rollback", digestIn(said));
      expect(accepted).toMatchObject({ code: 0, out: expect.stringContaining("of tenant globex") });
      expect((await where.run("accept-rollback", digestIn(said))).err).toContain("there is nothing to accept");
      const third = await started();
      expect((await statusOf(third)).heads?.problem).toBe("");
      await key(third, "initech");
      await third.end();

      await copy.putBack();
      const next = await refusedStart(where);
      expect(next).toContain("initech");
      expect((await where.run("accept-rollback", digestIn(said))).code).toBe(1);
      expect((await where.run("accept-rollback", digestIn(next))).code).toBe(0);
    });

    it("under a service makes that not ready, until AcceptRollback, which it serves", async () => {
      await begin();
      const service = await started();
      await key(service, "acme");
      await noted(service);
      const copy = await copied();
      // A copy of the directory needs the server stopped for a while: no use could be audited.
      const isUsed = () => key(service, "globex").then(Boolean, () => false);
      await expect.poll(isUsed).toBe(true);
      await noted(service);
      await copy.putBack();
      const problem = async () => (await statusOf(service)).heads?.problem;
      await expect.poll(problem).toContain("accept-rollback");
      expect(await readiness(service)).toBe(503);
      const { status, notices } = await statusOf(service);
      expect(status).toBe(Health.DOWN);
      const digest = digestIn(notices.join());
      expect(await failureOf(service.client.admin.acceptRollback({ digest: "0".repeat(64) }))).toMatchObject({
        reason: "INVALID_ARGUMENT",
        fields: ["digest"],
      });
      await service.client.admin.acceptRollback({ digest, requestId: "r1" });
      await expect.poll(() => readiness(service)).toBe(200);
      const again = await failureOf(service.client.admin.acceptRollback({ digest }));
      expect(again).toMatchObject({ reason: "INVALID_ARGUMENT", fields: ["digest"] });
      const { events } = await service.client.admin.listAuditEvents({ pageSize: 1000 });
      expect(events.filter(({ requestId }) => requestId === "r1")).toMatchObject([
        { action: "accept_rollback", outcome: "OK", detail: expect.stringContaining(digest) },
      ]);
      await key(service, "globex");
      await service.end();
      await (await started()).end();
    });
  });
}

/** The directory of its programs; undefined where there is none. */
function installedPostgres(): string | undefined {
  const { status, stdout } = spawnSync("pg_config", ["--bindir"], { encoding: "utf8" });
  const programs = status === 0 ? stdout.trim() : undefined;
  return programs !== undefined && needed.every((name) => existsSync(join(programs, name))) ? programs : undefined;
}

/** A dump of a database, which may be put back while services are connected. */
function dumped(programs: string, url: string): { putBack(): void } {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-dump-")), "kms.sql");
  const run = (name: string, ...args: string[]) => execFileSync(join(programs, name), args, { stdio: "pipe" });
  run("pg_dump", "--clean", "--if-exists", `--file=${file}`, url);
  return {
    putBack: () => void run("psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-1", `--file=${file}`, url),
  };
}
