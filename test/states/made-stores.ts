/** Stores that real services made and were killed on, each as it was at several moments of its life. */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { allNoted, serve } from "../flips/filled-stores.ts";
import { type Known, makeKnown, makeKnownWithLog, noteKeys, useKeys } from "../flips/known.ts";
import { atExit } from "../support/cli-fixture.ts";
import { type ServiceProcess, watchProcess } from "../support/service-process.ts";
import { bytesOf, type Files, headsNames, names, readStore } from "./files.ts";

export interface MadeStore {
  name: string;
  /** Its files at moments of its life. The last is how it was left. */
  ages: readonly Files[];
  /** What was durable at the end, and the first of the ages that has all of it. */
  known: readonly { age: number; known: Known }[];
  /** The files of a store that has nothing to do with it, except for the master key. */
  other: Files;
}

export interface MadeStores extends Disposable {
  stores: MadeStore[];
  /** Why the store of the first release was not made. */
  skipped?: string;
}

/** The last commit of the first release. */
const firstRelease = "0c6fc36";
const root = join(import.meta.dirname, "..", "..");

type Begin = Parameters<typeof serve>[3];

export async function makeStores(): Promise<MadeStores> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-states-"));
  try {
    const sources = join(dir, "sources");
    const skipped = takeSources(sources);
    const masterKey = randomBytes(32);
    const newFolder = (name: string) => makeFolder(join(dir, name), masterKey);
    const [other, ...made] = await Promise.all([
      oneLife(newFolder("other"), "never checkpointed"),
      oneLife(newFolder("one-life"), "never checkpointed"),
      threeLives(newFolder("three-lives"), "checkpointed"),
      ...(skipped === undefined ? [threeLives(newFolder("first"), "of the first release", beginFrom(sources))] : []),
    ]);
    const stores = made.map((store) => ({ ...store, other: other.ages.at(-1)! }));
    return { stores, ...(skipped && { skipped }), [Symbol.dispose]: () => remove(dir) };
  } catch (error) {
    remove(dir);
    throw error;
  }
}

/** All stores are under one master key, so that a service can open what is another store's. */
function makeFolder(folder: string, masterKey: Buffer): string {
  mkdirSync(folder);
  writeFileSync(join(folder, names.masterKey), masterKey, { mode: 0o600 });
  return folder;
}

function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true });
}

type Made = Omit<MadeStore, "other">;

/** All of it is in the log. */
async function oneLife(folder: string, name: string): Promise<Made> {
  const ages: Files[] = [];
  const known = await serve(
    folder,
    async (service) => {
      const early = [await makeKnownWithLog(service, "early-1"), await makeKnown(service.client, "early-2")];
      const rotated = await makeKnown(service.client, "rotated");
      await allNoted(join(folder, names.database));
      ages.push(readStore(folder));
      const late = [await makeKnownWithLog(service, "late-1"), await makeKnown(service.client, "late-2")];
      await rotate(service, rotated);
      return [...aged(0, early), ...aged(1, [...late, rotated])];
    },
    "SIGKILL",
  );
  ages.push(readStore(folder));
  return { name, ages, known };
}

/** Some of it is in the database, of two lives that ended in order, and some in the log alone. */
async function threeLives(folder: string, name: string, begin?: Begin): Promise<Made> {
  const ages: Files[] = [];
  const file = join(folder, names.database);
  const known: { age: number; known: Known }[] = [];
  const keep = (...made: Known[]) => known.push(...aged(ages.length, made));
  const live = async (work: (service: ServiceProcess) => Promise<void>, signal: NodeJS.Signals) => {
    await serve(folder, work, signal, begin);
    ages.push(readStore(folder));
  };
  let rotated: Known;
  await live(async (service) => {
    keep(await makeKnownWithLog(service, "early-1"));
    rotated = await makeKnown(service.client, "rotated");
    await allNoted(file);
    ages.push(readStore(folder));
    keep(await makeKnown(service.client, "early-2"));
  }, "SIGTERM");
  await live(async ({ client }) => void keep(await makeKnown(client, "middle-1")), "SIGTERM");
  await live(async (service) => {
    keep(await makeKnown(service.client, "middle-2"));
    await allNoted(file);
    ages.push(readStore(folder));
    keep(await makeKnownWithLog(service, "late-1"), await makeKnown(service.client, "late-2"));
    await rotate(service, rotated);
    keep(rotated);
  }, "SIGKILL");
  return { name, ages, known };
}

function aged(age: number, all: readonly Known[]): { age: number; known: Known }[] {
  return all.map((known) => ({ age, known }));
}

async function rotate({ client }: ServiceProcess, known: Known): Promise<void> {
  await client.rotate({ tenantId: known.tenantId, force: true });
  await useKeys(client, known);
  await noteKeys(client, known);
}

/** Takes the sources of the first release from the history. Gives the reason if that is not possible. */
function takeSources(sources: string): string | undefined {
  mkdirSync(sources);
  const git = ["-c", "safe.directory=*", "archive", firstRelease, "src", "gen", "proto", "package.json"];
  const archive = spawnSync("git", git, { cwd: root, maxBuffer: Number.POSITIVE_INFINITY });
  if (archive.status !== 0) return `the history of this checkout has no commit ${firstRelease}`;
  const unpacked = spawnSync("tar", ["-x", "-C", sources], { input: archive.stdout });
  if (unpacked.status !== 0) return `tar does not unpack the sources of ${firstRelease}`;
  symlinkSync(join(root, "node_modules"), join(sources, "node_modules"));
  return undefined;
}

function beginFrom(sources: string): Begin {
  return (env, cwd) => {
    const child = spawn(process.execPath, [join(sources, "src", "main.js")], {
      cwd,
      env: { PATH: process.env.PATH, FLUO_KMS_GRPC_PORT: "0", FLUO_KMS_HTTP_PORT: "0", ...env },
    });
    atExit(() => child.kill("SIGKILL"));
    return watchProcess(child, { finished: atExit }).serving;
  };
}

/** The newest generation of a heads file; undefined if there is none. */
export function newestHeads(files: Files): Buffer | undefined {
  const all = headsNames.map((name) => bytesOf(files, name)).filter((bytes) => bytes !== undefined);
  return all.sort((a, b) => generationIn(b) - generationIn(a))[0];
}

function generationIn(bytes: Buffer): number {
  return JSON.parse(bytes.toString()).generation;
}
