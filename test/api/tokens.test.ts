/** Tokens that are not what EncryptPii gave: each is refused with the one status and the one text. */
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../support/running-service.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

const tenantId = "acme";
const name = "email";
const prefix = "fk1.";
const perCall = 1000;

const seal = async (values: Uint8Array[]) => {
  const { fields } = await kms.grpc.encryptPii({ tenantId, fields: values.map((value) => ({ name, value })) });
  return fields.map(({ token }) => token);
};

/** How many of the tokens were opened, and every way in which the rest were refused. */
async function open(tokens: string[]) {
  const refusals = new Set<string>();
  let opened = 0;
  for (let at = 0; at < tokens.length; at += perCall) {
    const fields = tokens.slice(at, at + perCall).map((token) => ({ name, token }));
    const answer = await kms.grpc.decryptPii({ tenantId, fields });
    expect(answer.fields).toHaveLength(fields.length);
    answer.fields.forEach(({ result }, index) => {
      if (result.case === "value") opened += 1;
      else if (result.case === "error") {
        expect(result.value.field).toBe(`fields[${index}].token`);
        refusals.add(`${grpc.status[result.value.code]}: ${result.value.message}`);
      } else refusals.add("neither a value nor an error");
    });
  }
  return { opened, refusals: [...refusals] };
}

const allRefused = { opened: 0, refusals: ["INVALID_ARGUMENT: ciphertext rejected"] };

describe("a token", () => {
  it("opens as it is, for values of every length around a chunk", async () => {
    const values = [0, 1, 31, 32, 33, 16_383, 16_384, 16_385, 65_536].map((length) => Buffer.alloc(length, length));
    expect(await open(await seal(values))).toEqual({ opened: values.length, refusals: [] });
  });

  it("is refused in the same words whatever is wrong with it", async () => {
    const [token] = await seal([Buffer.from("ada@example.org")]);
    const body = token!.slice(prefix.length);
    const flipped = Buffer.from(body, "base64url");
    flipped[40]! ^= 1;
    const wrong = [token!.slice(0, -2), `${token}A`, `${token}=`, `fk2.${body}`, body, "", "x".repeat(100_000)];
    expect(await open([...wrong, prefix + flipped.toString("base64url")])).toEqual(allRefused);
  });

  it("is refused where it is a data key's blob", async () => {
    const { ciphertextBlob } = await kms.grpc.generateDataKey({ tenantId });
    const blob = Buffer.from(ciphertextBlob);
    const asPii = Buffer.from(blob);
    asPii[1] = 0x01;
    const tokens = [blob, asPii].map((bytes) => prefix + bytes.toString("base64url"));
    expect(await open(tokens)).toEqual(allRefused);
  });

  it("is refused by ReEncryptPii in the same words, and its neighbours are served", async () => {
    const [token] = await seal([Buffer.from("x")]);
    const fields = [token!, token!.slice(0, -2), token!].map((text) => ({ name, token: text }));
    const { fields: results } = await kms.grpc.reEncryptPii({ tenantId, fields });
    expect(results.map(({ result }) => result.case)).toEqual(["token", "error", "token"]);
    expect(results[1]!.result.value).toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      field: "fields[1].token",
      message: "ciphertext rejected",
    });
  });
});
