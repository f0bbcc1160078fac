/** The aws provider on local-kms, which shares no code and no author with the fake in test/fakes. */
import { randomBytes } from "node:crypto";
import { DisableKeyCommand, EnableKeyCommand, KMSClient, ScheduleKeyDeletionCommand } from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { dependable } from "../../src/provider/failover.ts";
import type { Provider } from "../../src/provider/provider.ts";
import { thrownBy } from "../support/matchers.ts";
import { openOn, useCredentials } from "../support/aws-fixture.ts";
import { providerContract } from "../support/provider-contract.ts";
import { type LocalKms, type SeededKey, startLocalKms } from "./local-kms.ts";
import { realTime } from "../../src/runtime/time.ts";

useCredentials();

const started: LocalKms[] = [];
afterAll(async () => {
  await Promise.all(started.map((kms) => kms.close()));
});

async function start(region: string, ...keys: SeededKey[]): Promise<LocalKms> {
  const kms = await startLocalKms(region, keys);
  started.push(kms);
  return kms;
}

const material = () => randomBytes(32).toString("hex");
const context = { tenant_id: "acme", purpose: "data" };
const aliased = { id: "bc436485-5092-42b8-92a3-0aa8b93536dc", materials: [material()], alias: "alias/fluo" };
const another = { id: "49c5492b-b1bc-42a8-9a5c-b2015e810c1c", materials: [material()] };
/** In its blobs: a length, the key's ARN, the version of the material. The first two are not authenticated. */
const arnBytes = "arn:aws:kms:eu-west-1:111122223333:key/".length + aliased.id.length;

const skip = {
  "tells apart contexts that look the same when run together": "local-kms authenticates names and values run together",
  "refuses a wrapped key with any bit flipped": "local-kms does not authenticate the ARN in a blob; see below",
  "refuses a wrapped key that was cut or lengthened": "local-kms crashes at some lengths; see below",
};

for (const [name, open] of [
  ["aws on local-kms", async (kms: LocalKms, id: string) => (await openOn([kms], id))[0]],
  [
    "aws on local-kms behind the resilience layer",
    async (kms: LocalKms, id: string) => dependable(await openOn([kms], id), { time: realTime }),
  ],
] as const) {
  providerContract(
    name,
    async () => {
      const kms = await start("eu-west-1", aliased, another);
      return { provider: await open(kms, aliased.alias), other: await open(kms, another.id) };
    },
    { skip },
  );
}

describe("aws on local-kms", () => {
  let provider: Provider;
  let admin: KMSClient;
  beforeAll(async () => {
    const kms = await start("eu-west-1", aliased, another);
    [provider] = await openOn([kms], aliased.alias);
    admin = new KMSClient({ region: kms.region, endpoint: kms.url });
  });
  afterAll(async () => {
    admin.destroy();
    await provider.close();
  });

  it("refuses a wrapped key with any bit flipped, but for the ARN that the blob begins with", async () => {
    const { wrapped } = await provider.generateDataKey(context);
    for (let bit = 0; bit < wrapped.length * 8; bit += 1) {
      const byte = bit >> 3;
      if (byte >= 1 && byte <= arnBytes) continue;
      const flipped = Uint8Array.from(wrapped);
      flipped[byte]! ^= 1 << (bit & 7);
      expect(await thrownBy(() => provider.decrypt(flipped, context))).toBeKmsError("CIPHERTEXT_REJECTED");
    }
  });

  it("opens no wrapped key that was cut, whether local-kms refuses it or crashes", async () => {
    const { wrapped } = await provider.generateDataKey(context);
    const codes = new Set<unknown>();
    for (let length = 0; length < wrapped.length; length += 1) {
      const error = await thrownBy(() => provider.decrypt(wrapped.subarray(0, length), context));
      codes.add((error as { code?: string }).code);
    }
    expect([...codes].sort()).toEqual(["CIPHERTEXT_REJECTED", "PROVIDER_UNAVAILABLE"]);
  });

  it("says that a key is disabled, and works when it is enabled again", async () => {
    const { plaintext, wrapped } = await provider.generateDataKey(context);
    await admin.send(new DisableKeyCommand({ KeyId: aliased.id }));
    const error = await thrownBy(() => provider.decrypt(wrapped, context));
    expect(error).toBeKmsError("PROVIDER_DENIED", "disabled");
    expect(await provider.describe()).toMatchObject({ state: "disabled", detail: "Disabled" });
    await admin.send(new EnableKeyCommand({ KeyId: aliased.id }));
    expect(Buffer.compare(await provider.decrypt(wrapped, context), plaintext)).toBe(0);
  });

  it("says that a key is pending deletion, and when it goes", async () => {
    const [doomed] = await openOn([started.at(-1)!], another.id);
    await admin.send(new ScheduleKeyDeletionCommand({ KeyId: another.id, PendingWindowInDays: 7 }));
    expect(await thrownBy(() => doomed.generateDataKey(context))).toBeKmsError("PROVIDER_DENIED", "pending deletion");
    const { state, detail } = await doomed.describe();
    expect(state).toBe("disabled");
    expect(detail).toMatch(/^PendingDeletion, to be deleted on 20\d\d-/);
    await doomed.close();
  });
});

describe("aws on two local-kms", () => {
  it("opens after a rotation of the master key what was wrapped before", async () => {
    const older = material();
    const [before] = await openOn([await start("eu-west-1", { ...aliased, materials: [older] })], aliased.id);
    const [after] = await openOn(
      [await start("eu-west-1", { ...aliased, materials: [older, material()] })],
      aliased.id,
    );
    const { plaintext, wrapped } = await before.generateDataKey(context);
    expect(Buffer.compare(await after.decrypt(wrapped, context), plaintext)).toBe(0);
    const { wrapped: newer } = await after.generateDataKey(context);
    expect(await thrownBy(() => before.decrypt(newer, context))).toBeKmsError("CIPHERTEXT_REJECTED");
    await Promise.all([before.close(), after.close()]);
  });

  it("opens in one region what another wrapped under the same multi-Region key, under the same context alone", async () => {
    const key = { id: "mrk-1234abcd12ab34cd56ef1234567890ab", materials: [material()] };
    const [ireland, frankfurt] = [await start("eu-west-1", key), await start("eu-central-1", key)];
    const [first, second] = await openOn([ireland, frankfurt], key.id);
    expect(first.keyId).toBe(`arn:aws:kms:*:111122223333:key/${key.id}`);
    expect(second?.keyId).toBe(first.keyId);
    const { plaintext, wrapped } = await first.generateDataKey(context);
    expect(Buffer.compare(await second!.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(await thrownBy(() => second!.decrypt(wrapped, { ...context, purpose: "signing" }))).toBeKmsError(
      "CIPHERTEXT_REJECTED",
    );
    const both = dependable([first, second!], { time: realTime });
    await ireland.close();
    started.splice(started.indexOf(ireland), 1);
    expect(Buffer.compare(await both.decrypt(wrapped, context), plaintext)).toBe(0);
    expect(both.region).toBe("eu-central-1");
    await both.close();
  });
});
