/** The azure provider by its contract and by what it sends, on the real SDKs and a fake of Key Vault. What Azure refuses: answers.test.ts. */
import { createDecipheriv, createHash, randomBytes } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { KmsError } from "../../../src/errors.ts";
import { parseWrapped } from "../../../src/provider/azure/wrapped.ts";
import { dependable } from "../../../src/provider/failover.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { thrownBy } from "../../support/matchers.ts";
import { providerContract } from "../../support/provider-contract.ts";
import { canServe, context, openedOnFake, openOn, startFake } from "../../support/azure-fixture.ts";

/** Of the 4,096 bits of a key that RSA wrapped each seventh, so each place in a byte. `npm run test:providers` flips all, which takes 20 s. */
const flips = process.env.TEST_EVERY_BIT === "1" ? {} : { flipEveryBits: 7 };

afterEach(() => {
  vi.useRealTimers();
});

describe.skipIf(!canServe)("on a fake of Key Vault", () => {
  for (const type of ["RSA-HSM", "oct-HSM"] as const) {
    providerContract(
      `azure with a key of type ${type}`,
      async () => {
        const vault = await startFake();
        vault.createKey("fluo", { type });
        vault.createKey("other", { type });
        return { provider: await openOn(vault, "fluo"), other: await openOn(vault, "other") };
      },
      flips,
    );

    providerContract(
      `azure with a key of type ${type} behind the resilience layer`,
      async () => {
        const vault = await startFake();
        const open = async (name: string) => {
          vault.createKey(name, { type });
          return dependable([await openOn(vault, name)], { time: realTime });
        };
        return { provider: await open("fluo"), other: await open("other") };
      },
      flips,
    );
  }

  describe("what is sent to the vault", () => {
    it.each([
      ["RSA", 2048, "RSA-OAEP-256"],
      ["RSA-HSM", 3072, "RSA-OAEP-256"],
      ["RSA-HSM", 4096, "RSA-OAEP-256"],
      ["oct-HSM", 128, "A128KW"],
      ["oct-HSM", 192, "A192KW"],
      ["oct-HSM", 256, "A256KW"],
    ] as const)(
      "names the algorithm of a key of type %s and %i bits, and the version",
      async (type, bits, algorithm) => {
        const { vault, key, provider } = await openedOnFake({ type, bits });
        const { plaintext, wrapped } = await provider.generateDataKey(context);
        expect(await provider.decrypt(wrapped, context)).toEqual(plaintext);
        const sent = vault.log.filter(({ operation }) => /wrapkey$/.test(operation));
        expect(sent.map(({ path, body }) => [path, body.alg])).toEqual([
          [`/keys/fluo/${key.current.id}/wrapkey`, algorithm],
          [`/keys/fluo/${key.current.id}/unwrapkey`, algorithm],
        ]);
        expect(provider.wrapsForAnyone).toBe(type !== "oct-HSM");
      },
    );

    it("is a fresh key each time, and neither what is wrapped nor its context", async () => {
      const { vault, provider } = await openedOnFake();
      const plaintext = randomBytes(32);
      for (let n = 0; n < 2; n += 1) await provider.encrypt(plaintext, context);
      const [first, second] = vault.log
        .filter(({ operation }) => operation === "wrapkey")
        .map(({ body }) => body.value!);
      expect(Buffer.from(first!, "base64url")).toHaveLength(32);
      expect(first).not.toBe(second);
      expect(first).not.toBe(plaintext.toString("base64url"));
      expect(JSON.stringify(vault.log)).not.toContain("acme");
    });

    it("is nothing for what is no wrapped key of this form, and for context that could not be told apart", async () => {
      const { vault, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      const before = vault.log.length;
      const changed = (at: number, byte: number) => Uint8Array.from(wrapped).fill(byte, at, at + 1);
      for (const other of [
        new Uint8Array(),
        wrapped.subarray(0, 200),
        changed(0, 2),
        changed(1, 0),
        changed(1, 4),
        changed(1, 9),
        changed(2, 31),
        changed(3, 0x41), // a digit of another case
        changed(3, 0x2f), // a slash
        changed(35, 2),
        changed(36, 1),
        Buffer.concat([wrapped, randomBytes(4096)]),
      ]) {
        expect(await thrownBy(() => provider.decrypt(other, context))).toBeKmsError("CIPHERTEXT_REJECTED");
      }
      const lone = { tenant_id: "\ud800" };
      expect(await thrownBy(() => provider.generateDataKey(lone))).toBeKmsError("INVALID_ARGUMENT");
      expect(await thrownBy(() => provider.decrypt(wrapped, lone))).toBeKmsError("INVALID_ARGUMENT");
      expect(vault.log).toHaveLength(before);
    });

    it("has the form that its head describes", async () => {
      const { key, provider } = await openedOnFake({ type: "oct-HSM" });
      const wrapped = Buffer.from(await provider.encrypt(randomBytes(5), context));
      expect(wrapped.subarray(0, 3)).toEqual(Buffer.of(1, 4, 32));
      expect(wrapped.toString("latin1", 3, 35)).toBe(key.current.id);
      expect(wrapped.readUInt16BE(35)).toBe(40);
      expect(wrapped).toHaveLength(37 + 40 + 12 + 5 + 16);
    });

    it("opens by hand, with what the vault holds and the form's description alone", async () => {
      const { key, provider } = await openedOnFake({ type: "oct-HSM" });
      const plaintext = randomBytes(48);
      const wrapped = Buffer.from(await provider.encrypt(plaintext, { purpose: "data", a: "b" }));
      const unwrap = createDecipheriv("id-aes256-wrap", key.current.material, Buffer.alloc(8, 0xa6));
      const secret = Buffer.concat([unwrap.update(wrapped.subarray(37, 77)), unwrap.final()]);
      const text = (each: string) => Buffer.concat([Buffer.of(0, 0, 0, each.length), Buffer.from(each)]);
      const pairs = ["a", "b", "purpose", "data"].map(text); // sorted by their names
      const context = Buffer.concat([Buffer.from("fluo-kms/provider-context/v1"), Buffer.of(0, 0, 0, 2), ...pairs]);
      const open = createDecipheriv("aes-256-gcm", secret, wrapped.subarray(77, 89));
      open.setAAD(Buffer.concat([wrapped.subarray(0, 77), context]));
      open.setAuthTag(wrapped.subarray(-16));
      expect(Buffer.concat([open.update(wrapped.subarray(89, -16)), open.final()])).toEqual(plaintext);
    });

    it("goes over few connections, which close with the provider", async () => {
      const { vault, provider } = await openedOnFake();
      for (let n = 0; n < 5; n += 1) await provider.generateDataKey(context);
      expect(vault.connections).toBe(1);
      await vault.fault({ latencyMs: 20 });
      await Promise.all(Array.from({ length: 20 }, () => provider.generateDataKey(context)));
      expect(vault.connections).toBeLessThanOrEqual(20);
      await provider.close();
      await vault.until(() => vault.connections === 0);
    });

    it("begins with one challenge, without a token and without a body, however many come at once", async () => {
      const { vault, provider } = await openedOnFake();
      await Promise.all(Array.from({ length: 20 }, () => provider.generateDataKey(context)));
      expect(vault.calls).toMatchObject({ challenge: 1, discovery: 1, token: 1, get: 1, wrapkey: 20 });
      const [challenged] = vault.log.filter(({ operation }) => operation === "challenge");
      expect(challenged).toMatchObject({ hasToken: false, body: {} });
    });

    it("carries the clock's skew back, by answers of either kind", async () => {
      const { vault, key, provider } = await openedOnFake();
      vi.useFakeTimers({ toFake: ["Date"] });
      await vault.fault({ dateOffsetMs: -600_000 });
      expect((await provider.describe()).clockSkewMs).toBeGreaterThan(598_000);
      await vault.fault({ dateOffsetMs: 600_000 });
      key.current.enabled = false;
      await thrownBy(() => provider.generateDataKey(context));
      expect((await provider.describe()).clockSkewMs).toBeLessThan(-598_000);
    });
  });

  describe("a rotation in the vault", () => {
    it("is followed from the next look on: new keys name the new version, and old ones open with theirs", async () => {
      const { vault, key, provider } = await openedOnFake();
      const first = key.current.id;
      const old = await provider.generateDataKey(context);
      const second = key.rotate().id;
      const between = await provider.generateDataKey(context);
      expect(parseWrapped(between.wrapped).version).toBe(first);
      expect((await provider.describe()).detail).toContain(second);
      const fresh = await provider.generateDataKey(context);
      expect([old, between, fresh].map(({ wrapped }) => parseWrapped(wrapped).version)).toEqual([first, first, second]);
      for (const { plaintext, wrapped } of [old, between, fresh]) {
        expect(await provider.decrypt(wrapped, context)).toEqual(plaintext);
      }
      expect(vault.log.at(-1)!.path).toBe(`/keys/fluo/${second}/unwrapkey`);
      const later = await openOn(vault, "fluo");
      expect(await later.decrypt(old.wrapped, context)).toEqual(old.plaintext);
      expect(later.keyId).toBe(provider.keyId);
    });

    it("that disables the version before is noticed by the wrap that it refuses", async () => {
      const { key, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      const second = key.rotate().id;
      key.versions[0]!.enabled = false;
      const { plaintext, wrapped: fresh } = await provider.generateDataKey(context);
      expect(parseWrapped(fresh).version).toBe(second);
      expect(await provider.decrypt(fresh, context)).toEqual(plaintext);
      const error = (await thrownBy(() => provider.decrypt(wrapped, context))) as KmsError;
      expect(error).toBeKmsError("PROVIDER_DENIED", "is disabled");
      expect(error.advice).toContain(`--id ${provider.keyId}/${key.versions[0]!.id} --enabled true`);
      expect((await provider.describe()).state).toBe("enabled");
    });

    it("to another type of key is refused: it would change who can wrap", async () => {
      const { key, provider } = await openedOnFake({ type: "oct-HSM" });
      key.rotate({ type: "RSA-HSM", bits: 2048 });
      expect(await provider.describe()).toMatchObject({
        state: "disabled",
        detail: "of type RSA-HSM, and was oct-HSM",
      });
      const error = await thrownBy(() => provider.generateDataKey(context));
      expect(error).toBeKmsError("PROVIDER_DENIED", "is of type RSA-HSM now, and was oct-HSM");
    });

    it("to an AES key leaves what its RSA versions wrapped closed, as anyone can wrap under those", async () => {
      const { vault, key, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      key.rotate({ type: "oct-HSM", bits: 256 });
      const later = await openOn(vault, "fluo");
      const before = vault.calls.unwrapkey ?? 0;
      expect(await thrownBy(() => later.decrypt(wrapped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
      expect(vault.calls.unwrapkey ?? 0).toBe(before);
    });
  });

  it("catches a vault that unwraps K to other bytes than it wrapped, and does not take it for a ciphertext that was altered", async () => {
    const { vault, provider } = await openedOnFake();
    const { wrapped } = await provider.generateDataKey(context);
    const change = (answer: Record<string, unknown>) => ({ ...answer, value: randomBytes(32).toString("base64url") });
    vault.once({ change }, "unwrapkey");
    expect(await thrownBy(() => provider.decrypt(wrapped, context))).toMatchObject({ lie: "other-bytes" });
    expect(await provider.decrypt(wrapped, context)).toHaveLength(32);
  });

  describe("a wrapped key that names a version", () => {
    it("that never was is rejected, and one of a key that is gone is denied", async () => {
      const { vault, key, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      const unknown = Buffer.from(wrapped);
      unknown.write(createHash("md5").update("none").digest("hex"), 3, "latin1");
      expect(await thrownBy(() => provider.decrypt(unknown, context))).toBeKmsError("CIPHERTEXT_REJECTED");
      expect(vault.log.slice(-3).map(({ operation }) => operation)).toEqual(["unwrapkey", "get", "getVersion"]);
      key.deleted = true;
      for (const each of [unknown, wrapped]) {
        const error = (await thrownBy(() => provider.decrypt(each, context))) as KmsError;
        expect(error).toBeKmsError("PROVIDER_DENIED", "does not exist");
        expect(error.advice).toContain("az keyvault key recover --vault-name localhost --name fluo");
      }
      key.deleted = false;
      await provider.decrypt(wrapped, context);
    });

    it("that is there, and is said not to be, is no refusal: nor to a provider that has not seen it yet", async () => {
      const { vault, key, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      key.rotate();
      for (const each of [provider, await openOn(vault, "fluo")]) {
        vault.once({ code: "KeyNotFound", status: 404 }, "unwrapkey");
        expect(await thrownBy(() => each.decrypt(wrapped, context))).toBeKmsError("PROVIDER_UNAVAILABLE", "no version");
        await each.decrypt(wrapped, context);
      }
    });

    it("of a key that was purged and made anew is denied, and nothing is wrapped under the new one", async () => {
      const { vault, provider } = await openedOnFake();
      const { wrapped } = await provider.generateDataKey(context);
      vault.purge("fluo");
      vault.createKey("fluo");
      expect(await provider.describe()).toMatchObject({ state: "disabled", detail: "replaced by another of its name" });
      for (const call of [() => provider.decrypt(wrapped, context), () => provider.generateDataKey(context)]) {
        const error = (await thrownBy(call)) as KmsError;
        expect(error).toBeKmsError("PROVIDER_DENIED", "was replaced by another of its name");
        expect(error.advice).toContain("az keyvault key restore --vault-name localhost --file BACKUP");
      }
      expect((await provider.inspect()).advice[0]).toContain("az keyvault key restore");
    });
  });
});
