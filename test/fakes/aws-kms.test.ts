/** The fake AWS KMS itself, where a test that leans on it would not notice that it is lax. */
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  KMSClient,
} from "@aws-sdk/client-kms";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { thrownBy } from "../support/matchers.ts";
import { type AwsKmsFake, startAwsKms } from "./aws-kms.ts";
import { rotateMaterial } from "./aws-kms-keys.ts";

const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" };

describe("the fake AWS KMS", () => {
  let kms: AwsKmsFake;
  let client: KMSClient;
  beforeAll(async () => {
    kms = await startAwsKms({ region: "eu-west-1" });
    client = new KMSClient({ region: kms.region, endpoint: kms.url, credentials, maxAttempts: 1 });
  });
  afterAll(async () => {
    client.destroy();
    await kms.close();
  });

  const nameOf = async (call: () => Promise<unknown>) => ((await thrownBy(call)) as Error).name;
  const dataKey = (KeyId: string) => client.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256" }));

  it("refuses a request that is not signed, or for another region", async () => {
    const key = kms.createKey();
    const headers = { "X-Amz-Target": "TrentService.DescribeKey" };
    const bare = await fetch(kms.url, { method: "POST", headers, body: JSON.stringify({ KeyId: key.id }) });
    expect(bare.status).toBe(400);
    expect(await bare.json()).toMatchObject({ __type: "MissingAuthenticationTokenException" });
    const elsewhere = new KMSClient({ region: "us-east-1", endpoint: kms.url, credentials, maxAttempts: 1 });
    const describeKey = () => elsewhere.send(new DescribeKeyCommand({ KeyId: key.id }));
    expect(await nameOf(describeKey)).toBe("InvalidSignatureException");
    elsewhere.destroy();
  });

  it("tells a blob of another key from one that is not whole, and opens one without KeyId, which it counts", async () => {
    const [key, other] = [kms.createKey(), kms.createKey()];
    const { CiphertextBlob, Plaintext } = await dataKey(key.id);
    const decrypt = (blob: Uint8Array | undefined, KeyId?: string) =>
      client.send(new DecryptCommand({ CiphertextBlob: blob, ...(KeyId && { KeyId }) }));
    expect(await nameOf(() => decrypt(CiphertextBlob, other.id))).toBe("IncorrectKeyException");
    expect(await nameOf(() => decrypt(CiphertextBlob!.subarray(1), key.id))).toBe("InvalidCiphertextException");
    expect(await nameOf(() => decrypt(new Uint8Array(6145), key.id))).toBe("ValidationException");
    expect(kms.decryptsWithoutKeyId).toBe(0);
    expect((await decrypt(CiphertextBlob)).Plaintext).toEqual(Plaintext);
    expect(kms.decryptsWithoutKeyId).toBe(1);
  });

  it("refuses more plaintext than AWS takes", async () => {
    const encrypt = (bytes: number) =>
      client.send(new EncryptCommand({ KeyId: kms.createKey().id, Plaintext: new Uint8Array(bytes) }));
    expect((await encrypt(4096)).CiphertextBlob).toBeDefined();
    for (const bytes of [0, 4097]) expect(await nameOf(() => encrypt(bytes))).toBe("ValidationException");
  });

  it("opens after a rotation what was wrapped before", async () => {
    const key = kms.createKey();
    const { CiphertextBlob, Plaintext } = await dataKey(key.id);
    rotateMaterial(key);
    expect((await dataKey(key.id)).CiphertextBlob).not.toEqual(CiphertextBlob);
    expect((await client.send(new DecryptCommand({ KeyId: key.id, CiphertextBlob }))).Plaintext).toEqual(Plaintext);
  });

  it("binds the context, but when told not to", async () => {
    const { id: KeyId } = kms.createKey();
    const { CiphertextBlob } = await client.send(
      new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext: { a: "b" } }),
    );
    const decrypt = () => client.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext: { a: "c" } }));
    expect(await nameOf(decrypt)).toBe("InvalidCiphertextException");
    await kms.fault({ ignoresContext: true });
    const { CiphertextBlob: unbound } = await dataKey(KeyId);
    await client.send(new DecryptCommand({ KeyId, CiphertextBlob: unbound, EncryptionContext: { a: "c" } }));
    await kms.heal();
  });

  it("throttles the share of requests that it is told to, evenly", async () => {
    const key = kms.createKey();
    await kms.fault({ throttled: 0.3 });
    const outcomes: string[] = [];
    for (let n = 0; n < 10; n += 1)
      outcomes.push(
        await dataKey(key.id).then(
          () => "ok",
          ({ name }) => name,
        ),
      );
    expect(outcomes.filter((outcome) => outcome === "ThrottlingException")).toHaveLength(3);
    expect(outcomes.slice(0, 3)).toEqual(["ok", "ok", "ok"]);
    await kms.heal();
    expect((await dataKey(key.id)).Plaintext).toHaveLength(32);
  });

  it("comes back on its port after it was refused, reset and failing", async () => {
    const key = kms.createKey();
    for (const mode of ["refused", "resetting", "500", "503"] as const) {
      await kms.fault({ mode });
      await thrownBy(() => dataKey(key.id));
      await kms.heal();
      expect((await dataKey(key.id)).Plaintext).toHaveLength(32);
    }
    expect(kms.url).toBe(`http://127.0.0.1:${kms.port}`);
  });
});
