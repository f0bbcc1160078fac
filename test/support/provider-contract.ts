/** What every provider must do: src/provider/provider.ts as code. A provider's own test says only how to make two. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ProviderContext } from "../../src/crypto/encryption-context.ts";
import { KmsError } from "../../src/errors.ts";
import { maxWrappedPlaintextBytes, type Provider } from "../../src/provider/provider.ts";
import { msFromNow } from "./from-now.ts";
import { thrownBy } from "./matchers.ts";

const context = { tenant_id: "acme", purpose: "data", key_id: "00112233445566778899aabbccddeeff" };

export interface ProviderUnderTest {
  provider: Provider;
  /** The same kind of provider under another master key. */
  other: Provider;
}

export interface ProviderContractOptions {
  /** Every how many bits of a wrapped key one is flipped: more than 1 where a call is slow or costs money. */
  flipEveryBits?: number;
  /** Rows that a server which is not ours is known to fail, and why. */
  skip?: Partial<Record<SkippableRow, string>>;
}

export type SkippableRow =
  | "tells apart contexts that look the same when run together"
  | "refuses a wrapped key with any bit flipped"
  | "refuses a wrapped key that was cut or lengthened";

export function providerContract(
  name: string,
  make: () => Promise<ProviderUnderTest>,
  { flipEveryBits = 1, skip = {} }: ProviderContractOptions = {},
): void {
  describe(`provider ${name}`, () => {
    let provider: Provider;
    let other: Provider;
    beforeAll(async () => {
      ({ provider, other } = await make());
    });
    afterAll(async () => {
      await provider.close();
      await other.close();
    });

    function row(title: SkippableRow, test: () => Promise<void>): void {
      if (skip[title] === undefined) it(title, test);
      else it.skip(`${title}: ${skip[title]}`, test);
    }

    async function refuses(wrapped: Uint8Array, given: ProviderContext = context): Promise<void> {
      expect(await thrownBy(() => provider.decrypt(wrapped, given))).toBeKmsError("CIPHERTEXT_REJECTED");
    }

    it("names its key, and another key otherwise", () => {
      expect(provider.keyId).not.toBe("");
      expect(provider.keyId).not.toBe(other.keyId);
      expect(provider.name).toBe(other.name);
    });

    it("knows a credential, if at all, with the time from which it was known and its end", async () => {
      await provider.describe();
      const credential = provider.credential?.();
      if (credential === undefined) return;
      expect(credential.since.getTime()).toBeLessThanOrEqual(msFromNow(0));
      expect(credential.until.getTime()).toBeGreaterThan(msFromNow(0));
    });

    it("generates 32 bytes and opens their wrapped form to the same", async () => {
      const { plaintext, wrapped } = await provider.generateDataKey(context);
      expect(plaintext).toHaveLength(32);
      expect(Buffer.from(wrapped).includes(plaintext)).toBe(false);
      expect(equal(await provider.decrypt(wrapped, context), plaintext)).toBe(true);
    });

    it("generates another key each time", async () => {
      const [a, b] = await Promise.all([provider.generateDataKey(context), provider.generateDataKey(context)]);
      expect(equal(a.plaintext, b.plaintext)).toBe(false);
      expect(equal(a.wrapped, b.wrapped)).toBe(false);
    });

    it.each([1, 32, maxWrappedPlaintextBytes])("wraps %i bytes and opens them", async (bytes) => {
      const plaintext = randomBytes(bytes);
      const wrapped = await provider.encrypt(plaintext, context);
      expect(equal(await provider.decrypt(wrapped, context), plaintext)).toBe(true);
    });

    it.each([0, maxWrappedPlaintextBytes + 1])("refuses to wrap %i bytes", async (bytes) => {
      expect(await thrownBy(() => provider.encrypt(randomBytes(bytes), context))).toBeKmsError("INVALID_ARGUMENT");
    });

    it("wraps the same bytes differently each time", async () => {
      const plaintext = randomBytes(32);
      const wrapped = await Promise.all([provider.encrypt(plaintext, context), provider.encrypt(plaintext, context)]);
      expect(equal(wrapped[0], wrapped[1])).toBe(false);
    });

    it("leaves the plaintext that it wraps alone", async () => {
      const plaintext = randomBytes(32);
      const copy = Uint8Array.from(plaintext);
      await provider.encrypt(plaintext, context);
      expect(equal(plaintext, copy)).toBe(true);
    });

    it("does not depend on the order of the context's pairs", async () => {
      const { plaintext, wrapped } = await provider.generateDataKey({ a: "1", b: "2" });
      expect(equal(await provider.decrypt(wrapped, { b: "2", a: "1" }), plaintext)).toBe(true);
    });

    it("opens under an empty context what was wrapped under one, and nothing else", async () => {
      const { plaintext, wrapped } = await provider.generateDataKey({});
      expect(equal(await provider.decrypt(wrapped, {}), plaintext)).toBe(true);
      await refuses(wrapped);
    });

    it.each<[string, ProviderContext]>([
      ["no context", {}],
      ["a part of the context", { tenant_id: context.tenant_id, purpose: context.purpose }],
      ["more than the context", { ...context, more: "x" }],
      ["another tenant", { ...context, tenant_id: "other" }],
      ["another purpose", { ...context, purpose: "signing" }],
      ["another key id", { ...context, key_id: "ff112233445566778899aabbccddeeff" }],
      ["another case", { ...context, tenant_id: "ACME" }],
      ["keys and values exchanged", Object.fromEntries(Object.entries(context).map(([key, value]) => [value, key]))],
    ])("refuses to open with %s", async (_what, given) => {
      const { wrapped } = await provider.generateDataKey(context);
      await refuses(wrapped, given);
    });

    row("tells apart contexts that look the same when run together", async () => {
      const { wrapped } = await provider.generateDataKey({ ab: "c" });
      await refuses(wrapped, { a: "bc" });
      const { wrapped: two } = await provider.generateDataKey({ a: "b", c: "d" });
      await refuses(two, { a: "bcd" });
      await refuses(two, { a: "d", c: "b" });
    });

    row("refuses a wrapped key with any bit flipped", async () => {
      const { wrapped } = await provider.generateDataKey(context);
      for (let bit = 0; bit < wrapped.length * 8; bit += flipEveryBits) {
        const flipped = Uint8Array.from(wrapped);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        await refuses(flipped);
      }
    });

    it("refuses a wrapped key that it tampered with itself, which is as long and not the same", async () => {
      const { wrapped } = await provider.generateDataKey(context);
      const copy = Uint8Array.from(wrapped);
      const tampered = provider.tampered(wrapped);
      expect([equal(tampered, wrapped), tampered.length]).toEqual([false, wrapped.length]);
      expect(equal(wrapped, copy)).toBe(true);
      await refuses(tampered);
    });

    row("refuses a wrapped key that was cut or lengthened", async () => {
      const { wrapped } = await provider.generateDataKey(context);
      const step = flipEveryBits === 1 ? 1 : 16;
      for (let length = 0; length < wrapped.length; length += step) await refuses(wrapped.subarray(0, length));
      await refuses(wrapped.subarray(1));
      await refuses(Buffer.concat([wrapped, Buffer.of(0)]));
      await refuses(randomBytes(wrapped.length));
    });

    it("refuses what another master key wrapped", async () => {
      const { wrapped } = await other.generateDataKey(context);
      await refuses(wrapped);
    });

    it("refuses each of two wrapped keys in the other's place", async () => {
      const otherContext = { ...context, key_id: "ff112233445566778899aabbccddeeff" };
      const [a, b] = [await provider.generateDataKey(context), await provider.generateDataKey(otherContext)];
      await refuses(a.wrapped, otherContext);
      await refuses(b.wrapped, context);
    });

    it("describes its key", async () => {
      const { state, detail, clockSkewMs = 0 } = await provider.describe();
      expect(state).toBe("enabled");
      expect(detail).not.toBe("");
      expect(Math.abs(clockSkewMs)).toBeLessThan(5_000); // the same machine's clock
      expect(await provider.inspect()).toMatchObject({ state, detail });
    });

    it("does nothing for a caller that is gone, and says why it went where that is known", async () => {
      const { wrapped } = await provider.generateDataKey(context);
      const calls = (signal: AbortSignal) => [
        () => provider.generateDataKey(context, signal),
        () => provider.encrypt(randomBytes(32), context, signal),
        () => provider.decrypt(wrapped, context, signal),
        () => provider.describe(signal),
        () => provider.inspect(signal),
      ];
      for (const call of calls(AbortSignal.abort())) expect(await thrownBy(call)).toBeKmsError("CANCELLED");
      const late = AbortSignal.abort(new KmsError("DEADLINE_EXCEEDED", "the deadline has passed"));
      for (const call of calls(late)) expect(await thrownBy(call)).toBeKmsError("DEADLINE_EXCEEDED");
    });
  });
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
