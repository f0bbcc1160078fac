/** An accepted loss, and the tenants' logs: those that lost entries end, the next batches begin others, and verifiers are told. */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type Place, place, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { run } from "../../support/cli-fixture.ts";
import { copiedRows } from "../../support/heads-fixture.ts";
import { digestIn } from "../../support/heads-process.ts";
import { thrownBy } from "../../support/matchers.ts";
import { postgresAvailable } from "../../support/postgres-cluster.ts";
import { type RunningService, startService } from "../../support/running-service.ts";
import { type SharedPostgres, sharedPostgres } from "../../support/shared-postgres.ts";

/** A store of some replicas, each with a place and a heads file of its own. */
interface World {
  replicas: Place[];
  /** The store as it is now, to be put back while no replica runs. */
  copied(): Promise<{ putBack(): Promise<void> }>;
}

let server: SharedPostgres | undefined;
beforeAll(async () => {
  if (postgresAvailable()) server = await sharedPostgres();
});
afterAll(() => server?.close());

function sqlite(): World {
  const where = sqlitePlace();
  const file = join(where.directory, "kms.db");
  return {
    replicas: [where],
    async copied() {
      const kept = join(directory(), "kms.db");
      cpSync(file, kept);
      return {
        async putBack() {
          for (const end of ["-wal", "-shm"]) rmSync(file + end, { force: true });
          cpSync(kept, file);
        },
      };
    },
  };
}

async function postgres(): Promise<World> {
  const url = await server!.createDatabase();
  const first = place(directory(), { name: "postgres", url, maxConnections: 2 });
  const replicas = ["a", "b", "c"].map((name) => {
    const { env, ...own } = place(first.directory, first.settings);
    const withHeads = { ...env, FLUO_KMS_AUDIT_HEADS_FILE: join(first.directory, `heads-${name}`) };
    const here = (...args: string[]) => run(args, { env: withHeads, cwd: first.directory });
    const json = async (...args: string[]) => {
      const { code, out } = await here(...args, "--json");
      return { code, answer: JSON.parse(out) };
    };
    return { ...own, env: withHeads, run: here, json };
  });
  return { replicas, copied: () => copiedRows(url) };
}

async function started({ env }: Place): Promise<RunningService> {
  const service = await startService(env);
  let stopping: Promise<void> | undefined;
  const stop = () => (stopping ??= service.stop());
  onTestFinished(stop);
  return { ...service, stop };
}

/** Signs spans with these numbers into the log of acme. Gives each with its evidence, a line of JSON. */
async function signed({ grpcPort }: RunningService, where: Place, numbers: readonly number[]): Promise<string> {
  const file = join(directory(), "spans.jsonl");
  writeFileSync(file, numbers.map((n) => `${JSON.stringify(exportOf(n))}\n`).join(""));
  const { code, out, err } = await where.run(
    "sign",
    "--tenant",
    "acme",
    "--mode",
    "log",
    "--grpc-address",
    `127.0.0.1:${grpcPort}`,
    file,
  );
  expect({ code, err }).toMatchObject({ code: 0 });
  return out;
}

function exportOf(n: number) {
  const id = (digits: number) => (n + 1).toString(16).padStart(digits, "0");
  const span = { traceId: id(32), spanId: id(16), name: "pay", startTimeUnixNano: "1", endTimeUnixNano: "2" };
  return { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] };
}

/** The root of each log at each size, in the checkpoints of proofs. Two of one would be a fork. */
function rootsIn(exports: readonly string[]): Map<string, Set<string>> {
  const roots = new Map<string, Set<string>>();
  for (const [, value] of exports.join("").matchAll(/"audit\.integrity\.value","value":\{"stringValue":"([^"]+)"/g)) {
    const proof = Buffer.from(value!, "base64").toString();
    const [origin, size, root] = proof.slice(proof.indexOf("\n\n") + 2).split("\n");
    const name = `${origin} ${size}`;
    roots.set(name, (roots.get(name) ?? new Set<string>()).add(root!));
  }
  return roots;
}

