/**
 * What was measured is looked at afterwards: whether a load's last answer is whole, and what it holds opens or verifies, by other calls to
 * the same service. Each throws where it is not so.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import {
  DecryptDataKeyRequestSchema,
  DecryptDataKeyResponseSchema,
  GenerateDataKeyRequestSchema,
  GenerateDataKeyResponseSchema,
} from "../gen/ts/fluo/kms/v1/data_key_pb.ts";
import {
  DecryptPiiRequestSchema,
  DecryptPiiResponseSchema,
  EncryptPiiRequestSchema,
  EncryptPiiResponseSchema,
} from "../gen/ts/fluo/kms/v1/pii_pb.ts";
import {
  type SignedSpan,
  SignSpanRequestSchema,
  SignSpanResponseSchema,
  SignSpansRequestSchema,
  SignSpansResponseSchema,
  type VerifySpanRequest,
  VerifySpanRequestSchema,
  VerifySpanResponseSchema,
} from "../gen/ts/fluo/kms/v1/signing_pb.ts";
import { type KeyValue, KeyValueSchema } from "../gen/ts/fluo/kms/v1/span_pb.ts";
import { integrityKeys } from "../src/otlp/integrity-attributes.ts";
import { algorithm } from "../src/attestation/sign-statement.ts";
import { formatSignedAt } from "../src/attestation/statement.ts";
import { logProofAlgorithm } from "../src/tlog/inclusion-proof.ts";
import type { Caller } from "./client/caller.ts";
import type { Exchange } from "./client/load.ts";
import { rpc } from "./requests.ts";

export type Check = (exchange: Exchange) => Promise<void>;

export function checks({ call }: Caller) {
  return {
    async signSpan({ request, answers }: Exchange) {
      const { tenantId, span } = fromBinary(SignSpanRequestSchema, request);
      const { statement, signature } = fromBinary(SignSpanResponseSchema, only(answers));
      const evidence = { case: "signedStatement", value: { statement, signature } } as const;
      await verify(create(VerifySpanRequestSchema, { tenantId, span: span!, evidence }));
    },

    /** Every span of the batch has its result, and the last one verifies by the attributes that belong on it. */
    async signSpans({ request, answers }: Exchange) {
      const { tenantId, resourceSpans } = fromBinary(SignSpansRequestSchema, request);
      const responses = answers.map((answer) => fromBinary(SignSpansResponseSchema, answer));
      const done = responses.findIndex(({ batchDone }) => batchDone);
      assert(done === answers.length - 1, "batch_done is on the last message");
      const signed = responses.flatMap(({ results }) => results).map(({ result }) => result);
      const spans = resourceSpans.flatMap(({ resource, scopeSpans }) =>
        scopeSpans.flatMap(({ scope, spans }) => spans.map((span) => ({ resource, scope, span }))),
      );
      assert(signed.length === spans.length, `${spans.length} spans have ${signed.length} results`);
      const refused = signed.find((result) => result.case !== "signed");
      assert(refused === undefined, `a span was not signed: ${JSON.stringify(refused?.value)}`);
      const { resource, scope, span } = spans.at(-1)!;
      const attributes = [...span.attributes, ...attributesOf(signed.at(-1)!.value as SignedSpan, tenantId)];
      await verify(
        create(VerifySpanRequestSchema, {
          tenantId,
          span: { ...span, attributes },
          ...(resource && { resource }),
          ...(scope && { scope }),
        }),
      );
    },

    async encryptPii({ request, answers }: Exchange) {
      const { tenantId, fields } = fromBinary(EncryptPiiRequestSchema, request);
      const encrypted = fromBinary(EncryptPiiResponseSchema, only(answers));
      const tokens = encrypted.fields.map(({ name, token }) => ({ name, token }));
      const opened = await call(
        rpc("DecryptPii"),
        toBinary(DecryptPiiRequestSchema, create(DecryptPiiRequestSchema, { tenantId, fields: tokens })),
      );
      const values = fromBinary(DecryptPiiResponseSchema, opened).fields.map(({ result }) => result.value);
      const isSame = fields.every(({ value }, index) => Buffer.compare(value, values[index] as Uint8Array) === 0);
      assert(values.length === fields.length && isSame, "the tokens open to the values");
    },

    async generateDataKey({ request, answers }: Exchange) {
      const { tenantId } = fromBinary(GenerateDataKeyRequestSchema, request);
      const { plaintext, ciphertextBlob } = fromBinary(GenerateDataKeyResponseSchema, only(answers));
      const decrypt = create(DecryptDataKeyRequestSchema, { tenantId, ciphertextBlob });
      const opened = await call(rpc("DecryptDataKey"), toBinary(DecryptDataKeyRequestSchema, decrypt));
      const isSame = Buffer.compare(fromBinary(DecryptDataKeyResponseSchema, opened).plaintext, plaintext) === 0;
      assert(plaintext.length === 32 && isSame, "the blob opens to the key");
    },
  };

  async function verify(request: VerifySpanRequest): Promise<void> {
    const answer = await call(rpc("VerifySpan"), toBinary(VerifySpanRequestSchema, request));
    const { verified, reason } = fromBinary(VerifySpanResponseSchema, answer);
    assert(verified, `the span verifies (reason ${reason})`);
  }
}

function attributesOf(signed: SignedSpan, tenantId: string): KeyValue[] {
  const { attributes, signature, keyId, signedAt, leafIndex, proof } = signed;
  if (attributes.length > 0) return attributes;
  const isLogged = leafIndex !== undefined;
  const evidence = isLogged ? Buffer.from(proof, "utf8") : Buffer.from(signature);
  const text = {
    [integrityKeys.algorithm]: isLogged ? logProofAlgorithm : algorithm,
    [integrityKeys.value]: evidence.toString("base64"),
    [integrityKeys.tenant]: tenantId,
    [integrityKeys.signedAt]: formatSignedAt(timestampDate(signedAt!).getTime()),
    ...(!isLogged && { [integrityKeys.keyId]: keyId }),
  };
  return Object.entries(text).map(([key, value]) =>
    create(KeyValueSchema, { key, value: { value: { case: "stringValue", value } } }),
  );
}

function only(answers: readonly Uint8Array[]): Uint8Array {
  assert(answers.length === 1, "a call has one answer");
  return answers[0]!;
}

export function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(`what was measured is not right, it should be so: ${what}`);
}
