/** Records with PII, by a running service. */
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type RunningService, startService } from "../../../test/support/running-service.ts";
import { createKms, decryptRecord, encryptRecord, type Kms, RecordError } from "../src/index.ts";

let service: RunningService;
let kms: Kms;
beforeAll(async () => {
  service = await startService();
  kms = createKms({ baseUrl: service.url });
});
afterAll(() => service.stop());

interface Customer {
  id: number;
  email: string;
  note: Uint8Array;
  alias?: string | null;
  phone?: string;
}
const customer: Customer = { id: 7, email: "zoë@example.com", note: Uint8Array.of(0, 255), alias: null };
const names = { email: "customer.email", note: "customer.note", alias: "alias", phone: "phone" } as const;

describe("a record", () => {
  it("has tokens in the place of its PII, and is the same again when it is decrypted", async () => {
    const sealed = await encryptRecord(kms, "acme", customer, names, { context: { use: "test" } });
    expect(sealed).toMatchObject({ id: 7, email: expect.stringMatching(/^fk1\./), alias: null });
    expect(Buffer.from(sealed.note).toString()).toMatch(/^fk1\./);
    expect(Object.keys(sealed)).toEqual(Object.keys(customer));
    expect(await decryptRecord(kms, "acme", sealed, names, { context: { use: "test" } })).toEqual(customer);
  });

  it("has a token for an empty value", async () => {
    const sealed = await encryptRecord(kms, "acme", { email: "" }, { email: "email" });
    expect(sealed.email).toMatch(/^fk1\./);
    expect(await decryptRecord(kms, "acme", sealed, { email: "email" })).toEqual({ email: "" });
  });

  it("is copied, and asked of nobody, where there is nothing to encrypt", async () => {
    const nobody = createKms({ baseUrl: "http://127.0.0.1:1" });
    expect(await encryptRecord(nobody, "acme", { phone: undefined as string | undefined }, { phone: "phone" })).toEqual(
      {
        phone: undefined,
      },
    );
  });

  it("may have a member that objects have, too", async () => {
    const record: object = JSON.parse('{"__proto__": "secret", "a": 1}');
    const marks = JSON.parse('{"__proto__": "p"}');
    const sealed = await encryptRecord(kms, "acme", record, marks);
    expect(JSON.stringify(sealed)).toMatch(/"__proto__":"fk1\./);
    expect(await decryptRecord(kms, "acme", sealed, marks)).toEqual(record);
  });

  it("names every member whose token is refused, without the token", async () => {
    const sealed = await encryptRecord(
      kms,
      "acme",
      { email: "a", phone: "b", name: "c" },
      { email: "e", phone: "p", name: "n" },
    );
    const swapped = { ...sealed, email: sealed.phone, phone: sealed.email };
    const failure = await decryptRecord(kms, "acme", swapped, { email: "e", phone: "p", name: "n" }).catch(
      (error) => error,
    );
    expect(failure).toBeInstanceOf(RecordError);
    expect(failure.fields).toEqual([
      expect.objectContaining({ member: "email", code: Code.InvalidArgument }),
      expect.objectContaining({ member: "phone", code: Code.InvalidArgument }),
    ]);
    expect(failure.message).not.toContain("fk1.");
  });

  it("is refused with a mark on another type, and with text that has no UTF-8", async () => {
    // @ts-expect-error the types refuse it, too
    await expect(encryptRecord(kms, "acme", { id: 7 }, { id: "id" })).rejects.toThrow(/id: PII is text or bytes/);
    const marked = { email: { text: "x" } } as unknown as { email: string };
    await expect(encryptRecord(kms, "acme", marked, { email: "email" })).rejects.toThrow(/email: PII is text or bytes/);
    await expect(encryptRecord(kms, "acme", { email: "\ud800" }, { email: "email" })).rejects.toThrow("well-formed");
  });
});
