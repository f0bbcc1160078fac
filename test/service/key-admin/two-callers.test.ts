/** ScheduleKeyDestruction and CancelKeyDestruction by two callers of a policy, over a real store and its trail. */
import { noHeads } from "../../../src/store/heads/keeper.ts";
import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import {
  CancelKeyDestructionRequestSchema,
  DisableKeyRequestSchema,
  ListKeysRequestSchema,
  ScheduleKeyDestructionRequestSchema,
} from "../../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { ListAuditEventsRequestSchema } from "../../../gen/ts/fluo/kms/v1/audit_pb.ts";
import { KeyState } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import { verifyAudit } from "../../../src/audit/verify-trail.ts";
import { keyAdminHandlers } from "../../../src/service/key-admin/handlers.ts";
import { anyone } from "../../../src/transport/authenticate.ts";
import { dayMs, setUp } from "../../support/keys-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { realTime } from "../../../src/runtime/time.ts";
import { createTurns } from "../../../src/runtime/turns/one-at-a-time.ts";

const tenantId = "acme";

async function begun() {
  const { keyring, store, time } = setUp({ needsTwo: () => true });
  const { keyId } = await keyring.activeDataKey(tenantId);
  const admin = keyAdminHandlers({
    auditTurns: createTurns({ time: realTime }),
    lifecycle: keyring,
    rewrap: keyring,
    current: { provider: "local", providerKeyId: "" },
    store,
    heads: noHeads,
    verifyAudit: () => verifyAudit(store),
  });
  const as = (name: string, rule: string) => ({
    caller: { ...anyone, name, rule: () => rule },
    signal: new AbortController().signal,
  });
  const schedule = async (call: ReturnType<typeof as>, days = 0) =>
    (await admin.scheduleKeyDestruction(create(ScheduleKeyDestructionRequestSchema, { tenantId, keyId, days }), call))
      .key!;
  const cancel = async (call: ReturnType<typeof as>) =>
    (await admin.cancelKeyDestruction(create(CancelKeyDestructionRequestSchema, { tenantId, keyId }), call)).key!;
  const shown = async () => (await admin.listKeys(create(ListKeysRequestSchema, { tenantId }), anna)).keys[0]!;
  const trail = async () => {
    const { events } = await admin.listAuditEvents(create(ListAuditEventsRequestSchema, { tenantId }), anna);
    return events.slice(1).map(({ action, actor, rule }) => `${action} ${actor} ${rule}`);
  };
  const anna = as("token:anna", "ops");
  const bert = as("jwt:sso:bert", "destroyers");
  return { admin, schedule, cancel, shown, trail, time, store, keyId, as, anna, bert };
}

describe("attack 53", () => {
  it("one caller alone schedules nothing, however often and by whatever days it asks", async () => {
    const { schedule, shown, anna, trail } = await begun();
    const requested = await schedule(anna, 9);
    expect(requested).toMatchObject({
      state: KeyState.ACTIVE,
      destroyRequestedBy: "token:anna",
      destroyRequestedDays: 9,
      destroyConfirmedBy: "",
    });
    expect(requested.destroyAt).toBeUndefined();
    for (const days of [0, 9]) expect(await schedule(anna, days)).toEqual(requested);
    expect(await thrownBy(() => schedule(anna, 10))).toBeKmsError("INVALID_ARGUMENT", "days");
    expect(await shown()).toEqual(requested);
    expect(await trail()).toEqual(["request_destruction token:anna ops"]);
  });

  it("nor do two of one rule, nor a second after 7 days; another by another rule does, with the days of the first", async () => {
    const { schedule, as, anna, bert, time, trail, store } = await begun();
    const requested = await schedule(anna, 9);
    expect(await schedule(as("token:carl", "ops"))).toEqual(requested);
    time.ms = 7 * dayMs;
    expect(await schedule(bert)).toMatchObject({
      state: KeyState.ACTIVE,
      destroyRequestedBy: "jwt:sso:bert",
      destroyRequestedDays: 30,
    });
    const scheduled = await schedule(anna);
    expect(scheduled).toMatchObject({
      state: KeyState.DESTROY_SCHEDULED,
      destroyRequestedBy: "jwt:sso:bert",
      destroyConfirmedBy: "token:anna",
      destroyRequestedDays: 0,
    });
    expect(scheduled.destroyRequestedAt).toBeUndefined();
    expect(await trail()).toEqual([
      "request_destruction token:anna ops",
      "request_destruction jwt:sso:bert destroyers",
      "schedule_destruction token:anna ops",
    ]);
    expect((await verifyAudit(store)).problems).toEqual([]);
  });
});

it("whoever administers keys cancels a request, in the state that the key has by then", async () => {
  const { admin, schedule, cancel, anna, as, keyId, trail } = await begun();
  await schedule(anna);
  const keeper = as("token:keeper", "keepers");
  await admin.disableKey(create(DisableKeyRequestSchema, { tenantId, keyId }), keeper);
  expect(await cancel(keeper)).toMatchObject({
    state: KeyState.DISABLED,
    previousState: KeyState.ACTIVE,
    destroyRequestedBy: "",
    destroyRequestedDays: 0,
  });
  expect(await trail()).toEqual([
    "request_destruction token:anna ops",
    "disable token:keeper keepers",
    "cancel_destruction_request token:keeper keepers",
  ]);
});
