/** What must hold after a kill, asked of the service itself: see model.ts for what it is held against. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Key } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { GrpcClient } from "../support/running-service.ts";
import { atOnce } from "../../src/service/at-once.ts";
import { msFromNow } from "../support/from-now.ts";
import { hungMs } from "../support/hung.ts";
import { inParallel } from "./check-uses.ts";
import type { Driver } from "./driver.ts";
import type { Operation, Purpose, Refusal, Use } from "./ledger.ts";
import { describe, type Model } from "./model.ts";
import { answeredKey, purposeOf } from "./names.ts";
import { isWished, opens } from "./transitions.ts";

export interface Checker {
  model: Model;
  problem(what: string): void;
  /** A check: what it says is the problem where it does not hold. */
  hold(isTrue: boolean, what: () => string): void;
}

const allPages = { pageSize: 1000 };

/** Destruction that is due happens by itself, after the start. */
export async function awaitDestruction(client: GrpcClient, days: number, { problem }: Checker): Promise<void> {
  const aheadMs = days * 24 * 60 * 60 * 1000;
  const until = performance.now() + hungMs;
  for (;;) {
    const scheduled = await listKeys(client, { state: KeyState.DESTROY_SCHEDULED });
    const due = scheduled.filter(({ destroyAt }) => timestampDate(destroyAt!).getTime() <= msFromNow(aheadMs));
    if (due.length === 0) return;
    if (performance.now() > until) return problem(`${due.length} keys that are due are not destroyed`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function checkAudit(client: GrpcClient, { hold }: Checker): Promise<void> {
  const { ok, problems } = await client.admin.verifyAudit({});
  const lines = problems.map(({ writerId, sequence, what }) => `${writerId}/${sequence} ${what}`);
  hold(ok, () => `the audit trail is not whole: ${lines.join("; ")}`);
}

/** A Rotate without an answer is sent twice more: both get the answer of what was, or is now, done once. */
export async function retryRotate(
  client: GrpcClient,
  operation: Operation,
  { retry, hold }: Pick<Checker, "hold"> & Pick<Driver, "retry">,
): Promise<void> {
  const [first, second] = [await retry(client, operation), await retry(client, operation)];
  const [one, other] = [first, second].map(({ rotated, failed }) =>
    JSON.stringify([rotated.map(({ key, retiredKeyId }) => [key?.keyId, key?.version, retiredKeyId]), failed.length]),
  );
  hold(one === other, () => `${operation.requestId} sent again: ${one}, and then ${other}`);
}

/** That an operation is in the trail as it was answered, and at most once. */
export function checkOperation(operation: Operation, checker: Checker): void {
  const { requestId, change, outcome, keyId, begunAt } = operation;
  const { model, hold } = checker;
  const rows = model.rowsOf(requestId);
  const what = `${change} ${requestId} of ${keyId} of ${operation.tenantId} (${outcome})`;
  const ids = rows.map((row) => `${row.action} ${row.keyId}`);
  hold(new Set(ids).size === ids.length, () => `${what}: is in the trail more than once`);
  if (change === "rotate") {
    checkRotate(operation, what, checker);
    return;
  }
  const met = model.since(keyId, begunAt);
  if (outcome === "acknowledged") {
    const answered = operation.answer.find((key) => key.keyId === keyId)?.state;
    const was = met.some((each) => isWished(change, each) && each.state === answered);
    hold(rows.length > 0 || was, () => `${what}: was answered as ${answered}, is not in the trail: ${describe(met)}`);
  }
  if (outcome === "refused") {
    const isRight = met.some(({ state }) => refuses[change].includes(state));
    hold(isRight, () => `${what}: was refused while it was ${describe(met)}`);
  }
}

const refuses: Readonly<Record<Exclude<Operation["change"], "rotate">, readonly string[]>> = {
  disable: ["COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"],
  enable: ["COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"],
  mark_compromised: [],
  schedule_destruction: ["DESTROYED"],
  cancel_destruction: ["ACTIVE", "RETIRED", "DESTROYED"],
};

function checkRotate({ requestId, outcome, answer }: Operation, what: string, { model, hold }: Checker): void {
  const births = model.rowsOf(requestId).filter(({ action }) => action === "rotate" || action === "create");
  hold(new Set(births.map(({ purpose }) => purpose)).size === births.length, () => `${what}: rotated twice`);
  if (outcome !== "acknowledged") return;
  const made = births.map(({ keyId }) => `${model.keys.get(keyId)?.version} ${keyId}`).sort();
  const answered = answer.map(({ keyId, version }) => `${version} ${keyId}`).sort();
  hold(made.join() === answered.join(), () => `${what}: was answered with [${answered}] and made [${made}]`);
}

/** That the keys of a tenant are those of the trail, in the states that it says, numbered without a gap. */
export async function checkTenant(client: GrpcClient, tenantId: string, checker: Checker): Promise<void> {
  const keys = await listKeys(client, { tenantId });
  for (const purpose of ["data", "signing"] as const) {
    const listed = keys.filter(({ version }) => purposeOf(version!.purpose) === purpose);
    checkVersions(listed, tenantId, purpose, checker);
  }
}

function checkVersions(listed: readonly Key[], tenantId: string, purpose: Purpose, checker: Checker): void {
  const { model, hold } = checker;
  const what = `${purpose} keys of ${tenantId}`;
  const expected = model.versions(tenantId, purpose).map(({ keyId, version }) => `${version} ${keyId}`);
  const found = listed.map(({ version }) => `${version!.version} ${version!.keyId}`);
  hold(found.join() === expected.join(), () => `${what}: are [${found}], and by the trail [${expected}]`);
  const actives = listed.filter(({ state }) => state === KeyState.ACTIVE);
  hold(actives.length <= 1, () => `${what}: ${actives.length} are ACTIVE`);
  for (const key of listed) {
    const { keyId, state } = answeredKey(key);
    const possible = model.now(keyId);
    const compromised = key.compromisedAt !== undefined;
    const fits = possible.some((each) => each.state === state && each.compromised === compromised);
    hold(fits, () => `${what}: ${keyId} is ${state}, and by the trail ${describe(possible)}`);
    if (fits) model.settle(keyId, state);
  }
}

async function listKeys(client: GrpcClient, filter: { tenantId?: string; state?: KeyState }): Promise<Key[]> {
  const keys: Key[] = [];
  let pageToken = "";
  do {
    const page = await client.admin.listKeys({ ...filter, ...allPages, pageToken });
    keys.push(...page.keys);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return keys;
}

export async function checkTenants(client: GrpcClient, tenants: Iterable<string>, checker: Checker): Promise<void> {
  // The service refuses more listings at once.
  await inParallel([...tenants], (tenantId) => checkTenant(client, tenantId, checker), atOnce.listKeys);
}

/** Only an ACTIVE key makes anything, one that was not known to be over when the call began. */
export function checkUse({ kind, tenantId, keyId, begunAt }: Use, { model, hold }: Checker): void {
  const met = model.since(keyId, begunAt);
  const wasActive = met.some(({ state }) => state === "ACTIVE");
  hold(wasActive, () => `a ${kind} of ${tenantId} was made with key ${keyId}, which was ${describe(met)}`);
}

/** What was refused for the state of a key must have met such a state. */
export function checkRefusal({ tenantId, purpose, keyId, begunAt }: Refusal, { model, hold }: Checker): void {
  const isRight =
    keyId === undefined
      ? model.mayLackActive(tenantId, purpose, begunAt)
      : model.since(keyId, begunAt).some(({ state }) => !opens(state));
  const key = keyId ?? `the active ${purpose} key`;
  hold(isRight, () => `the use of ${key} of ${tenantId} was refused, and all was well`);
}
