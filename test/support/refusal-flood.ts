/** A caller that floods the service with refusals beside one whose few refusals tell something: the rows that are left, in a SQLite file. */
import { create } from "@bufbuild/protobuf";
import { DecryptDataKeyRequestSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { DisableKeyRequestSchema } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { EncryptPiiRequestSchema } from "../../gen/ts/fluo/kms/v1/pii_pb.ts";
import type { Caller } from "../../src/call/context.ts";
import { KmsError } from "../../src/errors.ts";
import { call, setUp } from "./service-fixture.ts";
import { sqliteBackdoor, unlocked } from "./store-fixture.ts";

/** Key ids that nobody has: a number from 0 on, as 32 hex digits. */
export const madeUpKey = (n: number) => n.toString(16).padStart(32, "0");

/** One who may use no key of the tenant that is named. */
const stranger: Partial<Caller> = {
  authorize() {
    throw new KmsError("PERMISSION_DENIED", "not yours");
  },
};

type Ask = (name: string, n: number) => unknown;

/** `eve` is refused `count` times, a third of them before `ann`'s three; each of eve's names is another. */
export async function refusalFlood(count: number) {
  const door = sqliteBackdoor();
  const store = await unlocked(await door.open());
  const { kms, admin, trail } = setUp(({ ...memory }) => ({ ...memory, appendAudit: store.appendAudit }));

  const usesAnothersKey: Ask = (name, n) =>
    kms.encryptPii(create(EncryptPiiRequestSchema, { tenantId: `tenant-${n}` }), call({ name, ...stranger }));
  const disablesNoKey: Ask = (name, n) =>
    admin.disableKey(create(DisableKeyRequestSchema, { tenantId: "acme", keyId: madeUpKey(n) }), call({ name }));
  const opensForgery: Ask = (name, n) => {
    const ciphertextBlob = Buffer.concat([Buffer.of(1, 2), Buffer.from(madeUpKey(n), "hex"), Buffer.alloc(80)]);
    return kms.decryptDataKey(
      create(DecryptDataKeyRequestSchema, { tenantId: "acme", ciphertextBlob }),
      call({ name }),
    );
  };
  const kinds = [usesAnothersKey, disablesNoKey, opensForgery];

  const before = process.cpuUsage();
  for (let n = 0; n < count; n += 1) {
    if (n === Math.floor(count / 3)) for (const ask of kinds) await refused(() => ask("ann", 0xacce55));
    await refused(() => kinds[n % 3]!("eve", n));
  }
  const { user, system } = process.cpuUsage(before);
  await trail.close();
  const columns = "actor, action, tenant_id, key_id, outcome, count, distinct_names, detail";
  const rows = await door.sql(`select ${columns} from kms_audit order by id`);
  await store.close();
  return { rows, cpuUsEach: (user + system) / count };
}

async function refused(ask: () => unknown): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (error instanceof KmsError) return;
    throw error;
  }
  throw new Error("it was not refused");
}
