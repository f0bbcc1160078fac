/** Every call of each service, and the helpers over them: type-checked, and never run. No result may be `any`, nor a member of one. */
import type { MessageShape } from "@bufbuild/protobuf";
import { createKms, decryptRecord, detailsOf, encryptRecord, type Kms, listAuditEvents, listKeys } from "@fluo/kms";
import type { KeyAdminService, KmsService, LogService, SignMode } from "@fluo/kms/messages";
import { createGrpcKms, type GrpcKms, openBytes, sealBytes, createSpanSigner, type SpanSigner } from "@fluo/kms/node";
import { createFakeKms } from "@fluo/kms/testing";

type IsAny<T> = 0 extends 1 & T ? true : false;
type HasAny<T> =
  IsAny<T> extends true
    ? true
    : T extends object
      ? true extends { [K in keyof T]: IsAny<T[K]> }[keyof T]
        ? true
        : false
      : false;
/** Takes a value whose type is not, and has not, `any`. */
declare function typed<T>(value: T, ...refused: HasAny<T> extends true ? [never] : []): void;

/** Calls every unary call of a service by its name, with the empty message. */
export async function everyCall(kms: Kms): Promise<void> {
  typed(await kms.generateDataKey({ tenantId: "acme" }));
  typed(await kms.decryptDataKey({ tenantId: "acme" }));
  typed(await kms.encryptPii({ tenantId: "acme", fields: [{ name: "email" }] }));
  typed(await kms.decryptPii({ tenantId: "acme" }));
  typed(await kms.reEncryptPii({ tenantId: "acme" }));
  typed(await kms.signSpan({ tenantId: "acme" }));
  typed(await kms.verifySpan({ tenantId: "acme" }));
  typed(await kms.getPublicKeys({ tenantId: "acme" }));
  typed(await kms.rotate({ tenantId: "acme" }));
  typed(await kms.validate({}));
  typed(await kms.status({}));
  typed(await kms.log.getCheckpoint({}));
  typed(await kms.log.getInclusionProof({}));
  typed(await kms.log.getConsistencyProof({}));
  typed(await kms.admin.listKeys({}));
  typed(await kms.admin.disableKey({}));
  typed(await kms.admin.enableKey({}));
  typed(await kms.admin.markKeyCompromised({}));
  typed(await kms.admin.scheduleKeyDestruction({}));
  typed(await kms.admin.cancelKeyDestruction({}));
  typed(await kms.admin.rewrapKeys({}));
  typed(await kms.admin.listAuditEvents({}));
  typed(await kms.admin.verifyAudit({}));
  typed(await kms.admin.acceptRollback({}));
  for await (const answer of kms.signSpans(noRequests())) typed(answer);
  for await (const key of listKeys(kms, { tenantId: "acme" })) typed(key);
  for await (const event of listAuditEvents(kms, {})) typed(event);
}

/** Names of the calls above; the compiler refuses this when the services get another. */
export const called = {
  kms: [
    ...(["generateDataKey", "decryptDataKey", "encryptPii", "decryptPii", "reEncryptPii", "signSpan"] as const),
    ...(["signSpans", "verifySpan", "getPublicKeys", "rotate", "validate", "status"] as const),
  ],
  log: ["getCheckpoint", "getInclusionProof", "getConsistencyProof"],
  admin: [
    ...(["listKeys", "disableKey", "enableKey", "markKeyCompromised", "scheduleKeyDestruction"] as const),
    ...(["cancelKeyDestruction", "rewrapKeys", "listAuditEvents", "verifyAudit", "acceptRollback"] as const),
  ],
} as const;

type Missing =
  | Exclude<keyof typeof KmsService.method, (typeof called.kms)[number]>
  | Exclude<keyof typeof LogService.method, (typeof called.log)[number]>
  | Exclude<keyof typeof KeyAdminService.method, (typeof called.admin)[number]>;
export const missing: [Missing] extends [never] ? true : Missing = true;

/** The helpers, over each client. */
export async function everyHelper(spans: Uint8Array, mode: SignMode): Promise<void> {
  const connect: Kms = createKms({ baseUrl: "http://localhost:8080" });
  using grpc: GrpcKms = createGrpcKms({ target: "localhost:9000", insecure: true });
  typed(connect);
  const stored = await encryptRecord(grpc, "acme", { id: 17, email: "ann@example.com" }, { email: "email" });
  typed(stored);
  const opened: { id: number; email: string } = await decryptRecord(grpc, "acme", stored, { email: "email" });
  typed(opened);
  const misspelt = { emial: "email" };
  // @ts-expect-error: the record has no such member, whose value would stay in clear.
  await encryptRecord(grpc, "acme", { id: 17, email: "ann@example.com" }, misspelt);
  typed(await openBytes(grpc, "acme", await sealBytes(grpc, "acme", spans)));
  typed(detailsOf(new Error("none")));
  typed(createFakeKms());
  typed(mode);
  await using signer: SpanSigner = createSpanSigner(grpc, { tenantId: "acme" });
  typed(await signer.sign(spans));
  // @ts-expect-error: what is of any type is refused.
  typed(JSON.parse("{}"));
}

async function* noRequests(): AsyncGenerator<MessageShape<(typeof KmsService.method.signSpans)["input"]>> {}
