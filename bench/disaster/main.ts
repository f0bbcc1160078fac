/**
 * What is lost in each disaster of docs/runbooks/disaster-recovery.md, and how long it takes until calls are answered again once somebody
 * begins; and what calls notice of a backup. The service runs as a process, on SQLite, with an AWS KMS of two Regions that is a fake.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { backUpInProcess } from "../../src/backup/process.ts";
import { type AwsKmsFake, type FakeKey, startAwsKms } from "../../test/fakes/aws-kms.ts";
import { aligned } from "../figures.ts";
import { temporaryDirectory } from "../temporary.ts";
import { command, type Env, type HandedOut, handOut, opens, serve, type Served, timeUntil } from "./service.ts";

export interface Disaster {
  name: string;
  /** What of it was acknowledged and is lost. */
  lost: string;
  /** Milliseconds from the first command to the first answer; undefined for never. */
  backMs: number | undefined;
}

export interface Latency {
  calls: number;
  p50Ms: number;
  p99Ms: number;
}

export interface DisasterResults {
  keys: number;
  backup: { ms: number; bytes: number; memoryBytes: number; alone: Latency; beside: Latency };
  disasters: Disaster[];
}

interface World {
  env: Env;
  directory: string;
  file: string;
  regions: [AwsKmsFake, AwsKmsFake];
  keys: [FakeKey, FakeKey];
}

const keys = Number(process.env.BENCH_DISASTER_KEYS ?? 10_000);
const besideMs = 15_000;
const atOnce = 16;

export async function disaster(): Promise<DisasterResults> {
  const world = await newWorld();
  const served = await serve(world.env);
  const first = await handOutMany(served.http, "first", keys);
  const backup = await measureBackup(world, served, first);
  const disasters = [await regionLost(world, served), await deletionScheduled(world, served, first[0]!)];
  disasters.push(await storeLost(world, served, first));
  disasters.push(...(await putBack(world)), await wrongRestore(world), await providerKeyLost(world));
  await Promise.all(world.regions.map((each) => each.close()));
  const results = { keys, backup, disasters };
  print(results);
  return results;
}

async function newWorld(): Promise<World> {
  const directory = temporaryDirectory();
  const regions: World["regions"] = [
    await startAwsKms({ region: "eu-central-1" }),
    await startAwsKms({ region: "eu-west-1" }),
  ];
  const primary = regions[0].createKey({ multiRegion: true });
  const replica = regions[1].createKey({ replicaOf: primary });
  const file = join(directory, "kms.db");
  mkdirSync(join(directory, "backups"));
  const env = {
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_MASTER_KEY_ID: primary.id,
    AWS_KMS_REGION: "eu-central-1",
    AWS_KMS_ENDPOINT: regions[0].url,
    AWS_KMS_FAILOVER: `eu-west-1=${primary.id}@${regions[1].url}`,
    AWS_ACCESS_KEY_ID: "local",
    AWS_SECRET_ACCESS_KEY: "local",
    FLUO_KMS_SQLITE_FILE: file,
  };
  return { env, directory, file, regions, keys: [primary, replica] };
}

async function handOutMany(http: string, prefix: string, count: number): Promise<HandedOut[]> {
  const made: HandedOut[] = [];
  let next = 0;
  const work = async () => {
    while (next < count) made.push(await handOut(http, `${prefix}-${next++}`));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return made;
}

async function measureBackup(world: World, { http }: Served, known: readonly HandedOut[]) {
  const settings = { name: "sqlite", file: world.file } as const;
  const directory = join(world.directory, "backups");
  const alone = await latency(http, known, async () => {});
  const times: number[] = [];
  let memoryBytes = 0;
  const sampling = setInterval(() => {
    memoryBytes = Math.max(memoryBytes, mostOfChildren());
  }, 20);
  const beside = await latency(http, known, async (signal) => {
    do {
      const began = performance.now();
      await backUpInProcess({ store: settings, directory, keep: 2, at: new Date() }, new AbortController().signal);
      times.push(performance.now() - began);
    } while (!signal.aborted);
  });
  clearInterval(sampling);
  const newest = readdirSync(directory).findLast((name) => name.endsWith(".db"))!;
  const ms = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
  return { ms, bytes: statSync(join(directory, newest)).size, memoryBytes, alone, beside };
}

/** Most memory that a process of a backup had so far, in bytes; 0 where it cannot be read. */
function mostOfChildren(): number {
  try {
    const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim().split(" ");
    const sizes = children.map((pid) => {
      if (!readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("backup/entry")) return 0;
      return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
    });
    return Math.max(0, ...sizes);
  } catch {
    return 0; // it has ended
  }
}

/** Calls that use keys, four at a time, while `beside` runs. */
async function latency(http: string, known: readonly HandedOut[], beside: (signal: AbortSignal) => Promise<void>) {
  const stop = new AbortController();
  const running = beside(stop.signal);
  const times: number[] = [];
  const until = performance.now() + besideMs;
  const work = async (_: unknown, first: number) => {
    for (let turn = first; performance.now() < until; turn += 7) {
      const at = performance.now();
      if (!(await opens(http, known[turn % Math.min(known.length, 500)]!))) throw new Error("a call failed");
      times.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: 4 }, work));
  stop.abort();
  await running;
  times.sort((a, b) => a - b);
  const rank = (share: number) => times[Math.floor(times.length * share)]!;
  return { calls: times.length, p50Ms: rank(0.5), p99Ms: rank(0.99) };
}

