/** A tenant of a running service with keys in many states, spans that it signed under each, and its answers to what can be asked of it. */
import { fromBinary } from "@bufbuild/protobuf";
import { KeyPurpose, KeyState } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import {
  SignMode,
  SignSpanResponseSchema,
  VerifyReason,
  VerifySpanResponseSchema,
} from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { buildLogStatement } from "../../../src/attestation/log-entry.ts";
import { spanDigest } from "../../../src/attestation/sign-statement.ts";
import { cursor, readBytes, readTag } from "../../../src/encoding/wire-reader.ts";
import { readFrame } from "../../../src/otlp/resource-spans.ts";
import { type Random, randomFrom } from "../../../test/crash/random.ts";
import { type Bytes, len, message, varint } from "../../../test/support/otlp-wire.ts";
import type { RunningService } from "../../../test/support/running-service.ts";
import { signedOf } from "../../../test/support/span-batches.ts";
import { openStream } from "../../../test/support/stream-client.ts";
import type { Source } from "./cases.ts";
import { readParts, requestOf, resourceSpansOf, type SignedParts } from "./evidence.ts";
import { randomParts, type SpanParts } from "./random-spans.ts";
import { keySetOf, type Want } from "./reference.ts";

const spansAKey = 24;

/** Signs under one key after the other, and then has them disabled, compromised, to be destroyed, and retired; the last stays active. */
export async function serviceTenant(
  service: RunningService,
  tenant: string,
  seed: number,
): Promise<Source & { log: readonly SignedParts[] }> {
  const r = randomFrom(seed);
  const pool: SignedParts[][] = [];
  const log: SignedParts[] = [];
  const keyIds: string[] = [];
  for (let key = 0; key < 5; key += 1) {
    if (key > 0) await service.grpc.rotate({ tenantId: tenant, purpose: KeyPurpose.SIGNING, force: true });
    const parts = Array.from({ length: 2 * spansAKey }, () => randomParts(r));
    const alone = await Promise.all(parts.slice(0, spansAKey).map((each) => signAlone(service, tenant, each)));
    keyIds.push(...alone.slice(0, 1).map(({ evidence }) => (evidence.kind === "individual" ? evidence.keyId : "")));
    const logged = await signInLog(service, tenant, parts.slice(spansAKey));
    log.push(...logged);
    pool.push(alone, logged);
  }
  const [, disabled, compromised, destroyed] = keyIds as [string, string, string, string];
  await service.grpc.admin.disableKey({ tenantId: tenant, keyId: disabled });
  await service.grpc.admin.markKeyCompromised({ tenantId: tenant, keyId: compromised });
  await service.grpc.admin.scheduleKeyDestruction({ tenantId: tenant, keyId: destroyed, days: 7 });
  const jwks = await (await fetch(`${service.url}/api/kms/tenants/${tenant}/jwks.json`)).text();
  const keys = keySetOf(jwks, undefined);
  if (keys === undefined) throw new Error("the key set that the service serves is refused");
  return {
    name: tenant,
    tenant,
    text: { jwks },
    keys,
    log,
    signed(random, count) {
      const from = random.pick(pool)!;
      return Array.from({ length: count }, () => random.pick(from)!);
    },
  };
}

/** A tenant in good order: three keys that followed each other, spans that each signed, and a checkpoint of each batch. */
export async function loggingTenant(
  service: RunningService,
  tenant: string,
  r: Random,
): Promise<{ jwks: string; logged: SignedParts[]; alone: SignedParts[]; checkpoints: string[] }> {
  const [logged, alone]: [SignedParts[], SignedParts[]] = [[], []];
  const checkpoints: string[] = [];
  const log = `${service.url}/api/kms/tenants/${tenant}`;
  for (const batches of [2, 3, 1]) {
    if (logged.length > 0) await service.grpc.rotate({ tenantId: tenant, purpose: KeyPurpose.SIGNING, force: true });
    for (let batch = 0; batch < batches; batch += 1) {
      logged.push(...(await signInLog(service, tenant, [randomParts(r), randomParts(r), randomParts(r)])));
      alone.push(await signAlone(service, tenant, randomParts(r)));
      checkpoints.push(await (await fetch(`${log}/log/checkpoint`)).text());
    }
  }
  return { jwks: await (await fetch(`${log}/jwks.json`)).text(), logged, alone, checkpoints };
}

