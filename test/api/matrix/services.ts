/** The services that the matrix asks: one under a policy, one whose store fails, and one that never answers. */
import type { DescMethod, DescService, MessageShape } from "@bufbuild/protobuf";
import { SignMode } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { KeyAdminService } from "../../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { createBatchPool } from "../../../src/batch/pool/pool.ts";
import { roles } from "../../../src/call/roles.ts";
import { KmsError, type KmsErrorCode } from "../../../src/errors.ts";
import { signSpans } from "../../../src/service/kms/sign-spans.ts";
import { logHandlers } from "../../../src/service/log/handlers.ts";
import type { Store } from "../../../src/store/store.ts";
import { createHeads } from "../../../src/tenant-log/heads.ts";
import { createSequencer } from "../../../src/tenant-log/sequencer.ts";
import { plainSpan } from "../../support/api-fixture.ts";
import { type FourWays, fourWays } from "../../support/four-ways.ts";
import { newAuthority } from "../../support/pki.ts";
import { bearerHeaders, startService } from "../../support/running-service.ts";
import { type TokenRule, tokenPolicy } from "../../support/token-policy.ts";
import { setUp as setUpService } from "../../support/service-fixture.ts";
import { sharedKey, tokenBy } from "../../support/signed-tokens.ts";
import { batchOf, spansFrom } from "../../support/span-batches.ts";
import { patient, startTransports } from "../../support/transports-fixture.ts";
import type { VirtualTime } from "../../support/virtual-time.ts";

/** What requests name, made by the service that they go to. */
export interface Made {
  /** Of the tenants acme, and idle, whose keys are disabled; both have a log of two entries. */
  acme: MadeKeys;
  idle: MadeKeys;
  /** Keys in these states, of the tenant states. */
  compromised: string;
  scheduled: string;
  /** A key of the tenant doomed, which is destroyed where the store can be written by the test. */
  doomed: string;
}

interface MadeKeys {
  blob: Uint8Array;
  token: string;
  dataKeyId: string;
  /** `plainSpan` with its signature. */
  span: object;
}

type Headers = Record<string, string>;

async function make({ call }: FourWays, headers: Headers = {}): Promise<Made> {
  const ask = async <Method extends DescMethod>(method: Method, request: object) =>
    (await call("gRPC", method, request, { headers })) as MessageShape<Method["output"]>;
  const { method: kms } = KmsService;
  const { method: admin } = KeyAdminService;

  async function keysOf(tenantId: string): Promise<MadeKeys & { keyIds: string[] }> {
    const { ciphertextBlob: blob, keyId: dataKeyId } = await ask(kms.generateDataKey, { tenantId });
    const fields = [{ name: "email", value: Buffer.from("a") }];
    const { token } = (await ask(kms.encryptPii, { tenantId, fields })).fields[0]!;
    const { keyId, attributes } = await ask(kms.signSpan, { tenantId, span: plainSpan });
    await ask(kms.signSpans, batchOf(spansFrom(0, 2), { tenantId, mode: SignMode.LOG, requestId: "used" }));
    return { blob, token, dataKeyId, span: { ...plainSpan, attributes }, keyIds: [dataKeyId, keyId] };
  }

  await ask(kms.generateDataKey, { tenantId: "acme" });
  await ask(kms.rotate, { tenantId: "acme", requestId: "used", purpose: 1, force: true });
  const [acme, idle] = [await keysOf("acme"), await keysOf("idle")];
  for (const keyId of idle.keyIds) await ask(admin.disableKey, { tenantId: "idle", keyId });
  const [compromised, scheduled] = (await keysOf("states")).keyIds as [string, string];
  await ask(admin.markKeyCompromised, { tenantId: "states", keyId: compromised });
  await ask(admin.disableKey, { tenantId: "states", keyId: scheduled });
  await ask(admin.scheduleKeyDestruction, { tenantId: "states", keyId: scheduled, days: 7 });
  const { keyId: doomed } = await ask(kms.generateDataKey, { tenantId: "doomed" });
  await ask(admin.scheduleKeyDestruction, { tenantId: "doomed", keyId: doomed, days: 7 });
  return { acme, idle, compromised, scheduled, doomed };
}

