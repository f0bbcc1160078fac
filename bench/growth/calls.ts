/** What must not grow. A call is made ready for one size, and then taken many times; only `run` is timed. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ListAuditEventsRequestSchema } from "../../gen/ts/fluo/kms/v1/audit_pb.ts";
import { ListKeysRequestSchema } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { StatusRequestSchema } from "../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { DecryptPiiRequestSchema, EncryptPiiRequestSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import { RotateRequestSchema } from "../../gen/ts/fluo/kms/v1/rotation_pb.ts";
import { SignSpanRequestSchema, VerifySpanRequestSchema } from "../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { providerKeys } from "../../src/provider-keys/provider-keys.ts";
import { canonicalPairs } from "../../src/crypto/encryption-context.ts";
import { unwrap } from "../../src/keys/unwrap.ts";
import { importDataKey, importSigningKey } from "../../src/keys/usable-key.ts";
import { sealField } from "../../src/envelope/pii-field.ts";
import { pageToken } from "../../src/service/page.ts";
import {
  decodeSignSpanRequest,
  readSignSpanRequest,
  readVerifySpanRequest,
} from "../../src/service/codec/sign-span.ts";
import { signSpan } from "../../src/attestation/sign-statement.ts";
import { spanOf } from "../spans.ts";
import { call } from "./service.ts";
import type { Size } from "./sizes.ts";

export interface Turns {
  /** Before each run, and not timed. */
  prepare?(turn: number): unknown;
  run(turn: number): unknown;
}

export interface GrowthCall {
  title: string;
  /** In one slice. */
  runs: number;
  ready(size: Size): Promise<Turns> | Turns;
}

const span = spanOf(0);
const field = { name: "email", value: new Uint8Array(Buffer.from("anna.schmidt@example.com")) };
const pageSize = 10;
/** As many as the caches hold. Each is called a few times between two writes of the audit trail. */
const cachedTenants = 1000;
/** Far apart in the store, and coprime to the numbers of tenants. */
const stride = 7919;

export const growthCalls: readonly GrowthCall[] = [
  { title: "EncryptPii, cached", runs: 6000, ready: (size) => cached(size, encryptPii(size)) },
  { title: "SignSpan, cached", runs: 6000, ready: (size) => cached(size, signSpanCall(size)) },
  { title: "EncryptPii, uncached", runs: 200, ready: (size) => uncached(size, "data", encryptPii(size)) },
  { title: "SignSpan, uncached", runs: 200, ready: (size) => uncached(size, "signing", signSpanCall(size)) },
  { title: "DecryptPii by the first version, uncached", runs: 200, ready: decryptPii },
  { title: "VerifySpan by the first version, uncached", runs: 200, ready: verifySpan },
  { title: "Rotate both keys of a tenant", runs: 20, ready: rotate },
  { title: "ListKeys, a page from the middle", runs: 100, ready: (size) => listKeys(size, {}) },
  {
    title: "ListKeys, a page of signing keys",
    runs: 50,
    ready: (size) => listKeys(size, { purpose: KeyPurpose.SIGNING }),
  },
  {
    title: "ListKeys, COMPROMISED (none)",
    runs: 50,
    ready: (size) => listKeys(size, { state: KeyState.COMPROMISED }),
  },
  { title: "ListKeys, two keys of a tenant", runs: 100, ready: listKeysOf },
  { title: "ListAuditEvents, two of a tenant", runs: 100, ready: listAuditEvents },
  { title: "Status of a tenant", runs: 50, ready: statusOf },
  { title: "due keys", runs: 100, ready: due },
];

function tenantAt({ tenants }: Size, turn: number): string {
  return tenants[(turn * stride) % tenants.length]!;
}

function encryptPii({ kms }: Size) {
  return (tenantId: string) => kms.encryptPii(create(EncryptPiiRequestSchema, { tenantId, fields: [field] }), call);
}

function signSpanCall({ kms }: Size) {
  const requests = new Map<string, Uint8Array>();
  return (tenantId: string) => {
    const request =
      requests.get(tenantId) ?? toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId, span }));
    requests.set(tenantId, request);
    return kms.signSpan(decodeSignSpanRequest(request), call);
  };
}

/** Takes turns among as many tenants as the caches hold; all are loaded before the first. */
function cached(size: Size, work: (tenantId: string) => unknown): Turns {
  const many = Math.min(cachedTenants, size.tenants.length);
  return {
    async prepare(turn) {
      if (turn > 0) return;
      for (let index = 0; index < many; index += 1) await work(tenantAt(size, index));
    },
    run: (turn) => work(tenantAt(size, turn % many)),
  };
}

