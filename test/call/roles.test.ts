/** The closed set of roles, and the role that each rpc needs. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { mixedRoles, rolesApartFrom } from "../../src/auth/policy/separation.ts";
import { type Role, roleOf, roles } from "../../src/call/roles.ts";

/** The specification's table, as rpcs by role; roles that are no rpc's have none. */
const specified: Record<Role, readonly string[]> = {
  sign: ["SignSpan", "SignSpans"],
  verify: ["VerifySpan", "GetPublicKeys", "GetCheckpoint", "GetInclusionProof", "GetConsistencyProof"],
  encrypt: ["EncryptPii"],
  "re-encrypt": ["ReEncryptPii"],
  decrypt: ["DecryptPii"],
  "generate-data-key": ["GenerateDataKey"],
  "decrypt-data-key": ["DecryptDataKey"],
  status: ["Status", "ListKeys"],
  metrics: [],
  operate: ["Rotate", "Validate"],
  audit: ["ListAuditEvents", "VerifyAudit"],
  "key-admin": ["DisableKey", "EnableKey", "CancelKeyDestruction", "RewrapKeys", "AcceptRollback"],
  "mark-compromised": ["MarkKeyCompromised"],
  destroy: ["ScheduleKeyDestruction"],
  "break-glass": [],
};

const services = [KmsService, KeyAdminService, LogService];
const methods = services.flatMap((service) =>
  Object.values(service.method as Record<string, { name: string; localName: string }>),
);

describe("the roles", () => {
  it("are fifteen", () => {
    expect(roles).toHaveLength(15);
    expect([...roles].sort()).toEqual(Object.keys(specified).sort());
  });

  it("are what the specification's table gives to each of the 25 rpcs", () => {
    expect(methods).toHaveLength(25);
    for (const { name, localName } of methods) {
      const role = roleOf[localName as keyof typeof roleOf];
      expect(
        Object.keys(specified).filter((each) => specified[each as Role].includes(name)),
        name,
      ).toEqual([role]);
    }
    expect(Object.keys(roleOf).sort()).toEqual(methods.map(({ localName }) => localName).sort());
  });

  it("cannot be changed while the service runs", () => {
    expect(Object.isFrozen(roleOf)).toBe(true);
  });

  it.each(services.map((service) => [service.typeName.split(".").at(-1)!, service] as const))(
    "are named by the comment of each rpc: %s",
    (name, service) => {
      const file = name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toLowerCase();
      const proto = readFileSync(new URL(`../../proto/fluo/kms/v1/${file}.proto`, import.meta.url), "utf8");
      for (const method of Object.values(service.method as Record<string, { name: string; localName: string }>)) {
        const comment = new RegExp(`((?: *//.*\\n)+) *rpc ${method.name}\\(`).exec(proto)?.[1];
        expect(comment, method.name).toMatch(
          new RegExp(`// Role: ${roleOf[method.localName as keyof typeof roleOf]}[.,;]`),
        );
      }
    },
  );
});

describe("separation", () => {
  const why = "who may decrypt may not destroy";
  const pairs = new Map<string, string>([
    ["decrypt destroy", why],
    ["decrypt-data-key destroy", why],
    ["break-glass destroy", why],
    ["sign mark-compromised", "who may sign may not mark a key as compromised"],
  ]);

  it("keeps four pairs of roles apart, and no other", () => {
    for (const one of roles) {
      for (const other of roles) {
        const expected = pairs.get(`${one} ${other}`) ?? pairs.get(`${other} ${one}`);
        expect(mixedRoles(new Set([one, other])), `${one} ${other}`).toBe(expected);
        expect(rolesApartFrom(other).includes(one), `${one} ${other}`).toBe(pairs.has(`${one} ${other}`));
      }
    }
    expect(mixedRoles(new Set(roles))).toBeDefined();
    expect(mixedRoles(new Set())).toBeUndefined();
  });
});
