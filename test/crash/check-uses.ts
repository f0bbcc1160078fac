/** Opens and verifies what was acknowledged: it must be the very same, or refused for what became of its key. */
import { status } from "@grpc/grpc-js";
import { VerifyReason } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { GrpcClient } from "../support/running-service.ts";
import type { Checker } from "./check.ts";
import type { Use } from "./ledger.ts";
import { nameIn } from "./names.ts";
import { opens } from "./transitions.ts";

type Of<Kind extends Use["kind"]> = Extract<Use, { kind: Kind }>;

const fieldsAtOnce = 200;
const callsAtOnce = 16;

export async function checkUses(client: GrpcClient, uses: readonly Use[], checker: Checker): Promise<void> {
  const tokens = uses.filter((use) => use.kind === "token");
  const groups = Map.groupBy(tokens, ({ tenantId, context }) => `${tenantId} ${JSON.stringify(context)}`);
  const batches = [...groups.values()].flatMap((group) => chunks(group, fieldsAtOnce));
  await inParallel(batches, (batch) => checkTokens(client, batch, checker));
  const others = uses.filter((use) => use.kind !== "token");
  await inParallel(others, async (use) => {
    if (use.kind === "data key") await checkDataKey(client, use, checker);
    if (use.kind === "signature") await checkSignature(client, use, checker);
  });
}

/** Calls are few at a time, so that none waits for its deadline in a queue. */
export async function inParallel<T>(
  items: readonly T[],
  work: (item: T) => Promise<void>,
  atOnce = callsAtOnce,
): Promise<void> {
  const iterator = items.values();
  const worker = async () => {
    for (const item of iterator) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

async function checkTokens(client: GrpcClient, batch: readonly Of<"token">[], checker: Checker): Promise<void> {
  const { tenantId, context: encryptionContext } = batch[0]!;
  const fields = batch.map(({ name, token }) => ({ name, token }));
  const answer = await client.decryptPii({ tenantId, fields, encryptionContext });
  batch.forEach((use, index) => {
    const { result } = answer.fields[index]!;
    if (result.case === "value") judge(use, { value: result.value, expected: use.value }, checker);
    else judge(use, { code: result.value?.code ?? 0, message: result.value?.message ?? "" }, checker);
  });
}

async function checkDataKey(client: GrpcClient, use: Of<"data key">, checker: Checker): Promise<void> {
  const { tenantId, blob, plaintext, context } = use;
  await client.decryptDataKey({ tenantId, ciphertextBlob: blob, encryptionContext: context }).then(
    (answer) => judge(use, { value: answer.plaintext, expected: plaintext }, checker),
    ({ code, details }) => judge(use, { code, message: details }, checker),
  );
}

type Opening = { value: Uint8Array; expected: Uint8Array } | { code: number; message: string };

/** By the state of its key it opens as what it was, or is refused. A key that is not in the trail opens nothing. */
function judge({ kind, tenantId, keyId }: Use, opening: Opening, { model, hold }: Checker): void {
  const situation = model.now(keyId)[0];
  const what = () => `a ${kind} of ${tenantId} under ${keyId}, which is ${situation?.state ?? "not in the trail"},`;
  const mustOpen = situation !== undefined && opens(situation.state);
  if ("value" in opening) {
    hold(mustOpen, () => `${what()} opens`);
    hold(Buffer.compare(opening.value, opening.expected) === 0, () => `${what()} opens as something else`);
  } else {
    const isRight = situation !== undefined && !mustOpen && opening.code === status.FAILED_PRECONDITION;
    hold(isRight, () => `${what()} does not open: ${opening.code} ${opening.message}`);
  }
}

async function checkSignature(client: GrpcClient, use: Of<"signature">, { model, hold }: Checker): Promise<void> {
  const { tenantId, keyId, span, signed } = use;
  const isBeside = signed.signature[0]! % 2 === 0;
  const evidence = isBeside ? { evidence: { case: "signedStatement" as const, value: signed } } : {};
  const { verified, reason } = await client.verifySpan({ tenantId, span, ...evidence });
  const isCompromised = model.now(keyId)[0]?.compromised === true;
  const expected = isCompromised ? VerifyReason.KEY_COMPROMISED : VerifyReason.OK;
  const what = () => `a signature of ${tenantId} by ${keyId}, ${isCompromised ? "compromised" : "whole"},`;
  const isRight = reason === expected && verified === !isCompromised;
  hold(isRight, () => `${what()} is judged ${nameIn(VerifyReason, reason)}`);
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  const count = Math.ceil(list.length / size);
  return Array.from({ length: count }, (_, index) => list.slice(index * size, (index + 1) * size));
}
