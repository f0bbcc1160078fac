/** The evidence of one span, step by step, each with what it was computed from, so that anybody can compute it again. */
import { base64Text, hexText, isSame, utf8Bytes, utf8Text } from "./bytes.ts";
import type { ReadSpan } from "./canonical.ts";
import { isInUse, isRecordedHead, judge, type LogClaim, type LogPlace, type SignatureClaim } from "./judge.ts";
import type { KeySet } from "./key-set.ts";
import { MalformedError } from "./malformed.ts";
import { pathNodes, rememberNodes } from "./merkle.ts";
import { preAuthenticationEncoding, signedAtMs } from "./statement.ts";
import { explanations, type LogKey, reasonOfKey, type Verdict, type VerifyingKey } from "./verdict.ts";

export interface Explanation {
  steps: readonly Step[];
}

export interface Step {
  title: string;
  /** Undefined for a step that only shows what was computed. */
  holds: boolean | undefined;
  sentence: string;
  details: readonly Detail[];
}

export interface Detail {
  label: string;
  /** May have several lines. */
  text: string;
}

/** `tenant` is who must have signed; without it, whom the span names. */
export async function explainSpan(
  span: ReadSpan | MalformedError,
  keys: KeySet,
  tenant: string | undefined,
): Promise<Explanation> {
  if (span instanceof MalformedError)
    return {
      steps: [{ title: "The span", holds: false, sentence: `It cannot be read: ${span.message}.`, details: [] }],
    };
  const { verdict, claim, place } = await judge(keys)(span, tenant ?? span.integrity.tenant ?? "");
  const digest = hexText(await keys.crypto.sha256(utf8Bytes(span.canonical)));
  const steps = [canonicalStep(span, digest), evidenceStep(claim, verdict)];
  if (claim !== undefined && "signature" in claim) steps.push(...(await signatureSteps(claim, keys)));
  else if (claim !== undefined) steps.push(...(await logSteps(claim, place!, verdict, keys)));
  return { steps: [...steps, verdictStep(verdict)] };
}

function canonicalStep({ canonical }: ReadSpan, digest: string): Step {
  return {
    title: "The span in canonical form",
    holds: undefined,
    sentence:
      "This is what counts of the span, its resource and its scope: JSON in the form of RFC 8785, without the attributes of the evidence.",
    details: [
      { label: "Canonical form", text: canonical },
      { label: "SHA-256 of the canonical form", text: digest },
    ],
  };
}

function evidenceStep(claim: SignatureClaim | LogClaim | undefined, { message = "" }: Verdict): Step {
  if (claim === undefined)
    return { title: "The evidence", holds: false, sentence: `It cannot be checked: ${message}.`, details: [] };
  const { statement, tenant, signedAt, keyId } = claim;
  return {
    title: "The statement",
    holds: undefined,
    sentence: `The statement about the span is written anew from that SHA-256 and from the evidence's attributes: ${"signature" in claim ? "what was signed is this" : "it is the log's entry"}, if nothing was changed.`,
    details: [
      { label: "Tenant", text: tenant },
      { label: "Signed at", text: signedAt },
      ...(keyId === undefined ? [] : [{ label: "Key", text: keyId }]),
      { label: "Statement", text: utf8Text(statement)! },
    ],
  };
}

async function signatureSteps(claim: SignatureClaim, { keys, crypto }: KeySet): Promise<Step[]> {
  const { keyId = "", statement, signature, signedAt } = claim;
  const key = keys.get(keyId);
  const signed = preAuthenticationEncoding(statement);
  const holds = key !== undefined && (await crypto.isSignedBy(key.publicKey, signed, signature));
  const sentence =
    key === undefined
      ? `There is no key ${keyId} of the tenant that could have made it.`
      : holds
        ? `It is the Ed25519 signature of key ${keyId} over these bytes.`
        : `It is not the Ed25519 signature of key ${keyId} over these bytes: the span or its evidence was changed.`;
  const details = [
    { label: "What is signed (DSSE)", text: utf8Text(signed)! },
    { label: "Signature, in base64", text: base64Text(signature) },
    ...(key === undefined ? [] : [{ label: "Public key, in base64", text: base64Text(key.publicKey) }]),
  ];
  const step = { title: "The signature", holds, sentence, details };
  return key === undefined ? [step] : [step, keyStep(key, signedAt)];
}

function keyStep(key: VerifyingKey, signedAt: string): Step {
  const ofKey = reasonOfKey(key);
  const inUse = isInUse(key, signedAtMs(signedAt)!);
  const sentence =
    ofKey === "KEY_STATE"
      ? "The key has never been in use."
      : ofKey === "KEY_COMPROMISED"
        ? "The key is marked as compromised: whoever has it can sign, and set back the time."
        : `The key was ${inUse ? "" : "not "}in use at ${signedAt}. Replicas' clocks may differ by a minute.`;
  return { title: "The key", holds: ofKey === "OK" && inUse, sentence, details: keyDetails(key) };
}

