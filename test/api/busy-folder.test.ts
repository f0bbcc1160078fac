/**
 * Rights that end while a log, a database and a file of somebody else are written beside the policy: within two seconds by
 * the service's own time, on both ports. Once with files that are replaced, and once with folders as Kubernetes mounts them.
 */
import { appendFileSync, cpSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type AttackedWorld, startAttacked } from "../support/attacked-service.ts";
import type { Shown } from "../support/both-ports.ts";
import { newAuthority } from "../support/pki.ts";
import { type Json, testKey, tokenBy } from "../support/signed-tokens.ts";
import { accepted, certificateRefused, notAccepted, type ToldTwice, unnamed } from "../support/told.ts";
import { virtualTime } from "../support/virtual-time.ts";

const [web, edge] = [newAuthority({ name: "web" }), newAuthority({ name: "edge" })];
const [webLeaf, edgeLeaf] = [web.issue({ dns: ["a.web.test"] }), edge.issue({ dns: ["a.edge.test"] })];
const key = testKey("ES256", "k");
const keySet = (...keys: Json[]) => JSON.stringify({ keys });

const files = {
  "web.pem": web.pem,
  "web.crl": web.crl(),
  "edge.pem": edge.pem,
  "edge.crl": edge.crl(),
  "keys.json": keySet(key.jwk),
};
type Files = Record<string, string>;

const signs = (name: string, who: string) => `  - { name: ${name}, who: ${who}, roles: [sign], tenants: [acme] }\n`;
const ofApp = signs("app", "{ token: app }");
const rules =
  ofApp +
  signs("web", "{ dns: { certificates: web, name: a.web.test } }") +
  signs("edge", "{ dns: { certificates: edge, name: a.edge.test } }") +
  signs("batch", "{ jwt: { issuer: file, subject: batch } }");

const time = virtualTime({ start: new Date(), finished: afterAll });

function startBusy(): Promise<AttackedWorld> {
  return startAttacked({
    files,
    rules,
    tokens: ["app"],
    time,
    more: `certificates:
  - { name: web, dns: [.web.test], ca: web.pem, crl: web.crl }
  - { name: edge, dns: [.edge.test], ca: edge.pem, crl: edge.crl }
`,
    otherIssuers: `  - { name: file, issuer: "https://file.test", jwks-file: keys.json, audience: fluo-kms }\n`,
  });
}

/** Replaces files in the policy's folder. */
function replaceIn(folder: string, changed: Files): void {
  for (const [name, text] of Object.entries(changed)) {
    writeFileSync(join(folder, `${name}.new`), text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
  }
}

/** Has the policy and its files lead over `..data`, and returns what has that lead to changed ones. */
function mountAll({ dir, policy }: AttackedWorld): (changed: Files) => void {
  const all: Files = { ...files, "policy.yaml": policy };
  let version = 1;
  mkdirSync(join(dir, "..1"));
  for (const [name, text] of Object.entries(all)) writeFileSync(join(dir, "..1", name), text);
  symlinkSync("..1", join(dir, "..data"));
  for (const name of Object.keys(all)) {
    symlinkSync(join("..data", name), join(dir, `${name}.link`));
    renameSync(join(dir, `${name}.link`), join(dir, name));
  }
  return (changed) => {
    const former = `..${version}`;
    version += 1;
    const next = `..${version}`;
    cpSync(join(dir, former), join(dir, next), { recursive: true });
    for (const [name, text] of Object.entries(changed)) writeFileSync(join(dir, next, name), text);
    symlinkSync(next, join(dir, "..data_tmp"));
    renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
  };
}

const beside = ["kms.log", "kms.db", "kms.db-wal", "report.csv"];

describe.runIf(process.platform === "linux").each(["replaced", "mounted"] as const)("files that are %s", (layout) => {
  let world: AttackedWorld;
  let change: (changed: Files) => void;
  beforeAll(async () => {
    world = await startBusy();
    change = layout === "replaced" ? (changed) => replaceIn(world.dir, changed) : mountAll(world);
    await passBusily(3_000);
  });
  afterAll(() => world.stop());

  /** Time in which other files are written, and calls made, ten times a second. */
  async function passBusily(ms: number): Promise<void> {
    const authorization = `Bearer ${world.tokens.auditor}`;
    for (let passed = 0; passed < ms; passed += 100) {
      for (const name of beside) appendFileSync(join(world.dir, name), "a line\n");
      expect(await world.ask({ authorization }, {}, "generateDataKey")).toEqual(accepted);
      await time.advance(100);
    }
  }

  const batch = () => {
    const second = Math.floor(time.now().getTime() / 1_000);
    const claims = { iss: "https://file.test", aud: "fluo-kms", sub: "batch", iat: second, exp: second + 600 };
    return { authorization: `Bearer ${tokenBy(key, claims)}` };
  };
  const reissued = newAuthority({ name: "edge" });

  it.each<[string, () => Files, () => Shown, ToldTwice]>([
    [
      "a rule",
      () => ({ "policy.yaml": world.policy.replace(ofApp, "") }),
      () => ({ authorization: `Bearer ${world.tokens.app}` }),
      unnamed,
    ],
    [
      "an authority",
      () => ({ "edge.pem": reissued.pem, "edge.crl": reissued.crl() }),
      () => ({ certificate: edgeLeaf }),
      certificateRefused,
    ],
    [
      "a revocation list",
      () => ({ "web.crl": web.crl([webLeaf]) }),
      () => ({ certificate: webLeaf }),
      certificateRefused,
    ],
    ["a key of an issuer", () => ({ "keys.json": keySet(testKey("ES256", "other").jwk) }), batch, notAccepted],
  ])("end the rights that %s gave", async (_, changed, shown, refused) => {
    expect(await world.ask(shown())).toEqual(accepted);
    change(changed());
    await passBusily(2_000);
    expect(await world.ask(shown())).toEqual(refused);
  });

  it("put a policy in force once the file is there for which it was refused", async () => {
    const late = newAuthority({ name: "late" });
    const certificate = late.issue({ dns: ["a.late.test"] });
    const entry = "  - { name: late, dns: [.late.test], ca: late/ca.pem, crl: late/list.crl }\n";
    const policy = `${world.policy.replace("issuers:\n", `${entry}issuers:\n`)}${signs("late", "{ dns: { certificates: late, name: a.late.test } }")}`;
    change({ "policy.yaml": policy });
    await passBusily(2_000);
    expect(await world.ask({ certificate })).toEqual(certificateRefused);
    mkdirSync(join(world.dir, "late"));
    writeFileSync(join(world.dir, "late", "ca.pem"), late.pem);
    writeFileSync(join(world.dir, "late", "list.crl"), late.crl());
    await passBusily(60_000);
    expect(await world.ask({ certificate })).toEqual(accepted);
    writeFileSync(join(world.dir, "late", "list.crl"), late.crl([certificate]));
    await passBusily(2_000);
    expect(await world.ask({ certificate })).toEqual(certificateRefused);
  });
});
