/** The codecs by hand must read and write what the generic one does, and refuse what that refuses. */
import { randomBytes, randomInt } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import { GenerateDataKeyResponseSchema } from "../../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import {
  EncryptedFieldSchema,
  type EncryptPiiRequest,
  EncryptPiiRequestSchema,
  EncryptPiiResponseSchema,
  PlainFieldSchema,
} from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import {
  decodeEncryptPiiRequest,
  encodeEncryptPiiResponse,
  encodeGenerateDataKeyResponse,
} from "../../../src/service/codec/data-plane.ts";
import { keyCheck } from "../../../src/service/codec/map-keys.ts";

const names = ["email", "", "Straße", "氏名", "🙂".repeat(40), "a".repeat(127), "a".repeat(128), "a".repeat(256)];
const keyId = "00112233445566778899aabbccddeeff";

/** What a decoder makes of the bytes; "refused" for anything that it throws. */
function outcome(decode: (bytes: Uint8Array) => EncryptPiiRequest, bytes: Uint8Array): unknown {
  try {
    const { tenantId, fields, encryptionContext } = decode(bytes);
    return {
      tenantId,
      fields: fields.map(({ name, value }) => [name, Buffer.from(value).toString("hex")]),
      encryptionContext: Object.entries(encryptionContext),
    };
  } catch {
    return "refused";
  }
}

function generic(bytes: Uint8Array): EncryptPiiRequest {
  const message = fromBinary(EncryptPiiRequestSchema, bytes);
  keyCheck(EncryptPiiRequestSchema)!(bytes, message);
  return message;
}

function expectTheSame(bytes: Uint8Array): void {
  expect(outcome(decodeEncryptPiiRequest, bytes), Buffer.from(bytes).toString("hex")).toEqual(outcome(generic, bytes));
}

const texts = ["", "a", "email", "Straße", "__proto__", "constructor"];

function randomText(): Buffer {
  return randomInt(8) === 0 ? randomBytes(randomInt(4)) : Buffer.from(texts[randomInt(texts.length)]!);
}

/** Up to four, mostly with these tags, and mostly as long as they say; all shorter than 128 bytes. */
function randomFields(tags: readonly number[], content: () => Buffer): Buffer {
  const fields = Array.from({ length: randomInt(5) }, () => {
    const bytes = content().subarray(0, 100);
    const tag = randomInt(25) === 0 ? randomInt(128) : tags[randomInt(tags.length)]!;
    const length = Math.max(0, randomInt(25) === 0 ? bytes.length + randomInt(5) - 2 : bytes.length);
    return Buffer.concat([Buffer.from([tag, length]), bytes]);
  });
  return Buffer.concat(fields);
}

const field = (name: string, value: Uint8Array) => create(PlainFieldSchema, { name, value });
const request = (...fields: ReturnType<typeof field>[]) =>
  toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { tenantId: "acme", fields }));