async function acceptEach(replicas: readonly Place[]): Promise<void> {
  for (const where of replicas) {
    const refused = (await thrownBy(() => startService(where.env))) as Error;
    expect(refused.message).toMatch(/log 1 of tenant acme had \d entries, and has 2/);
    const { code, out } = await where.run("accept-rollback", digestIn(refused.message));
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("lost: log 1 of tenant acme") });
  }
}

async function keysOf({ url }: RunningService): Promise<string> {
  return (await fetch(`${url}/api/kms/tenants/acme/jwks.json`)).text();
}

const worlds: [string, () => World | Promise<World>][] = [
  ["SQLite", sqlite],
  ...(postgresAvailable() ? [["three replicas on PostgreSQL", postgres] as [string, () => Promise<World>]] : []),
];

describe.each(worlds)("after a loss of %s was accepted", (_, make) => {
  it("a log that lost entries has ended, its tenant has another, and verify --log says so of both", async () => {
    const { replicas, copied } = await make();
    const [first] = replicas as [Place];
    const evidence: string[] = [];
    const sign = async (services: readonly RunningService[], numbers: readonly number[]) => {
      const parts = services.map((service, n) =>
        signed(
          service,
          first,
          numbers.filter((each) => each % services.length === n),
        ),
      );
      evidence.push(...(await Promise.all(parts)));
    };
    const during = async (work: (services: RunningService[]) => Promise<unknown>) => {
      const services: RunningService[] = [];
      for (const where of replicas) services.push(await started(where));
      await work(services);
      for (const { stop } of services) await stop();
    };
    await during((services) => sign(services.slice(0, 1), [0, 1]));
    const copy = await copied();
    await during((services) => sign(services, [2, 3, 4, 5, 6, 7]));
    await copy.putBack();
    await acceptEach(replicas);
    let keys = "";
    await during(async (services) => {
      for (let round = 1; round <= 3; round += 1)
        await sign(
          services,
          [10, 11, 12].map((n) => 10 * round + n),
        );
      keys = await keysOf(services.at(-1)!);
      const pages = await services[0]!.grpc.getPublicKeys({ tenantId: "acme", pageSize: 1 });
      expect(pages.endedLogs).toMatchObject([{ log: 1, size: 2n }]);
    });

    const roots = rootsIn(evidence);
    expect([...roots.values()].filter(({ size }) => size > 1)).toEqual([]);
    const origins = [...new Set([...roots.keys()].map((name) => name.split(" ")[0]!))];
    expect(origins).toHaveLength(2);
    const [ended, next] = origins as [string, string];
    expect(Number(next.slice(ended.length + 1))).toBeGreaterThan(2);
    expect(JSON.parse(keys).ended_logs).toMatchObject([{ log: 1, origin: ended, size: 2 }]);

    const files = directory({ "keys.json": keys, "spans.jsonl": evidence.join("") });
    const { code, out } = await first.run(
      ...["verify", "--log", "--any-order", "--keys", join(files, "keys.json"), join(files, "spans.jsonl")],
    );
    expect({ code, out }).toEqual({ code: 0, out: expect.any(String) });
    const why = "when a backup was restored, or a loss was accepted";
    const notChecked = (last: number) => [
      `  not checked, without a --checkpoint: whether the log was cut off behind entry ${last}, or written anew`,
      "  not checked, with --any-order: the order of the spans",
    ];
    expect(out.split("\n")).toEqual([
      `log ${ended}, entries 0 to 7: 8 spans`,
      `  it ended at 2 entries ${why}; entries 2 to 7, which are in a checkpoint here, are lost to the service`,
      ...notChecked(7),
      "  no problems",
      `log ${next}, entries 0 to 8: 9 spans`,
      `  it follows ${ended}, which ended at 2 entries ${why}`,
      ...notChecked(8),
      "  no problems",
      expect.stringMatching(/^The following checks were performed: .*rewritten\.$/),
      expect.stringMatching(/^Not shown: .*; whether the log was cut off or written anew; whose the keys are\.$/),
      "",
    ]);
    for (const where of replicas) {
      expect((await where.json("check")).answer.problems).toEqual([]);
    }
  });
});
