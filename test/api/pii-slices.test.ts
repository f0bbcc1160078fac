/** Large calls of PII, which are worked on in slices. Orders are compared, and no times. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { sliceFields } from "../../src/service/kms/field-slices.ts";
import {
  failureOf,
  type GrpcClient,
  grpcClient,
  type RunningService,
  startService,
} from "../support/running-service.ts";
import { call, setUp } from "../support/service-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService({ "fluo.kms.limit.new-tenants": "0" });
});
afterAll(() => kms.stop());

const count = 1_000;
const encryptionContext = { purpose: "support" };

function plainFields(fields = count) {
  return Array.from({ length: fields }, (_, n) => ({ name: `f${n}`, value: Buffer.from(`value ${n}`) }));
}

const request = (tenantId: string, fields = count) => ({ tenantId, fields: plainFields(fields), encryptionContext });
const texts = (fields: readonly { result: { case?: string | undefined; value?: unknown } }[]) =>
  fields.map(({ result }) =>
    result.case === "value" ? Buffer.from(result.value as Uint8Array).toString() : result.case,
  );
const allTexts = plainFields().map(({ value }) => value.toString());
const names = plainFields().map(({ name }) => name);

function clientOf(): GrpcClient {
  const client = grpcClient(`127.0.0.1:${kms.grpcPort}`);
  onTestFinished(() => client.close());
  return client;
}

describe("a thousand fields", () => {
  it.each([1, sliceFields - 1, sliceFields, sliceFields + 1, 2 * sliceFields, count])(
    "or %i are sealed by one key, and opened to what they were, in their order",
    async (many) => {
      const { fields, keyId } = await kms.grpc.encryptPii(request("acme", many));
      expect(fields.map(({ name }) => name)).toEqual(names.slice(0, many));
      expect(new Set(fields.map(({ token }) => token)).size).toBe(many);
      const opened = await kms.grpc.decryptPii({ tenantId: "acme", fields, encryptionContext });
      expect(texts(opened.fields)).toEqual(allTexts.slice(0, many));
      expect(opened.fields.map(({ name }) => name)).toEqual(names.slice(0, many));
      const again = await kms.grpc.encryptPii(request("acme", 1));
      expect(again.keyId).toBe(keyId);
    },
  );

  it("that cannot be opened are failures at their places", async () => {
    const { fields } = await kms.grpc.encryptPii(request("broken"));
    const broken = [0, 1, sliceFields - 1, sliceFields, 555, count - 1];
    const given = fields.map((field, n) => (broken.includes(n) ? { ...field, token: "no token" } : field));
    // One of another field is no better.
    given[77] = { ...fields[77]!, token: fields[78]!.token };
    const failed = [...broken, 77].sort((a, b) => a - b);
    const { fields: opened } = await kms.grpc.decryptPii({ tenantId: "broken", fields: given, encryptionContext });
    const errors = opened.flatMap(({ result }, n) => (result.case === "error" ? [[n, result.value.field]] : []));
    expect(errors).toEqual(failed.map((n) => [n, `fields[${n}].token`]));
    expect(texts(opened)).toEqual(allTexts.map((text, n) => (failed.includes(n) ? "error" : text)));
    const sealed = await kms.grpc.reEncryptPii({ tenantId: "broken", fields: given, encryptionContext });
    expect(sealed.fields.flatMap(({ result }, n) => (result.case === "error" ? [n] : []))).toEqual(failed);
  });

  it("of several keys are opened, and sealed again by the newest", async () => {
    const sealed: { name: string; token: string }[][] = [];
    const keyIds = new Set<string>();
    for (let keys = 0; keys < 3; keys += 1) {
      const { fields, keyId } = await kms.grpc.encryptPii(request("rotated"));
      sealed.push(fields);
      keyIds.add(keyId);
      await kms.grpc.rotate({ tenantId: "rotated", force: true });
    }
    expect(keyIds.size).toBe(3);
    const fields = names.map((_, n) => sealed[n % 3]![n]!);
    const opened = await kms.grpc.decryptPii({ tenantId: "rotated", fields, encryptionContext });
    expect(texts(opened.fields)).toEqual(allTexts);
    const { fields: resealed, keyId } = await kms.grpc.reEncryptPii({ tenantId: "rotated", fields, encryptionContext });
    expect(keyIds).not.toContain(keyId);
    expect(resealed.map(({ name }) => name)).toEqual(names);
    const tokens = resealed.map(({ name, result }) => ({ name, token: String(result.value) }));
    const after = await kms.grpc.decryptPii({ tenantId: "rotated", fields: tokens, encryptionContext });
    expect(texts(after.fields)).toEqual(allTexts);
  });
});

describe("while large calls of a connection are in flight", () => {
  const calls = {
    encryptPii: (client: GrpcClient) => client.encryptPii(request("acme")),
    decryptPii: async (client: GrpcClient, fields: { name: string; token: string }[]) =>
      client.decryptPii({ tenantId: "acme", fields, encryptionContext }),
    reEncryptPii: async (client: GrpcClient, fields: { name: string; token: string }[]) =>
      client.reEncryptPii({ tenantId: "acme", fields, encryptionContext }),
  };

  it.each(Object.keys(calls) as (keyof typeof calls)[])(
    "of %s, a small call of another is answered before",
    async (name) => {
      const [large, small] = [clientOf(), clientOf()];
      const { fields } = await large.encryptPii(request("acme"));
      await small.generateDataKey({ tenantId: "acme" });
      const order: string[] = [];
      const done = (what: string) => () => void order.push(what);
      const all = Array.from({ length: 10 }, () => calls[name](large, fields).then(done("large")));
      await Promise.all([...all, small.generateDataKey({ tenantId: "acme" }).then(done("small"))]);
      expect(order).toHaveLength(11);
      expect(order.indexOf("small")).toBeLessThan(10);
    },
  );

  it("a large one of another does not wait for all of them", async () => {
    const [one, other] = [clientOf(), clientOf()];
    for (const client of [one, other]) await client.encryptPii(request("acme", 1));
    const order: string[] = [];
    const ask = (client: GrpcClient, what: string) =>
      client.encryptPii(request("acme")).then(() => void order.push(what));
    await Promise.all([...Array.from({ length: 10 }, () => ask(one, "one")), ask(other, "other")]);
    expect(order.indexOf("other")).toBeLessThan(10);
  });
});

/** Handlers of their own over real keys, for what happens between two slices. */
describe("between two slices", () => {
  const setUpKey = async () => {
    const world = setUp();
    const { keyId, fields } = await world.kms.encryptPii(request("acme") as never, call());
    const disable = () => world.keyring.disable({ tenantId: "acme", keyId, by: { actor: "ann", requestId: "" } });
    return { ...world, fields, keyId, disable };
  };

  it("a key that is disabled fails EncryptPii, as it does before the first", async () => {
    const { kms: handlers, disable } = await setUpKey();
    const sealing = handlers.encryptPii(request("acme") as never, call());
    await disable();
    await expect(sealing).rejects.toMatchObject({ code: "KEY_UNUSABLE" });
    const later = Promise.try(() => handlers.encryptPii(request("acme") as never, call()));
    await expect(later).rejects.toMatchObject({ code: "KEY_UNUSABLE" });
  });

  it("a key that is disabled fails ReEncryptPii, which seals by it", async () => {
    const { kms: handlers, disable, fields } = await setUpKey();
    const sealing = handlers.reEncryptPii({ tenantId: "acme", fields, encryptionContext } as never, call());
    const failing = expect(sealing).rejects.toMatchObject({ code: "KEY_UNUSABLE" });
    await disable();
    await failing;
  });

  it("a key that is disabled opens no more fields of DecryptPii", async () => {
    const { kms: handlers, disable, fields } = await setUpKey();
    const opening = handlers.decryptPii({ tenantId: "acme", fields, encryptionContext } as never, call());
    await disable();
    const opened = texts((await opening).fields);
    expect(opened.at(-1)).toBe("error");
    const failed = opened.indexOf("error");
    expect(failed % sliceFields).toBe(0); // whole slices
    expect(opened).toEqual(allTexts.map((text, n) => (n < failed ? text : "error")));
  });

  it("calls of a connection take turns with those of another", async () => {
    const { kms: handlers } = await setUpKey();
    const [one, other] = [{}, {}];
    const order: string[] = [];
    const ask = async (connection: object, name: string) => {
      await handlers.encryptPii(request("acme") as never, { ...call(), connection });
      order.push(name);
    };
    await Promise.all([ask(one, "a1"), ask(one, "a2"), ask(one, "a3"), ask(other, "b1")]);
    expect(order).toEqual(["a1", "b1", "a2", "a3"]);
  });
});

it("a large call that has nothing to seal is refused as a small one", async () => {
  const failure = await failureOf(kms.grpc.encryptPii({ tenantId: "acme", fields: plainFields(count + 1) }));
  expect(failure.code).toBe(grpc.status.INVALID_ARGUMENT);
});
