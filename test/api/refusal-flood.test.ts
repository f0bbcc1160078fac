/** Callers under a policy that are refused, one of them often and with made-up tenants: what the auditor finds of whom. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { afterStep } from "../support/after-step.ts";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { denied, unnamed } from "../support/told.ts";

interface Row {
  at: string;
  actor: string;
  action: string;
  tenantId?: string;
  outcome: string;
  count: string;
  names?: string;
  firstAt?: string;
}

let service: AttackedWorld;
beforeAll(async () => {
  const encrypts = (name: string) =>
    `  - { name: ${name}, who: { jwt: { issuer: sso, subject: ${name} } }, roles: [encrypt], tenants: [acme] }\n`;
  service = await startAttacked({ rules: `${encrypts("ann")}${encrypts("eve")}` });
});
afterAll(() => service.stop());

async function refusals(): Promise<Row[]> {
  const headers = { "content-type": "application/json", authorization: `Bearer ${service.tokens.auditor}` };
  const path = "/fluo.kms.v1.KeyAdminService/ListAuditEvents";
  const { body } = await service.http(path, { method: "POST", headers, body: JSON.stringify({ pageSize: 1_000 }) });
  const { events = [] } = JSON.parse(body) as { events?: Row[] };
  return events.filter(({ outcome }) => outcome !== "OK");
}

it("finds every refusal of the one by name, the first of the other, and none of whom no rule names", async () => {
  const shown = (sub: string) => ({ authorization: `Bearer ${service.token({ sub })}` });
  const [ann, eve, stranger] = [shown("ann"), shown("eve"), shown("stranger")];
  const flood = async (from: number) => {
    for (let n = from; n < from + 100; n += 1) {
      const { told } = await service.call("grpc", eve, { tenantId: `made-up-${n}` }, "generateDataKey");
      expect(told).toMatchObject(denied("generate-data-key").grpc);
    }
  };
  await flood(0);
  expect(await service.ask(stranger, { tenantId: "acme" }, "generateDataKey")).toEqual(unnamed);
  for (const tenantId of ["globex", "initech", "umbrella"]) {
    expect(await service.ask(ann, { tenantId }, "generateDataKey")).toEqual(denied("generate-data-key"));
  }
  await flood(100);

  const of = (rows: readonly Row[], name: string) => rows.filter(({ actor }) => actor === `jwt:sso:${name}`);
  const isCounted = ({ firstAt }: Row) => firstAt !== undefined;
  const counts = async (name: string) => {
    const named = new Map<string, number>();
    for (const { tenantId = "", count } of of(await refusals(), name)) {
      named.set(tenantId, (named.get(tenantId) ?? 0) + Number(count));
    }
    return Object.fromEntries(named);
  };
  // Once by each port.
  await afterStep("audit.flushed", async () => {
    expect(await counts("ann")).toEqual({ globex: 2, initech: 2, umbrella: 2 });
    expect(of(await refusals(), "eve").some(isCounted)).toBe(true);
  });
  const rows = await refusals();
  const at = of(rows, "eve").map((row) => Date.parse(row.at));
  const minutes = 2 + Math.floor((Math.max(...at) - Math.min(...at)) / 60_000);
  expect(of(rows, "eve").filter((row) => !isCounted(row)).length).toBeLessThanOrEqual(16 * minutes);
  for (const { tenantId, count, names } of of(rows, "eve").filter(isCounted)) {
    expect(names).toBe(count);
    if (count !== "1") expect(tenantId).toBeUndefined();
  }
  expect(of(rows, "stranger")).toEqual([]);
});