/** The first Region hangs; a new tenant needs the provider. */
async function regionLost({ regions }: World, { http }: Served): Promise<Disaster> {
  await regions[0].fault({ mode: "hanging" });
  let tenant = 0;
  const backMs = await timeUntil(async () => (await handOut(http, `region-${tenant++}`)) !== undefined);
  await regions[0].heal();
  return { name: "provider Region lost, another configured", lost: "nothing", backMs };
}

async function deletionScheduled({ keys: both }: World, { http }: Served, known: HandedOut): Promise<Disaster> {
  for (const key of both) {
    key.state = "PendingDeletion";
    key.deletionDate = new Date(Date.now() + 7 * 86_400_000);
  }
  await timeUntil(async () => !(await opens(http, known)));
  for (const key of both) {
    key.state = "Enabled"; // cancelled, and enabled
    key.deletionDate = undefined;
  }
  return {
    name: "provider key scheduled for deletion, cancelled and enabled",
    lost: "nothing",
    backMs: await timeUntil(() => opens(http, known)),
  };
}

async function storeLost(world: World, served: Served, first: readonly HandedOut[]): Promise<Disaster> {
  const beganMs = Date.now();
  await must(world.env, "backup", "--directory", join(world.directory, "backups"));
  const later = await handOutMany(served.http, "later", 200);
  await served.end("SIGKILL");
  const lostAtMs = Date.now();
  for (const name of filesOf(world)) rmSync(join(world.directory, name));

  const began = performance.now();
  await must(world.env, "restore", newestBackup(world));
  const again = await serve(world.env);
  await opensAll(again.http, first.slice(0, 1));
  const backMs = performance.now() - began;
  await opensAll(again.http, first.slice(-100));
  const lost = await countLost(again.http, later);
  await again.end("SIGTERM");
  const window = ((lostAtMs - beganMs) / 1_000).toFixed(1);
  return {
    name: "store lost, restored from its newest backup",
    backMs,
    lost: `${lost} keys of the ${window} s since the backup began`,
  };
}

/** The store of before is put in place of the newer one, once with the newer one at hand and once without. */
async function putBack(world: World): Promise<Disaster[]> {
  const older = join(world.directory, "older");
  const newer = join(world.directory, "newer");
  copyFileSync(world.file, older);
  const served = await serve(world.env);
  const since = await handOutMany(served.http, "since", 100);
  await served.end("SIGTERM");
  copyFileSync(world.file, newer);

  copyFileSync(older, world.file);
  await mustBeRefused(world.env);
  const began = performance.now();
  copyFileSync(newer, world.file);
  const found = await serve(world.env);
  await opensAll(found.http, since.slice(0, 1));
  const foundMs = performance.now() - began;
  await opensAll(found.http, since);
  await found.end("SIGTERM");

  copyFileSync(older, world.file);
  const digest = await mustBeRefused(world.env);
  const beganAgain = performance.now();
  await must(world.env, "accept-rollback", digest);
  const accepted = await serve(world.env);
  await handOut(accepted.http, "accepted");
  const acceptedMs = performance.now() - beganAgain;
  const lost = await countLost(accepted.http, since);
  await accepted.end("SIGTERM");
  return [
    { name: "ROLLBACK_SUSPECTED, the newer store found", lost: "nothing", backMs: foundMs },
    { name: "ROLLBACK_SUSPECTED, accepted", lost: `${lost} of ${since.length} keys since`, backMs: acceptedMs },
  ];
}

