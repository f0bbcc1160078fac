/** The offline verifier on cases that the service's own has judged. */
import { deepEqual, equal, rejects } from "node:assert/strict";
import { createReadStream } from "node:fs";
import {
  type KeySet,
  KeySetError,
  parseKeySet,
  UnreadableExportError,
  type Verdict,
  verifyExport,
  verifyRequest,
} from "@fluo/kms/verify";
import { newChecks } from "./checks.ts";
import { fromBase64, type World } from "./world.ts";

type Wanted = Partial<Omit<Verdict, "message" | "verified">>;

interface Case {
  keySet?: string;
  jwks?: string;
  vkeys?: string[];
  refused?: boolean;
  tenant?: string;
  export?: string;
  json?: string;
  request?: string;
  want?: Wanted[] | Wanted | "unreadable";
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
  if (given.want === "unreadable") await rejects(verifyExport(keys, bytes, given.tenant), UnreadableExportError);
  else compare(await verifyExport(keys, bytes, given.tenant), given.want as Wanted[]);
}

async function readKeys({ jwks, vkeys }: Case): Promise<KeySet> {
  const keys = await parseKeySet(jwks!);
  return vkeys === undefined ? keys : keys.trusting(vkeys);
}

function compare(verdicts: readonly Verdict[], wanted: readonly Wanted[]): void {
  for (const { verified, reason } of verdicts) equal(verified, reason === "OK");
  deepEqual(
    verdicts.map(({ verified, message, ...said }) => said),
    wanted,
  );
}