function keyDetails({ keyId, state, validFrom, validUntil, compromisedAt }: VerifyingKey): Detail[] {
  const times = { "Valid from": validFrom, "Valid until": validUntil, "Compromised at": compromisedAt };
  return [
    { label: "Key", text: keyId },
    { label: "State", text: state },
    ...Object.entries(times).flatMap(([label, ms]) =>
      ms === undefined ? [] : [{ label, text: new Date(ms).toISOString() }],
    ),
  ];
}

async function logSteps(claim: LogClaim, { signers }: LogPlace, verdict: Verdict, keys: KeySet): Promise<Step[]> {
  const { index, leaf, checkpoint } = claim;
  const entry: Step = {
    title: "The entry of the log",
    holds: undefined,
    sentence: `The statement is entry ${index} of the log ${checkpoint.origin}. The entry's hash is SHA-256 of a byte 0 and the statement (RFC 6962).`,
    details: [
      { label: "Log", text: checkpoint.origin },
      { label: "Entry", text: `${index}` },
      { label: "Hash of the entry", text: hexText(leaf) },
    ],
  };
  const key = signers?.find(({ keyId }) => keyId === verdict.keyId);
  return [
    entry,
    await pathStep(claim, keys),
    checkpointStep(claim, signers),
    ...(key === undefined ? [] : [logKeyStep(claim, key)]),
  ];
}

async function pathStep(claim: LogClaim, { crypto }: KeySet): Promise<Step> {
  const { leaf, index, checkpoint } = claim;
  const { size, root } = checkpoint;
  const nodes = await pathNodes(claim, size, rememberNodes(crypto));
  const holds = nodes !== undefined && isSame(nodes.at(-1)?.hash ?? leaf, root);
  const sentence =
    nodes === undefined
      ? `The proof has not as many hashes as lead from entry ${index} to the root of a log of ${size}.`
      : `From the entry's hash up, each hash is SHA-256 of a byte 1 and the two below it. The last one is ${holds ? "" : "not "}the root that the checkpoint names${holds ? "" : ": the span or its proof was changed"}.`;
  const details = (nodes ?? []).map(({ hash, sibling, isSiblingLeft }, i) => ({
    label: `Level ${i + 1}`,
    text: `${isSiblingLeft ? "left " : "right"} sibling ${hexText(sibling)}\ngives         ${hexText(hash)}`,
  }));
  return {
    title: "The way to the root",
    holds,
    sentence,
    details: [...details, { label: "Root in the checkpoint", text: hexText(root) }],
  };
}

function checkpointStep({ note, checkpoint }: LogClaim, signers: readonly LogKey[] | undefined): Step {
  const names = signers?.map(({ keyId }) => keyId).join(" and ");
  const sentence =
    names === undefined
      ? "A signature of the checkpoint does not hold."
      : names === ""
        ? "None of the tenant's keys signed the checkpoint."
        : `The checkpoint says that the log had ${checkpoint.size} entries and this root. It is signed by ${names}.`;
  const keysOfNote = (signers ?? []).map(({ keyId, publicKey }) => ({
    label: `Public key of ${keyId}, in base64`,
    text: base64Text(publicKey),
  }));
  return {
    title: "The checkpoint",
    holds: names !== undefined && names !== "",
    sentence,
    details: [{ label: "Checkpoint", text: note.whole }, ...keysOfNote],
  };
}

function logKeyStep(claim: LogClaim, key: LogKey): Step {
  const ofKey = reasonOfKey(key);
  const isRecorded = ofKey === "KEY_COMPROMISED" && isRecordedHead(claim, key);
  const sentence =
    ofKey === "KEY_STATE"
      ? "The key has never been in use."
      : ofKey === "OK"
        ? "The key is not marked as compromised. A checkpoint proves entries of any time before it, so that the key's times do not matter."
        : isRecorded
          ? "The key is marked as compromised, but this checkpoint is the one that the service recorded then."
          : "The key is marked as compromised: its signature alone proves nothing.";
  return { title: "The key", holds: ofKey === "OK" || isRecorded, sentence, details: keyDetails(key) };
}

function verdictStep({ verified, reason, unsigned, message = explanations[reason] }: Verdict): Step {
  const sentence = verified ? "The span is as it was signed." : `${unsigned ? "UNSIGNED" : reason}: ${message}.`;
  return { title: "The verdict", holds: verified, sentence, details: [] };
}