/** Where there are many tenants, each turn meets one that nobody has read yet, from the file as from the cache. */
async function uncached(size: Size, purpose: "data" | "signing", work: (tenantId: string) => unknown): Promise<Turns> {
  let tenantId = "";
  return {
    async prepare() {
      tenantId = nextTenant(size);
      if (size.tenants.length > cachedTenants) return;
      const known = await size.store.active(tenantId, purpose);
      if (known) size.keyring.invalidate(tenantId, known.keyId);
    },
    run: () => work(tenantId),
  };
}

const lastTurns = new WeakMap<Size, number>();

/** None that another call has had, while there are such. */
function nextTenant(size: Size): string {
  const turn = (lastTurns.get(size) ?? cachedTenants) + 1;
  lastTurns.set(size, turn);
  return tenantAt(size, turn);
}

/** Opened by the key of version 1, which is RETIRED where there are others. */
async function decryptPii(size: Size): Promise<Turns> {
  const { kms, keyring } = size;
  const sealed = await firstVersions(size, "data", (record, secret) => {
    const { tenantId, keyId } = record;
    const place = { tenantId, name: field.name, contextPairs: canonicalPairs(new Map()) };
    const token = sealField(importDataKey(record, secret), place, field.value);
    const request = create(DecryptPiiRequestSchema, { tenantId, fields: [{ name: field.name, token }] });
    return { tenantId, keyId, request };
  });
  const at = (turn: number) => sealed[turn % sealed.length]!;
  return {
    prepare: (turn) => keyring.invalidate(at(turn).tenantId, at(turn).keyId),
    run: (turn) => kms.decryptPii(at(turn).request, call),
  };
}

async function verifySpan(size: Size): Promise<Turns> {
  const { kms, keyring } = size;
  const signed = await firstVersions(size, "signing", (record, secret) => {
    const { tenantId, keyId } = record;
    const request = toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { tenantId, span }));
    const { key } = importSigningKey(record, secret);
    const read = readSignSpanRequest(request).span;
    const { statement, signature } = signSpan(read, { tenant: tenantId, keyId, key }, Date.now());
    const evidence = { case: "signedStatement", value: { statement, signature } } as const;
    const verify = create(VerifySpanRequestSchema, { tenantId, span, evidence });
    return { tenantId, keyId, request: toBinary(VerifySpanRequestSchema, verify) };
  });
  const at = (turn: number) => signed[turn % signed.length]!;
  return {
    prepare: (turn) => keyring.invalidate(at(turn).tenantId, at(turn).keyId),
    run: (turn) => kms.verifySpan(readVerifySpanRequest(at(turn).request), call),
  };
}

type Made = { tenantId: string; keyId: string };

async function firstVersions<T extends Made>(
  size: Size,
  purpose: "data" | "signing",
  make: (record: Parameters<typeof importDataKey>[0], secret: Uint8Array) => T,
): Promise<T[]> {
  const made: T[] = [];
  for (let turn = 0; turn < Math.min(size.tenants.length, 100); turn += 1) {
    const [first] = await size.store.list(tenantAt(size, turn), purpose);
    made.push(make(first!, await unwrap(providerKeys({ current: size.provider }), first!)));
  }
  return made;
}

function rotate(size: Size): Turns {
  return {
    run: () => size.kms.rotate(create(RotateRequestSchema, { tenantId: nextTenant(size), force: true }), call),
  };
}

function listKeys(size: Size, filter: { purpose?: KeyPurpose; state?: KeyState }): Turns {
  const { purpose = KeyPurpose.UNSPECIFIED, state = KeyState.UNSPECIFIED } = filter;
  const middle = size.tenants[Math.floor(size.tenants.length / 4)]!;
  const token = state === KeyState.UNSPECIFIED ? pageToken(["keys", "", purpose, state], [middle, "data", 1]) : "";
  const request = create(ListKeysRequestSchema, { ...filter, pageSize, pageToken: token });
  return { run: () => size.admin.listKeys(request, call) };
}

function listKeysOf(size: Size): Turns {
  return {
    run: (turn) =>
      size.admin.listKeys(create(ListKeysRequestSchema, { tenantId: tenantAt(size, turn), pageSize: 2 }), call),
  };
}

function listAuditEvents(size: Size): Turns {
  return {
    run: (turn) =>
      size.admin.listAuditEvents(
        create(ListAuditEventsRequestSchema, { tenantId: tenantAt(size, turn), pageSize: 2 }),
        call,
      ),
  };
}

function statusOf(size: Size): Turns {
  return { run: (turn) => size.kms.status(create(StatusRequestSchema, { tenantId: tenantAt(size, turn) }), call) };
}

function due({ store }: Size): Turns {
  return { run: () => store.due(new Date(Date.now() - 90 * 86_400_000), 100) };
}