/** By all kinds of credentials. Callers are named by the one role that they have, or `not-` the one that they lack; `slow` may call rarely. */
export async function startGuarded(time: VirtualTime) {
  const authority = newAuthority({ name: "web" });
  const key = sharedKey("ES256", "k");
  const lacking = roles.map((role): [string, TokenRule] => [
    `not-${role}`,
    { roles: roles.filter((each) => each !== role) },
  ]);
  const { text, tokens } = tokenPolicy(
    {
      ...Object.fromEntries(roles.map((role) => [role, { roles: [role] }])),
      ...Object.fromEntries(lacking),
      all: { roles },
      slow: { roles, limit: 1 },
    },
    `separation: off
certificates: [{ name: web, dns: [.example.org], ca: web.pem }]
issuers: [{ name: sso, issuer: "https://sso.example.org", jwks-file: sso.json, audience: fluo-kms }]`,
  );
  const service = await startService(
    { "fluo.kms.limit.failures": "0", "fluo.kms.limit.new-tenants": "0", "kms.rotation.min-age": "0s" },
    {
      tls: true,
      files: { "policy.yaml": text, "web.pem": authority.pem, "sso.json": JSON.stringify({ keys: [key.jwk] }) },
      time,
      bounds: { headerWorkMs: 10_000 },
    },
  );
  const at = { grpc: `https://localhost:${service.grpcPort}`, http: `https://localhost:${service.httpPort}` };
  const connect = () => fourWays(at, { ca: service.serverCa });
  const plain = connect();
  const forger = newAuthority({ name: "web" });
  const strange = fourWays(at, { ca: service.serverCa, certificate: forger.issue({ dns: ["a.example.org"] }) });
  const as = (name: string) => bearerHeaders(tokens[name]);
  const claims = { iss: "https://sso.example.org", aud: "fluo-kms", sub: "ann" };
  const jwt = tokenBy(sharedKey("ES256", "forged"), { ...claims, iat: 0, exp: 4e9 }, { kid: "k" });
  return {
    ...plain,
    /** Opens connections of their own. */
    connect,
    as,
    /** No credential, and one forgery of each kind, with all that their callers are told. */
    forged: [
      [plain, {}, "no credential"],
      [plain, bearerHeaders(jwt), "the token is not accepted"],
      [plain, bearerHeaders(`${tokens.all!.slice(0, -1)}_`), "the token is not accepted"],
      [strange, {}, "the client certificate is not accepted"],
    ] as [FourWays, Headers, string][],
    made: await make(plain, as("all")),
    async stop() {
      plain.close();
      strange.close();
      await service.stop();
    },
  };
}

/** Methods of a store that change what others may have changed. */
const writes: readonly (keyof Store)[] = ["update", "activate", "insertPending", "createLog", "appendLog"];

/** All handlers over a store that the test breaks. */
export async function startFailing() {
  let fault: KmsErrorCode | undefined;
  const setUp = setUpService((store) => {
    const names = (Object.keys(store) as (keyof Store)[]).filter((name) => !/Audit$|^watch$|^close$/.test(name));
    const failing = names.map((name) => [
      name,
      (...given: unknown[]) => {
        if (fault !== undefined && (fault !== "CONFLICT" || writes.includes(name))) {
          return Promise.reject(new KmsError(fault, "the store fails"));
        }
        return (store[name] as (...given: unknown[]) => unknown)(...given);
      },
    ]);
    return Object.fromEntries(failing) as Partial<Store>;
  });
  const { parts, store, keyring, kms, admin } = setUp;
  const pool = createBatchPool({ threads: 1 });
  const heads = createHeads({ store, issuer: "test", time: parts.time });
  const sequencer = createSequencer({ store, heads, keys: keyring, pool, time: parts.time });
  const transports = await startTransports(kms, {
    admin,
    logs: logHandlers({ logs: parts.logs }),
    streams: { signSpans: signSpans({ ...parts, pool, sequencer, batchTook() {} } as never) },
    observer: parts.observer,
  });
  const asked = fourWays({ grpc: `http://${transports.grpcAddress}`, http: transports.url });
  const made = await make(asked);
  const doomed = (await store.get("doomed", made.doomed))!;
  const by = { action: "destroy", actor: "test", requestId: "", at: new Date() } as const;
  await store.update(doomed, { ...doomed, state: "DESTROYED", wrapped: new Uint8Array() }, by);
  return {
    ...asked,
    made,
    /** The store fails by this code, if any, while `work` goes on. */
    async failing<T>(code: KmsErrorCode | undefined, work: () => Promise<T>): Promise<T> {
      fault = code;
      return work().finally(() => {
        fault = undefined;
      });
    },
    async stop() {
      asked.close();
      await transports.stop();
      await pool.close();
    },
  };
}

/** Handlers that answer when their call is aborted. */
export async function startPatient() {
  let { handler, started } = patient();
  const handling = ({ methods }: DescService) =>
    Object.fromEntries(
      methods
        .filter(({ methodKind }) => methodKind === "unary")
        .map(({ localName }) => [localName, (...given: Parameters<typeof handler>) => handler(...given)]),
    );
  const transports = await startTransports(handling(KmsService), {
    admin: handling(KeyAdminService),
    logs: handling(LogService),
    streams: {
      signSpans: (call) => ({ take: () => handler(undefined, call) }),
    },
  });
  const asked = fourWays({ grpc: `http://${transports.grpcAddress}`, http: transports.url });
  return {
    ...asked,
    logged: transports.logged,
    /** Resolves when the next call has come to its handler. */
    next() {
      ({ handler, started } = patient());
      return started;
    },
    async stop() {
      asked.close();
      await transports.stop();
    },
  };
}
