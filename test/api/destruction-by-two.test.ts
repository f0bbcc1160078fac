/** Attack 53: destruction that takes two callers, on both ports. One alone, or two of one rule, leave a key as it is. */
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import type { Shown } from "../support/both-ports.ts";
import { fromNow } from "../support/from-now.ts";
import type { Json } from "../support/signed-tokens.ts";
import { accepted } from "../support/told.ts";

const rule = (name: string, who: string, roles: string) =>
  `  - { name: ${name}, who: { jwt: { issuer: sso, ${who} } }, roles: [${roles}], tenants: "*" }\n`;

let service: AttackedWorld;
beforeAll(async () => {
  service = await startAttacked({
    more: "destruction: two-person\n",
    tokens: ["shift"],
    rules: [
      rule("ops", "claims: { team: ops }", "destroy"),
      rule("destroyers", "subject: bert", "destroy"),
      '  - { name: shift, who: { token: shift }, roles: [destroy], tenants: "*" }\n',
      rule("keepers", "subject: keeper", "key-admin, generate-data-key, status"),
    ].join(""),
  });
});
afterEach(() => void vi.useRealTimers());
afterAll(() => service.stop());

const by = (sub: string, claims: Json = {}): Shown => ({
  authorization: `Bearer ${service.token({ sub, ...claims })}`,
});
const anna = () => by("anna", { team: "ops" });
const carl = () => by("carl", { team: "ops" });
const { scheduleKeyDestruction, listKeys } = KeyAdminService.method;
const dayMs = 24 * 3_600_000;

describe.each(["grpc", "http"] as const)("by %s", (port) => {
  it("is as it was for its own requester, one of the same rule, after 7 days, and with other days", async () => {
    const tenantId = `by-${port}`;
    const made = await service.call(port, by("keeper"), { tenantId }, "generateDataKey");
    const { keyId } = made.answer as { keyId: string };
    const schedule = async (shown: Shown, days = 0) => {
      const { told, answer } = await service.call(port, shown, { tenantId, keyId, days }, scheduleKeyDestruction);
      return { told, key: answer?.key as Json };
    };
    const state = async () => {
      const { answer } = await service.call(port, by("keeper"), { tenantId }, listKeys);
      return (answer as { keys: { state: string }[] }).keys[0]!.state;
    };

    const first = await schedule(anna(), 9);
    expect(first.told).toMatchObject(accepted.grpc);
    expect(first.key).toMatchObject({ destroyRequestedBy: "jwt:sso:anna", destroyRequestedDays: 9 });
    expect(first.key).not.toHaveProperty("destroyConfirmedBy");
    expect(await schedule(anna(), 9)).toEqual(first);
    expect(await schedule(carl())).toEqual(first);
    const other = await schedule(by("bert"), 10);
    expect(other.told).toMatchObject({ code: "INVALID_ARGUMENT", reason: "INVALID_ARGUMENT" });
    expect(await state()).toBe("KEY_STATE_ACTIVE");

    vi.useFakeTimers({ toFake: ["Date"], now: fromNow(7 * dayMs) });
    const late = await schedule(by("bert"), 10);
    expect(late.key).toMatchObject({ destroyRequestedBy: "jwt:sso:bert", destroyRequestedDays: 10 });
    expect(await state()).toBe("KEY_STATE_ACTIVE");
    const confirmed = await schedule(anna());
    expect(confirmed.key).toMatchObject({
      state: "KEY_STATE_DESTROY_SCHEDULED",
      destroyRequestedBy: "jwt:sso:bert",
      destroyConfirmedBy: "jwt:sso:anna",
    });
  });
});

it("a static token is one caller, though a reload gives it and its rule another name", async () => {
  const shift = { authorization: `Bearer ${service.tokens.shift}` };
  const tenantId = "renamed";
  const made = await service.call("grpc", by("keeper"), { tenantId }, "generateDataKey");
  const { keyId } = made.answer as { keyId: string };
  const schedule = async (shown: Shown) => {
    const { answer } = await service.call("grpc", shown, { tenantId, keyId }, scheduleKeyDestruction);
    return answer?.key as Json;
  };
  const requested = await schedule(shift);
  expect(requested).toMatchObject({ destroyRequestedBy: "token:shift", state: "KEY_STATE_ACTIVE" });
  await service.replace(service.policy.replaceAll("shift", "night"));
  expect(await schedule(shift)).toEqual(requested);
  expect(await schedule(by("bert"))).toMatchObject({
    state: "KEY_STATE_DESTROY_SCHEDULED",
    destroyConfirmedBy: "jwt:sso:bert",
  });
});
