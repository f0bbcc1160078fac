/** What a policy for the service must allow at a key and what it must deny, tried by a client under it and by one that may do all. */
import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyRotationStatusCommand,
  type KMSClient,
} from "@aws-sdk/client-kms";
import { expect } from "vitest";

export const record = { tenant_id: "acme", purpose: "data", key_id: "0123456789abcdef0123456789abcdef" };
export const store = { purpose: "store", store_id: "0123456789abcdef0123456789abcdef" };
export const plaintext = Buffer.alloc(32, 1);
export const denied = { name: "AccessDeniedException" };

const { purpose, ...withoutPurpose } = record;
const { tenant_id, ...withoutTenant } = record;
const { key_id, ...withoutKey } = record;

/** Contexts that the service does not send. */
const foreign: Record<string, Record<string, string> | undefined> = {
  "no context": undefined,
  "an empty context": {},
  "another purpose": { ...record, purpose: "backup" },
  "a purpose in other letters": { ...record, purpose: "Data" },
  "no purpose": withoutPurpose,
  "a name in other letters": { ...withoutPurpose, Purpose: purpose },
  "no tenant": withoutTenant,
  "an empty tenant": { ...record, tenant_id: "" },
  "no key id": withoutKey,
  "one name more": { ...record, more: "1" },
  "the store's names for a tenant's purpose": { ...store, purpose: "data" },
  "a tenant's names for the store's purpose": { ...record, purpose: "store" },
  "no store id": { purpose: "store" },
};

interface Clients {
  service: KMSClient;
  operator: KMSClient;
}

export async function expectTheServiceAlone({ service, operator }: Clients, KeyId: string): Promise<void> {
  await service.send(new DescribeKeyCommand({ KeyId }));
  await service.send(new GetKeyRotationStatusCommand({ KeyId }));
  for (const EncryptionContext of [record, { ...record, purpose: "signing" }, store]) {
    const { CiphertextBlob } = await service.send(
      new EncryptCommand({ KeyId, Plaintext: plaintext, EncryptionContext }),
    );
    const opened = await service.send(new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext }));
    expect(Buffer.from(opened.Plaintext!)).toEqual(plaintext);
  }
  const generate = (EncryptionContext: Record<string, string> | undefined) =>
    service.send(new GenerateDataKeyCommand({ KeyId, KeySpec: "AES_256", EncryptionContext }));
  await generate(record);
  await expect(generate(store), "a data key for the store").rejects.toMatchObject(denied);
  for (const [name, EncryptionContext] of Object.entries(foreign)) {
    const wrap = new EncryptCommand({ KeyId, Plaintext: plaintext, EncryptionContext });
    // Which is good for one that may do all: it is the context that the service is denied.
    const { CiphertextBlob } = await operator.send(wrap);
    const open = new DecryptCommand({ KeyId, CiphertextBlob, EncryptionContext });
    await operator.send(open);
    await expect(service.send(wrap), `Encrypt under ${name}`).rejects.toMatchObject(denied);
    await expect(service.send(open), `Decrypt under ${name}`).rejects.toMatchObject(denied);
    await expect(generate(EncryptionContext), `GenerateDataKey under ${name}`).rejects.toMatchObject(denied);
  }
}
