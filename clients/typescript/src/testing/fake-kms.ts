/** The fake: handlers of six calls behind a transport of Connect's, and refusals that a test asks for. */
import { randomBytes } from "node:crypto";
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type Interceptor, type Transport } from "@connectrpc/connect";
import { type Kms, kmsOver } from "../kms.ts";
import {
  type DecryptDataKeyRequest,
  DecryptDataKeyResponseSchema,
  type DecryptPiiRequest,
  DecryptPiiResponseSchema,
  type EncryptPiiRequest,
  EncryptPiiResponseSchema,
  type GenerateDataKeyRequest,
  GenerateDataKeyResponseSchema,
  KeySpec,
  KmsService,
  type SignSpanRequest,
  type VerifySpanRequest,
} from "../messages.ts";
import { type FakeReason, type FakeRpc, invalidField, refusal, refusals, rpcs } from "./refusals.ts";
import { keySet, signSpan, verifySpan } from "./signing.ts";
import { canonicalContext, keyId, maxValueBytes, openEnvelope, openToken, sealEnvelope, sealToken } from "./tokens.ts";

export interface FakeKmsOptions {
  /** Gives the time of a signature, in milliseconds since 1970; the system's clock by default. */
  now?: () => number;
  /** Called around each call, as those of `createKms`. */
  interceptors?: readonly Interceptor[];
}

export interface FakeKms extends Disposable {
  /** An ordinary client. Refusals reach its caller at once: there is no channel that repeats calls. */
  readonly kms: Kms;
  /** Returns the public key as the text of `jwks.json`, for `parseKeySet`. It is the same for all tenants. */
  keySet(): string;
  /** Fails the next `times` calls of `rpc` as the service does for `reason`; all until `allow` by default. Throws for unknown names. */
  refuse(rpc: FakeRpc, reason: FakeReason, times?: number): void;
  /** Ends the refusals of `rpc`. */
  allow(rpc: FakeRpc): void;
  /** Fails every call from now on, as a closed client's. So does `using` at the end of its block. */
  close(): void;
}

/**
 * A fake of the service in this process, for tests: data keys, PII, SignSpan and VerifySpan, for any tenant. It has no log and no
 * administration; test these against a service. **Its key is public: nothing it makes is secret or evidence.**
 *
 * ```ts
 * using fake = createFakeKms();
 * const stored = await encryptRecord(fake.kms, "acme", { email: "ann@example.com" }, { email: "email" });
 * fake.refuse("DecryptPii", "OVERLOADED");
 * ```
 */
export function createFakeKms({ now = Date.now, interceptors = [] }: FakeKmsOptions = {}): FakeKms {
  const refused = new Map<FakeRpc, { reason: FakeReason; left: number }>();
  let isClosed = false;
  const close = () => {
    isClosed = true;
  };

  async function answer(method: DescMethod, request: Message): Promise<Message> {
    if (isClosed) throw new ConnectError("the fake is closed", Code.Canceled);
    const rpc = rpcs.find((name) => method.parent === KmsService && name === method.name);
    if (rpc === undefined)
      throw refusal(
        "UNIMPLEMENTED",
        `${method.name}: the fake has no log and no administration; test these against a service (npm start)`,
      );
    const waiting = refused.get(rpc);
    if (waiting !== undefined && waiting.left > 0) {
      waiting.left -= 1;
      throw refusal(waiting.reason, `${rpc} is refused by the test: ${waiting.reason}`);
    }
    const { tenantId } = request as EncryptPiiRequest;
    if (!/^[a-z0-9][a-z0-9._-]{0,62}$/.test(tenantId)) throw invalidField("tenant_id", tenantForm(tenantId));
    return handlers(now)[rpc](request as never);
  }

  return {
    kms: kmsOver(transportTo(answer, interceptors)),
    keySet: () => keySet,
    refuse(rpc, reason, times = Number.POSITIVE_INFINITY) {
      requireKnown("rpc", rpc, rpcs);
      requireKnown("reason", reason, Object.keys(refusals));
      refused.set(rpc, { reason, left: times });
    },
    allow(rpc) {
      requireKnown("rpc", rpc, rpcs);
      refused.delete(rpc);
    },
    close,
    [Symbol.dispose]: close,
  };
}

function requireKnown(what: string, name: string, known: readonly string[]): void {
  if (!known.includes(name)) throw new RangeError(`${name} is no ${what} of the fake: ${known.join(", ")}`);
}

function tenantForm(tenantId: string): string {
  if (tenantId === "") return "is required";
  return "must match ^[a-z0-9][a-z0-9._-]{0,62}$: lower-case ASCII, at most 63 characters";
}

const specBytes: ReadonlyMap<KeySpec, number> = new Map([
  [KeySpec.UNSPECIFIED, 32],
  [KeySpec.AES_256, 32],
  [KeySpec.AES_128, 16],
]);

