/** A real start in this process on a state of a store, and what may come of it. */
import { rmSync } from "node:fs";
import { Health } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { withAdvice } from "../../src/cli/failures.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { look, type Looked } from "../flips/known.ts";
import { isRunning, startOn, textOf } from "../flips/one-flip.ts";
import type { RunningService } from "../support/running-service.ts";
import { excuseOf } from "./excuse.ts";
import { bytesOf, type Content, type Files, isSame, names, readFolder, writeFolder } from "./files.ts";
import type { State } from "./state.ts";

export interface Judged {
  /** Outcome in words. */
  outcome: string;
  /** Problems, one sentence each; empty if all is well. */
  problems: string[];
}

/** The outcome of a store as it was left. */
export const allThere = "serves, and all is there";

/** `folder` is made, and removed. */
export async function judgeState(state: State, folder: string): Promise<Judged> {
  try {
    writeFolder(state.files, folder);
    const service = await startOn(folder);
    if (!isRunning(service)) return judgeRefusal(service, state, readFolder(folder));
    try {
      return await judgeRunning(service, state);
    } finally {
      await service.stop();
    }
  } catch (error) {
    return failed([String(error)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const codes: readonly KmsErrorCode[] = ["DATA_LOSS", "ROLLBACK_SUSPECTED", "HEADS_MISSING"];

function judgeRefusal(error: unknown, { files }: State, after: Files): Judged {
  if (!(error instanceof KmsError)) return failed([`the start: ${error instanceof Error ? error.stack : error}`]);
  const message = withAdvice(error);
  const problems: string[] = [];
  if (!codes.includes(error.code) && !(error.code === "STORE_UNAVAILABLE" && isUnreadable(files)))
    problems.push(`a start that is refused as ${error.code}: ${message}`);
  if (!/restore|accept-rollback|mounted|move .*away|put .*back/.test(message))
    problems.push(`a start that does not say what to do: ${message}`);
  problems.push(...changesOf(files, after));
  return problems.length > 0 ? failed(problems) : { outcome: `refused, ${error.code}`, problems };
}

/** Whether a name has no file, or the database has other bytes than SQLite's. */
function isUnreadable(files: Files): boolean {
  const database = bytesOf(files, names.database) ?? Buffer.alloc(0);
  const isOther = database.length > 0 && !database.subarray(0, 16).equals(Buffer.from("SQLite format 3\0"));
  return isOther || [...files.values()].some((content) => typeof content === "string");
}

/** Lists the changes that a refused start may not make. */
function changesOf(before: Files, after: Files): string[] {
  const problems: string[] = [];
  for (const name of Object.values(names)) {
    const [was, is] = [before.get(name), after.get(name)];
    const bothNone = name === names.log && isNone(was) && isNone(is);
    if (!bothNone && !isSame(was, is)) problems.push(`${name} was ${sizeOf(was)}, and is ${sizeOf(is)}`);
  }
  for (const [name, content] of after) {
    if (before.has(name) || /\.lock$|-shm$/.test(name) || name === names.log) continue;
    if (!/^kms\.db-wal\.kept-[0-9a-f]+$/.test(name)) problems.push(`the start left ${name}`);
    else if (!isSame(content, before.get(names.log))) problems.push(`${name} is not the log`);
  }
  return problems;
}

function isNone(content: Content | undefined): boolean {
  return (content?.length ?? 0) === 0;
}

function sizeOf(content: Content | undefined): string {
  if (content === undefined) return "nothing";
  return typeof content === "string" ? content : `a file of ${content.length} bytes`;
}

async function judgeRunning(service: RunningService, state: State): Promise<Judged> {
  const told = await isTold(service);
  const all = state.store.known.map(({ known }) => known);
  const { losses, wrongs } = await look({ client: service.grpc, http: service.url }, all);
  if (losses.length + wrongs.length === 0)
    return { outcome: told ? "serves, and all is there, but Status names a problem" : allThere, problems: [] };
  const unexcused = unexcusedOf(state, { losses, wrongs });
  if (unexcused.wrongs.length > 0) return failed(unexcused.wrongs);
  if (told) return { outcome: "serves, and Status says at once that something is lost", problems: [] };
  if (unexcused.losses.length > 0) return failed(unexcused.losses.map(textOf));
  return { outcome: `serves, and nothing could tell what is lost: ${excuseOf(state).reason}`, problems: [] };
}

async function isTold({ grpc }: RunningService): Promise<boolean> {
  const { status, integrity, heads } = await grpc.status({});
  return status !== Health.OPERATIONAL || (integrity?.findings.length ?? 0) > 0 || (heads?.problem ?? "") !== "";
}

/** A tenant whose key is gone without a word gets a new one, as it does in a new store. */
function unexcusedOf(state: State, { losses, wrongs }: Looked): Looked {
  const { isExcused } = excuseOf(state);
  const gone = losses.filter(({ keyId, tenantId }) => keyId !== "" && isExcused(tenantId));
  return {
    losses: losses.filter(({ tenantId }) => !isExcused(tenantId)),
    wrongs: wrongs.filter((wrong) => !gone.some(({ tenantId }) => wrong.startsWith(`${tenantId} got the new key `))),
  };
}

function failed(problems: readonly string[]): Judged {
  return { outcome: "FAILED", problems: [...new Set(problems)] };
}
