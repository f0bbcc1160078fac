/** The offline verifier on cases that the service's own has judged. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { createReadStream } from "node:fs";
import {
  type KeySet,
  KeySetError,
  LogError,
  type LogReport,
  parseKeySet,
  UnreadableExportError,
  type Verdict,
  verifyExport,
  verifyLog,
  verifyRequest,
} from "@fluo/kms/verify";
import { newChecks } from "./checks.ts";
import { fromBase64, type World } from "./world.ts";

type Wanted = Partial<Omit<Verdict, "message" | "verified" | "tenant">>;

interface Case {
  keySet?: string;
  jwks?: string;
  vkeys?: string[];
  refused?: boolean;
  tenant?: string;
  export?: string;
  json?: string;
  request?: string;
  log?: { checkpoints?: string[]; from?: number; to?: number; anyOrder?: boolean };
  want?: Wanted[] | Wanted | object | "unreadable" | "refused";
}

export async function judge({ cases }: World): Promise<number> {
  const checks = newChecks(20);
  const sets = new Map<string, KeySet>();
  let number = 0;
  for await (const line of linesOf(cases)) {
    number += 1;
    if (line.trim() !== "") await checks.check(`line ${number}`, () => judgeCase(JSON.parse(line), sets));
  }
  return checks.end();
}

/** Node's own end lines at U+2028, too, which JSON may hold. */
async function* linesOf(file: string): AsyncGenerator<string> {
  let rest = "";
  for await (const text of createReadStream(file, "utf8")) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    yield* lines;
  }
  yield rest;
}

async function judgeCase(given: Case, sets: Map<string, KeySet>): Promise<void> {
  if (given.refused) {
    await rejects(readKeys(given), KeySetError);
    return;
  }
  if (given.jwks !== undefined) {
    sets.set(given.keySet!, await readKeys(given));
    return;
  }
  const keys = sets.get(given.keySet!)!;
  if (given.request !== undefined) {
    compare([await verifyRequest(keys, fromBase64(given.request), given.tenant)], [given.want as Wanted]);
    return;
  }
  const bytes = given.json === undefined ? fromBase64(given.export!) : new TextEncoder().encode(given.json);
  if (given.log !== undefined) return judgeLog(keys, bytes, given);
  if (given.want === "unreadable") await rejects(verifyExport(keys, bytes, given.tenant), UnreadableExportError);
  else compare(await verifyExport(keys, bytes, given.tenant), given.want as Wanted[]);
}

async function judgeLog(keys: KeySet, bytes: Uint8Array, { tenant, log, want }: Case): Promise<void> {
  const { checkpoints = [], ...range } = log!;
  const named = checkpoints.map((text, i) => ({ name: `checkpoint-${i}`, text }));
  const report = verifyLog(keys, bytes, { ...range, tenantId: tenant, checkpoints: named });
  if (want === "unreadable") await rejects(report, UnreadableExportError);
  else if (want === "refused") await rejects(report, LogError);
  else deepEqual(jsonOf(await report), want);
}

/** A report as the command prints it, without messages. */
function jsonOf({ ok, logs, signedApart }: LogReport): object {
  return {
    ok,
    logs: logs.map(({ endedAt, follows, checkpoints, findings, known, ...log }) => ({
      ...log,
      ...(endedAt !== undefined && { ended_at: endedAt }),
      ...(follows && { follows: follows.origin }),
      checkpoints: checkpoints.map(({ name, size, agrees = null }) => ({ file: name, size, agrees })),
      findings: findings.map(({ what, leafIndex = null, count, span = null }) => ({
        what,
        leaf_index: leafIndex,
        count,
        span,
      })),
    })),
    signed_apart: signedApart,
  };
}

async function readKeys({ jwks, vkeys }: Case): Promise<KeySet> {
  const keys = await parseKeySet(jwks!);
  return vkeys === undefined ? keys : keys.trusting(vkeys);
}

function compare(verdicts: readonly Verdict[], wanted: readonly Wanted[]): void {
  for (const { verified, reason } of verdicts) equal(verified, reason === "OK");
  deepEqual(
    verdicts.map(({ verified, unsigned, message, tenant, ...said }) => said),
    wanted,
  );
}