describe("an EncryptPii request", () => {
  it.each([0, 1, 127, 128, 16_384, 65_536])("is read with a value of %i bytes", (length) => {
    const value = randomBytes(length);
    const { tenantId, fields } = decodeEncryptPiiRequest(request(...names.map((name) => field(name, value))));
    expect(tenantId).toBe("acme");
    expect(fields.map(({ name }) => name)).toEqual(names);
    for (const each of fields) expect(Buffer.from(each.value).equals(value)).toBe(true);
    expectTheSame(request(...names.map((name) => field(name, value))));
  });

  it("is read with pairs of context, in any order of its fields", () => {
    const encryptionContext = { purpose: "support", constructor: "x" };
    const pairs = toBinary(EncryptPiiRequestSchema, create(EncryptPiiRequestSchema, { encryptionContext }));
    const fields = request(field("email", Buffer.from("ada@example.org")));
    for (const bytes of [Buffer.concat([pairs, fields]), Buffer.concat([fields, pairs])]) {
      expect({ ...decodeEncryptPiiRequest(bytes).encryptionContext }).toEqual(encryptionContext);
      expectTheSame(bytes);
    }
  });

  it.each([
    ["its value first", "120161 0a0162"],
    ["no value", "0a0161"],
    ["no key", "120161"],
    ["nothing", ""],
    ["a second value", "0a0161 120162 120163"],
    ["an unknown field", "0a0161 120162 980607"],
    ["a value that is not UTF-8", "0a0161 1201ff"],
    ["a value past its end", "0a0161 120262"],
    ["an empty key", "0a00 120162"],
    ["the key __proto__", "0a095f5f70726f746f5f5f 120162"],
  ])("is read as the generic decoder does with a pair that has %s", (_what, hex) => {
    const pair = Buffer.from(hex.replaceAll(" ", ""), "hex");
    const pairs = Buffer.concat([Buffer.from([0x1a, pair.length]), pair]);
    const usual = request(field("email", Buffer.from("ada@example.org")));
    for (const parts of [
      [usual, pairs],
      [pairs, usual],
      [pairs, pairs],
    ])
      expectTheSame(Buffer.concat(parts));
  });

  it.each(["8a80808010", "8a808080808080808000", "8a00"])(
    "is read as the generic decoder does with the tag %s",
    (tag) => {
      expectTheSame(Buffer.from(`${tag}0461636d65`, "hex"));
      const name = Buffer.from(`${tag}0161`, "hex");
      expectTheSame(Buffer.concat([Buffer.from([0x12, name.length]), name]));
    },
  );

  it.each([
    ["an unknown field", (w: BinaryWriter) => w.tag(99, WireType.LengthDelimited).string("new")],
    ["an unknown number", (w: BinaryWriter) => w.tag(99, WireType.Varint).uint32(7)],
    ["a group", (w: BinaryWriter) => w.tag(9, WireType.StartGroup).tag(9, WireType.EndGroup)],
    ["a second tenant", (w: BinaryWriter) => w.tag(1, WireType.LengthDelimited).string("globex")],
    ["a number for a tenant", (w: BinaryWriter) => w.tag(1, WireType.Varint).uint32(3)],
    ["a number for a field", (w: BinaryWriter) => w.tag(2, WireType.Varint).uint32(3)],
    ["an empty field", (w: BinaryWriter) => w.tag(2, WireType.LengthDelimited).bytes(new Uint8Array())],
    ["a tenant that is not UTF-8", (w: BinaryWriter) => w.tag(1, WireType.LengthDelimited).bytes(Buffer.from([0xff]))],
  ])("is read as the generic decoder does with %s", (_what, write) => {
    const more = write(new BinaryWriter()).finish();
    const usual = request(field("email", Buffer.from("ada@example.org")));
    expectTheSame(Buffer.concat([usual, more]));
    expectTheSame(Buffer.concat([more, usual]));
  });

  it("is read as the generic decoder does with a field of a field that is unknown, repeated, swapped or too long", () => {
    const name = Buffer.from("0a05656d61696c", "hex");
    const value = Buffer.from("1203616461", "hex");
    for (const parts of [
      [value, name],
      [name, name, value, value],
      [name, Buffer.from("9a0603616263", "hex"), value],
      [name, value, Buffer.from("0aff", "hex")],
      [name, Buffer.from("1204616461", "hex")],
      [Buffer.from("0a02ff61", "hex"), value],
      [Buffer.from("8a80808000", "hex"), value],
    ]) {
      const inner = Buffer.concat(parts);
      expectTheSame(Buffer.concat([Buffer.from([0x12, inner.length]), inner]));
      expectTheSame(Buffer.concat([Buffer.from([0x12, inner.length]), inner, Buffer.from("0a0461636d65", "hex")]));
    }
  });

  it("is read as the generic decoder does with a pair without a value before a field that is not UTF-8", () => {
    expectTheSame(Buffer.from("1a030a01611203920000", "hex"));
  });

  it("is read, or refused, as by the generic decoder with any fields of any fields", () => {
    const outcomes = Array.from({ length: 30_000 }, () => {
      const bytes = randomFields([0x0a, 0x12, 0x1a], () => randomFields([0x0a, 0x12], randomText));
      expectTheSame(bytes);
      return outcome(generic, bytes);
    });
    const refused = outcomes.filter((each) => each === "refused").length;
    expect(refused).toBeGreaterThan(3000);
    expect(refused).toBeLessThan(27_000);
  });

  it("is read, or refused, as by the generic decoder wherever a byte of it is changed, lost or added", () => {
    const usual = request(
      field("email", Buffer.from("ada")),
      field("Straße", Buffer.alloc(0)),
      field("", randomBytes(3)),
    );
    let refused = 0;
    for (let at = 0; at < usual.length; at += 1) {
      expectTheSame(usual.subarray(0, at));
      expectTheSame(Buffer.concat([usual.subarray(0, at), usual.subarray(at + 1)]));
      for (let i = 0; i < 40; i += 1) {
        const changed = Buffer.from(usual);
        changed[at] = randomInt(256);
        expectTheSame(changed);
        if (outcome(decodeEncryptPiiRequest, changed) === "refused") refused += 1;
        expectTheSame(Buffer.concat([usual.subarray(0, at), randomBytes(1), usual.subarray(at)]));
      }
    }
    expect(refused).toBeGreaterThan(100);
  });
});

describe("an EncryptPii answer", () => {
  it.each([0, 1, 20, 1000])("is written as by the generic encoder, with %i fields", (count) => {
    const fields = Array.from({ length: count }, (_, index) => {
      const token = `fk1.${randomBytes(randomInt(300)).toString("base64url")}`;
      return create(EncryptedFieldSchema, { name: names[index % names.length] || "x", token });
    });
    const answer = create(EncryptPiiResponseSchema, { fields, keyId });
    expect(Buffer.from(encodeEncryptPiiResponse(answer))).toEqual(
      Buffer.from(toBinary(EncryptPiiResponseSchema, answer)),
    );
  });
});

describe("a GenerateDataKey answer", () => {
  it.each([0, 16, 32])("is written as by the generic encoder, with a key of %i bytes", (length) => {
    const answer = create(GenerateDataKeyResponseSchema, {
      plaintext: randomBytes(length),
      ciphertextBlob: randomBytes(90 + length),
      keyId,
    });
    expect(Buffer.from(encodeGenerateDataKeyResponse(answer))).toEqual(
      Buffer.from(toBinary(GenerateDataKeyResponseSchema, answer)),
    );
  });
});