async function signAlone({ grpc }: RunningService, tenant: string, parts: SpanParts): Promise<SignedParts> {
  const { resource, scope, span } = parts;
  const request = message(
    len(1, tenant),
    len(2, span),
    ...(resource ? [len(3, resource)] : []),
    ...(scope ? [len(4, scope)] : []),
  );
  const answer = fromBinary(SignSpanResponseSchema, await grpc.raw("signSpan", request));
  const { statement, signature, keyId, signedAt } = answer;
  const evidence = { kind: "individual", keyId, signature } as const;
  return { ...parts, tenant, signedAt: textOf(signedAt!), statement, evidence };
}

async function signInLog(service: RunningService, tenant: string, all: readonly SpanParts[]): Promise<SignedParts[]> {
  const stream = openStream(`127.0.0.1:${service.grpcPort}`);
  const batch = message(...all.map((parts) => len(1, resourceSpansOf(parts))), len(2, tenant), varint(3, SignMode.LOG));
  await stream.send(batch);
  stream.halfClose();
  const signed = signedOf(...(await stream.rest()));
  stream.close();
  return all.map((parts, i) => {
    const signedAt = textOf(signed[i]!.signedAt!);
    const read = readParts(parts);
    const { traceId, spanId } = read;
    const statement = Buffer.from(buildLogStatement({ traceId, spanId, digest: spanDigest(read), tenant, signedAt }));
    return { ...parts, tenant, signedAt, statement, evidence: { kind: "log", proof: signed[i]!.proof } };
  });
}

function textOf({ seconds, nanos }: { seconds: bigint; nanos: number }): string {
  return new Date(Number(seconds) * 1000 + nanos / 1_000_000).toISOString();
}

/** Each span of an export as a request of its own. Undefined where the frame cannot be read, so that nobody can tell the spans apart. */
export function requestsOf(file: Uint8Array, tenant: string): Bytes[] | undefined {
  const c = cursor(file);
  const requests: Bytes[] = [];
  try {
    while (c.at < file.length) {
      if (readTag(c, file.length) !== 10) return undefined;
      const bytes = readBytes(c, file.length);
      const at = ({ start, end }: { start: number; end: number }) => bytes.subarray(start, end);
      const { resource, scopeSpans } = readFrame(cursor(bytes), bytes.length);
      for (const { scope, spans } of scopeSpans) {
        for (const span of spans)
          requests.push(
            requestOf(tenant, {
              resource: resource && at(resource),
              scope: scope && at(scope),
              span: at(span),
            }),
          );
      }
    }
  } catch {
    return undefined;
  }
  return requests;
}

/** What the service says, in the words of the cases but for what it never says: ids and places in a log. */
export async function answerOf({ grpc }: RunningService, request: Uint8Array): Promise<Want> {
  let bytes: Uint8Array;
  try {
    bytes = await grpc.raw("verifySpan", request);
  } catch (error) {
    // INVALID_ARGUMENT
    if ((error as { code?: number }).code === 3) return { reason: "MALFORMED" };
    throw error;
  }
  const { verified, reason, keyId, keyState, signedAt } = fromBinary(VerifySpanResponseSchema, bytes);
  if (verified !== (reason === VerifyReason.OK)) throw new Error(`verified is ${verified}, the reason ${reason}`);
  return {
    reason: nameOf(VerifyReason, reason) as Want["reason"],
    ...(keyId !== "" && { keyId }),
    ...(keyState !== KeyState.UNSPECIFIED && { keyState: nameOf(KeyState, keyState) as NonNullable<Want["keyState"]> }),
    ...(signedAt !== undefined && { signedAt: textOf(signedAt) }),
  };
}

function nameOf(numbers: Readonly<Record<string, number>>, number: number): string | undefined {
  return Object.keys(numbers).find((name) => numbers[name] === number);
}

/**
 * Whether that is what is wanted offline. The service alone knows the log: it takes what was in there before a key was marked as compromised,
 * where a verifier without the log takes the very head that was recorded.
 */
export function isSame(answer: Want, want: Want): boolean {
  const { reason, keyId, keyState, signedAt } = want;
  const says =
    answer.reason === reason || (reason === "KEY_COMPROMISED" && want.log !== undefined && answer.reason === "OK");
  return says && answer.keyId === keyId && answer.keyState === keyState && answer.signedAt === signedAt;
}
