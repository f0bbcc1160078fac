/** The peer's paths, ready to be measured: the same values as ours, through its Transit engine. */
import { cpuAnItem, type Take } from "../slice.ts";
import { assert, type Check } from "../checks.ts";
import type { LoadClient } from "../client/client.ts";
import type { Exchange } from "../client/load.ts";
import { piiFields, tenantId } from "../requests.ts";
import { spanBytes } from "../spans.ts";
import { callsAtOnce, usualBatches } from "../subjects.ts";
import type { OpenBao } from "./openbao.ts";

export interface Transit {
  sign(calls: number): Take;
  signBatches(calls: number): Take;
  /** Each bound to the tenant and its name, as ours are. */
  encrypt(fields: number, calls: number): Take;
  dataKey(calls: number): Take;
}

const [distinctSpans, distinctBatches] = [1024, 128];
const { spansABatch } = usualBatches;

export async function transitOf(bao: OpenBao, client: LoadClient): Promise<Transit> {
  await bao.call("sys/mounts/transit", { type: "transit" });
  await bao.call("transit/keys/signing", { type: "ed25519" });
  await bao.call("transit/keys/data", { type: "aes256-gcm96" });

  function subject(path: string, bodies: () => object[], slice: { calls: number; items: number; check: Check }): Take {
    const { calls, items, check } = slice;
    const run = client.load(() => ({
      over: "http",
      port: bao.port,
      path: `/v1/${path}`,
      headers: { ...bao.headers, "content-type": "application/json" },
      bodies: bodies().map((body) => Buffer.from(JSON.stringify(body))),
      calls,
      atOnce: callsAtOnce,
    }));
    return cpuAnItem({ server: bao, run, items, check });
  }

  return {
    sign(calls) {
      const bodies = () => spanBytes(distinctSpans).map((span) => ({ input: base64(span) }));
      const check: Check = async (exchange) => {
        const [{ input }, { signature }] = read<{ input: string }, { signature: string }>(exchange);
        const { valid } = await bao.call<{ valid: boolean }>("transit/verify/signing", { input, signature });
        assert(valid, "the peer's signature verifies");
      };
      return subject("transit/sign/signing", bodies, { calls, items: calls, check });
    },

    signBatches(calls) {
      const bodies = () => {
        const inputs = spanBytes(distinctBatches * spansABatch).map((span) => ({ input: base64(span) }));
        return Array.from({ length: distinctBatches }, (_, batch) => {
          return { batch_input: inputs.slice(batch * spansABatch, (batch + 1) * spansABatch) };
        });
      };
      const check: Check = async (exchange) => {
        const [{ batch_input }, { batch_results }] = read<Batch<{ input: string }>, Results<{ signature: string }>>(
          exchange,
        );
        const signed = batch_input.map(({ input }, index) => ({ input, signature: batch_results[index]?.signature }));
        const body = { batch_input: signed };
        const { batch_results: verdicts } = await bao.call<Results<{ valid: boolean }>>("transit/verify/signing", body);
        assert(verdicts.length === spansABatch && verdicts.every(({ valid }) => valid), "the peer's signatures verify");
      };
      return subject("transit/sign/signing", bodies, { calls, items: calls * spansABatch, check });
    },

    encrypt(fields, calls) {
      const items = piiFields(fields).map(({ name, value }) => {
        return { plaintext: base64(value), associated_data: base64(Buffer.from(`${tenantId}/${name}`)) };
      });
      const body = fields === 1 ? items[0]! : { batch_input: items };
      const check: Check = async (exchange) => {
        const [, answer] = read<unknown, { ciphertext: string } & Results<{ ciphertext: string }>>(exchange);
        const results = answer.batch_results ?? [answer];
        const sealed = items.map(({ associated_data }, index) => {
          return { associated_data, ciphertext: results[index]?.ciphertext };
        });
        const opened = await bao.call<Results<{ plaintext: string }>>("transit/decrypt/data", { batch_input: sealed });
        const isSame = items.every(({ plaintext }, index) => opened.batch_results[index]?.plaintext === plaintext);
        assert(isSame, "the peer's ciphertexts open to the values");
      };
      return subject("transit/encrypt/data", () => [body], { calls, items: calls * fields, check });
    },

    dataKey(calls) {
      const check: Check = async (exchange) => {
        const [, { plaintext, ciphertext }] = read<unknown, { plaintext: string; ciphertext: string }>(exchange);
        const opened = await bao.call<{ plaintext: string }>("transit/decrypt/data", { ciphertext });
        assert(opened.plaintext === plaintext, "the peer's data key opens");
      };
      return subject("transit/datakey/plaintext/data", () => [{ bits: 256 }], { calls, items: calls, check });
    },
  };
}

interface Batch<T> {
  batch_input: T[];
}

interface Results<T> {
  batch_results: T[];
}

function read<Request, Answer>({ request, answers }: Exchange): [Request, Answer] {
  const json = (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString("utf8"));
  return [json(request), json(answers[0]!).data];
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
