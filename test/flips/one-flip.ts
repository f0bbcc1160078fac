/** One bit of a store's files is not what it was, and the service is started on it. */
import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Health, type StatusResponse } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { withAdvice } from "../../src/cli/failures.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { hungMs } from "../support/hung.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import type { FilledStore } from "./filled-stores.ts";
import { type Known, look, type Loss } from "./known.ts";

export interface Flip {
  store: FilledStore;
  end: "" | "-wal";
  byte: number;
  bit: number;
}

export type Outcome =
  | `refused at the start, ${KmsErrorCode}`
  | "something lost, and found"
  | "found, with nothing lost"
  | "nothing to find"
  | "FAILED";

export interface Judged {
  outcome: Outcome;
  /** What went wrong. */
  problems: string[];
}

/** `folder` is made, and removed. */
export async function judgeFlip(
  flip: Flip | { store: FilledStore },
  known: readonly Known[],
  folder: string,
): Promise<Judged> {
  cpSync(flip.store.folder, folder, { recursive: true });
  try {
    if ("byte" in flip) writeFlipped(flip, join(folder, "kms.db"));
    return await judge(known, folder);
  } catch (error) {
    return failed([String(error)]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeFlipped({ store, end, byte, bit }: Flip, file: string): void {
  const bytes = Buffer.from(end === "" ? store.database : store.log);
  bytes[byte]! ^= 1 << bit;
  writeFileSync(file + end, bytes);
}

async function judge(known: readonly Known[], folder: string): Promise<Judged> {
  const service = await startOn(folder);
  if (!isRunning(service)) return judgeRefusal(service);
  try {
    return await judgeRunning(service, known);
  } finally {
    await service.stop();
  }
}

/** Starts a service in this process on the store of a folder. Gives the error of a start that fails. */
export async function startOn(folder: string): Promise<unknown> {
  return startService({
    "fluo.kms.local.master-key-file": join(folder, "master.key"),
    "fluo.kms.sqlite.file": join(folder, "kms.db"),
    "kms.rotation.enabled": "false",
  }).catch((error: unknown) => error);
}

export function isRunning(started: unknown): started is RunningService {
  return typeof started === "object" && started !== null && "grpc" in started;
}

/** Damage is no reason to try again later. */
const codes: readonly KmsErrorCode[] = ["DATA_LOSS", "ROLLBACK_SUSPECTED", "HEADS_MISSING"];

function judgeRefusal(error: unknown): Judged {
  if (!(error instanceof KmsError) || !codes.includes(error.code)) return failed([`the start: ${error}`]);
  const message = withAdvice(error);
  if (!/restore|accept-rollback/.test(message)) return failed([`a start that does not say what to do: ${message}`]);
  return { outcome: `refused at the start, ${error.code}`, problems: [] };
}

/** Looks at once, when nothing but the start has judged the store, and again when the first pass over it has ended. */
async function judgeRunning(service: RunningService, known: readonly Known[]): Promise<Judged> {
  const asked = { client: service.grpc, http: service.url };
  const before = await look(asked, known);
  const { integrity, status } = await examined(service);
  const { findings } = integrity!;
  const isHit = before.losses.length > 0 || findings.length > 0;
  const after = isHit ? await look(asked, known) : before;
  const losses = [...before.losses, ...after.losses];
  const problems = [...before.wrongs, ...after.wrongs];
  for (const loss of losses) {
    if (!findings.some((finding) => isNamed(loss, finding))) problems.push(`not found: ${textOf(loss)}`);
  }
  if (isHit && status === Health.OPERATIONAL) {
    problems.push(...losses.map(textOf), ...findings.map(({ what }) => what), "and the service is operational");
  }
  if (problems.length > 0) return failed([...new Set(problems)]);
  if (losses.length > 0) return { outcome: "something lost, and found", problems };
  return { outcome: findings.length > 0 ? "found, with nothing lost" : "nothing to find", problems };
}

/** Each look at Status costs as much as a piece of the pass. */
const lookMs = 250;

async function examined({ grpc }: RunningService): Promise<StatusResponse> {
  const until = performance.now() + hungMs;
  for (;;) {
    const seen = await grpc.status({});
    if (seen.integrity?.finished !== undefined) return seen;
    if (performance.now() > until) throw new Error(`the pass is at ${seen.integrity?.percent} %`);
    await delay(lookMs);
  }
}

type Finding = NonNullable<StatusResponse["integrity"]>["findings"][number];

/** Kinds that are about all tenants, where no tenant is named. */
const ofAll: readonly string[] = ["audit_trail", "heads", "file_damaged"];

function isNamed({ tenantId, keyId }: Loss, finding: Finding): boolean {
  if (finding.tenantId === "") return ofAll.includes(finding.kind);
  return finding.tenantId === tenantId && (keyId === "" || finding.keyId === keyId);
}

export function textOf({ tenantId, keyId, what }: Loss): string {
  return `${tenantId && `${tenantId}: `}${keyId && `key ${keyId}: `}${what}`;
}

function failed(problems: string[]): Judged {
  return { outcome: "FAILED", problems };
}