/** An older backup was restored by mistake: what the heads file noted shows it, and the right one takes its place. */
async function wrongRestore(world: World): Promise<Disaster> {
  const wrong = newestBackup(world);
  const served = await serve(world.env);
  const since = await handOutMany(served.http, "between", 50);
  await must(world.env, "backup", "--directory", join(world.directory, "backups"));
  await served.end("SIGTERM");
  const right = newestBackup(world);
  moveAway(world, "before");
  const { out } = await must(world.env, "restore", wrong);
  if (!out.includes("lost:")) throw new Error("a wrong restore was not told of");

  const began = performance.now();
  moveAway(world, "wrong");
  await must(world.env, "restore", right);
  const again = await serve(world.env);
  await opensAll(again.http, since.slice(0, 1));
  const backMs = performance.now() - began;
  await opensAll(again.http, since);
  await again.end("SIGTERM");
  return { name: "wrong backup restored, the right one after it", lost: "what the right backup lacks", backMs };
}

/** Another provider key opens nothing, neither of the store nor of a backup. */
async function providerKeyLost(world: World): Promise<Disaster> {
  const other = world.regions[0].createKey();
  const { AWS_KMS_FAILOVER: _, ...single } = world.env;
  const env = { ...single, AWS_KMS_MASTER_KEY_ID: other.id };
  await serve(env).then(
    () => {
      throw new Error("the store opened under another provider key");
    },
    () => {},
  );
  const into = { ...env, FLUO_KMS_SQLITE_FILE: join(world.directory, "other.db") };
  const { code } = await command(into, "restore", newestBackup(world));
  if (code === 0) throw new Error("a backup was restored under another provider key");
  return { name: "provider key lost", lost: "everything: nothing opens", backMs: undefined };
}

function newestBackup({ directory }: World): string {
  const backups = join(directory, "backups");
  return join(
    backups,
    readdirSync(backups)
      .sort()
      .findLast((name) => name.endsWith(".db"))!,
  );
}

const filesOf = ({ directory }: World) => readdirSync(directory).filter((name) => name.startsWith("kms.db"));

/** Moves the store away, and leaves its heads files. */
function moveAway(world: World, to: string): void {
  mkdirSync(join(world.directory, to));
  for (const name of filesOf(world).filter((each) => /^kms\.db(-wal|-shm)?$/.test(each)))
    renameSync(join(world.directory, name), join(world.directory, to, name));
}

async function must(env: Env, ...args: string[]): Promise<{ out: string }> {
  const { code, out, err } = await command(env, ...args);
  if (code !== 0) throw new Error(`${args.join(" ")}: ${err}${out}`);
  return { out };
}

/** Gives the digest with which the refusal ends. */
async function mustBeRefused(env: Env): Promise<string> {
  const words = await serve(env).then(
    () => "",
    (error) => String(error.message),
  );
  const digest = /accept-rollback ([0-9a-f]+)/.exec(words)?.[1];
  if (digest === undefined) throw new Error(`a store that was put back started, or said: ${words}`);
  return digest;
}

async function opensAll(http: string, all: readonly HandedOut[]): Promise<void> {
  const lost = await countLost(http, all);
  if (lost > 0) throw new Error(`${lost} keys are lost that must be there`);
}

async function countLost(http: string, all: readonly HandedOut[]): Promise<number> {
  let lost = 0;
  for (const each of all) if (!(await opens(http, each))) lost += 1;
  return lost;
}

function print({ backup: { ms, bytes, memoryBytes, alone, beside }, disasters }: DisasterResults): void {
  const size = `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const memory = memoryBytes === 0 ? "" : `, in a process of at most ${(memoryBytes / 2 ** 20).toFixed(0)} MiB`;
  console.log(`\na backup of ${keys} keys: ${(ms / 1_000).toFixed(2)} s beside calls, ${size}${memory}\n`);
  const figures = ({ calls, p50Ms, p99Ms }: Latency) => [
    `${calls}`,
    `${p50Ms.toFixed(2)} ms`,
    `${p99Ms.toFixed(2)} ms`,
  ];
  const calls = [
    ["calls", "number", "p50", "p99"],
    ["alone", ...figures(alone)],
    ["beside backups, one after the other", ...figures(beside)],
  ];
  console.log(aligned(calls));
  const back = (after: number | undefined) => (after === undefined ? "never" : `${(after / 1_000).toFixed(1)} s`);
  const rows = disasters.map(({ name, lost, backMs }) => [name, lost, back(backMs)]);
  console.log(`\n${aligned([["disaster", "lost (RPO)", "back after (RTO)"], ...rows])}\n`);
}
