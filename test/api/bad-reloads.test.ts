/** Attack 42: files that are no good when they are read anew. The former stay in force on both ports, and those who look hear why. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import { newAuthority } from "../support/pki.ts";
import { accepted } from "../support/told.ts";
import { virtualTime } from "../support/virtual-time.ts";

const mesh = newAuthority({ name: "mesh" });
const issued = mesh.issue({ uris: ["spiffe://example.org/ingest"] });

const time = virtualTime({ start: new Date(), finished: afterAll });
let service: AttackedWorld;
let good: Record<string, string>;
beforeAll(async () => {
  service = await startAttacked({
    more: "certificates:\n  - { name: mesh, trust-domain: example.org, ca: mesh.pem }\n",
    files: { "mesh.pem": mesh.pem },
    time,
    rules: `  - { name: ingest, who: { spiffe: "spiffe://example.org/ingest" }, roles: [sign], tenants: [acme] }\n`,
  });
  good = { "policy.yaml": service.policy, "mesh.pem": mesh.pem, ...service.newServerFiles() };
  await write(good);
});
afterAll(() => service.stop());

/** A certificate that does not load is read again four times, after 200 ms each. */
function write(files: Record<string, string>): Promise<void> {
  return time.until(service.write(files));
}

async function notices(): Promise<string> {
  const headers = { authorization: `Bearer ${service.tokens.auditor}` };
  return (await service.http("/api/admin/kms/status", { headers })).body;
}

const half = (text: string) => text.slice(0, text.length / 2);
const written: [string, (name: string) => string][] = [
  ["half-written", (name) => half(good[name]!)],
  ["empty", () => ""],
  ["filled with something else", () => "x".repeat(1_000)],
];

it.each(
  ["server.pem", "server.key", "mesh.pem", "policy.yaml"].flatMap((name) =>
    written.map(([what, textOf]) => [name, what, textOf] as const),
  ),
)("%s that is %s changes nothing", async (name, _, textOf) => {
  const lines = service.log().length;
  await write({ [name]: textOf(name) });
  expect(service.log().slice(lines)).toContain(name.startsWith("server") ? "is not in force" : "the former one is");
  expect(await service.ask({ certificate: issued })).toEqual(accepted);
  if (!name.startsWith("server")) expect(await notices()).toContain("is not in force, and the former one is");
  await write(good);
  expect(await service.ask({ certificate: issued })).toEqual(accepted);
  expect(await notices()).not.toContain("is not in force");
});

it.each(Object.keys({ "server.pem": 0, "server.key": 0, "mesh.pem": 0, "policy.yaml": 0 }))(
  "%s that cannot be read changes nothing",
  async (name) => {
    const file = join(service.dir, name);
    renameSync(file, `${file}.away`);
    mkdirSync(file);
    await write({});
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
    rmSync(file, { recursive: true });
    await write({});
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
    renameSync(`${file}.away`, file);
    await write({});
    expect(await service.ask({ certificate: issued })).toEqual(accepted);
  },
);

it("a key that does not fit, and a policy with one bad rule, change nothing; good ones come into force", async () => {
  const { "server.key": other } = service.newServerFiles();
  await write({ "server.key": other! });
  expect(await service.ask({ certificate: issued })).toEqual(accepted);
  await write({ ...good, "policy.yaml": `${service.policy}  - { name: Bad }\n` });
  expect(await service.ask({ certificate: issued })).toEqual(accepted);
  expect(await notices()).toContain("is not in force, and the former one is: line");
  await write({ ...good, ...service.newServerFiles() });
  expect(await service.ask({ certificate: issued })).toEqual(accepted);
  expect(await notices()).not.toContain("is not in force");
});