function handlers(now: () => number) {
  return {
    GenerateDataKey({ tenantId, keySpec, encryptionContext, withoutPlaintext }: GenerateDataKeyRequest) {
      const bytes = specBytes.get(keySpec);
      if (bytes === undefined) throw invalidField("key_spec", "is not a known KeySpec");
      const plaintext = new Uint8Array(randomBytes(bytes));
      const ciphertextBlob = sealEnvelope("data-key", canonicalContext(tenantId, "", encryptionContext), plaintext);
      return create(GenerateDataKeyResponseSchema, { ciphertextBlob, keyId, ...(!withoutPlaintext && { plaintext }) });
    },

    DecryptDataKey({ tenantId, ciphertextBlob, encryptionContext }: DecryptDataKeyRequest) {
      const plaintext = openEnvelope("data-key", canonicalContext(tenantId, "", encryptionContext), ciphertextBlob);
      return create(DecryptDataKeyResponseSchema, { plaintext, keyId });
    },

    EncryptPii({ tenantId, fields, encryptionContext }: EncryptPiiRequest) {
      checkNames(fields);
      checkValues(fields);
      const sealed = fields.map(({ name, value }) => ({
        name,
        token: sealToken(canonicalContext(tenantId, name, encryptionContext), value),
      }));
      return create(EncryptPiiResponseSchema, { fields: sealed, keyId });
    },

    DecryptPii({ tenantId, fields, encryptionContext }: DecryptPiiRequest) {
      checkNames(fields);
      const opened = fields.map(({ name, token }, i) => {
        const context = canonicalContext(tenantId, name, encryptionContext);
        try {
          return { name, result: { case: "value" as const, value: openToken(context, token) } };
        } catch (error) {
          if (!(error instanceof ConnectError)) throw error;
          const item = { code: error.code, field: `fields[${i}].token`, message: error.rawMessage };
          return { name, result: { case: "error" as const, value: item } };
        }
      });
      return create(DecryptPiiResponseSchema, { fields: opened });
    },

    SignSpan: (request: SignSpanRequest) => signSpan(request, request.tenantId, now()),

    VerifySpan: (request: VerifySpanRequest) => verifySpan(request, request.tenantId),
  } satisfies Record<FakeRpc, (request: never) => Message | Promise<Message>>;
}

const [maxFields, maxNameBytes, maxTotalBytes] = [1_000, 256, 2 * 1024 * 1024];

function checkNames(fields: readonly { name: string }[]): void {
  if (fields.length === 0) throw invalidField("fields", "at least one field is required");
  if (fields.length > maxFields)
    throw invalidField("fields", `at most ${maxFields} fields a call, not ${fields.length}: split the call`);
  for (const [i, { name }] of fields.entries()) {
    if (name === "") throw invalidField(`fields[${i}].name`, "is required: the token opens only under the same name");
    if (Buffer.byteLength(name) > maxNameBytes)
      throw invalidField(`fields[${i}].name`, `at most ${maxNameBytes} bytes`);
  }
}

function checkValues(fields: readonly { value: Uint8Array }[]): void {
  for (const [i, { value }] of fields.entries())
    if (value.length > maxValueBytes) throw invalidField(`fields[${i}].value`, `at most ${maxValueBytes} bytes`);
  if (fields.reduce((sum, { value }) => sum + value.length, 0) > maxTotalBytes)
    throw invalidField("fields", `values are at most ${maxTotalBytes} bytes together: split the call`);
}

/** Messages go through bytes, as over a network: neither side keeps what the other may change. */
function transportTo(
  answer: (method: DescMethod, request: Message) => Promise<Message>,
  interceptors: readonly Interceptor[],
): Transport {
  const copied = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) =>
    fromBinary(schema, toBinary(schema, message));
  const innermost: ReturnType<Interceptor> = async (request) => {
    request.signal.throwIfAborted();
    const { service, method } = request;
    if (request.stream) return answer(method, {} as Message) as never;
    const message = copied(method.output, await answer(method, copied(method.input, request.message)));
    return { stream: false, service, method: request.method, header: new Headers(), trailer: new Headers(), message };
  };
  const call = interceptors.reduceRight((next, intercept) => intercept(next), innermost);
  const requestOf = (method: DescMethod, signal: AbortSignal | undefined, headers: HeadersInit | undefined) => ({
    service: method.parent,
    requestMethod: "POST",
    url: `http://fake.invalid/${method.parent.typeName}/${method.name}`,
    header: new Headers(headers),
    signal: signal ?? new AbortController().signal,
  });
  return {
    async unary(method, signal, _timeoutMs, headers, input, contextValues = createContextValues()) {
      const message = create(method.input, input);
      const request = { ...requestOf(method, signal, headers), stream: false as const, method, message, contextValues };
      return (await call(request as never)) as never;
    },
    async stream(method, signal, _timeoutMs, headers, _input, contextValues = createContextValues()) {
      const request = { ...requestOf(method, signal, headers), stream: true as const, method, contextValues };
      return (await call(request as never)) as never;
    },
  };
}
