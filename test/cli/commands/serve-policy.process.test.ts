/** A start under a policy: what is wrong with it is told with all else that is wrong with the configuration. */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { newAuthority } from "../../support/pki.ts";
import { tokenPolicy } from "../../support/token-policy.ts";
import { startProcess } from "../../support/service-process.ts";

const { text: good, tokens } = tokenPolicy({ admin: { roles: ["operate", "key-admin", "status"] } });
const policy = { FLUO_KMS_AUTH: "policy", FLUO_KMS_POLICY_FILE: "policy.yaml" };
/** In which the provider alone is wrong. */
const production = { ...policy, FLUO_KMS_PROFILE: "prod", FLUO_KMS_ISSUER: "kms.example.com" };
const local =
  "fluo.kms.provider: local is for development; in profile prod use a provider whose master key is elsewhere";
const badPolicy = `version: 1
issuers:
  - { name: sso, issuer: http://sso.example.org, audience: fluo-kms }
certificates:
  - { name: web, dns: [.local], ca: web.pem }
rules:
  - { name: r, who: { jwt: { issuer: sso, subject: ann } }, roles: [operate, key-admin], tenants: "*" }
`;

async function problemsOf(cwd: string, env: Record<string, string>, enter: readonly string[] = []): Promise<string[]> {
  const { code, out, err } = await run(["serve"], { cwd, env, enter });
  expect({ code, out }).toEqual({ code: 2, out: "" });
  return err.trimEnd().replaceAll(cwd, "…").split("\n");
}

describe("attack 64: production does not start, exits with 2, and tells of all at once:", () => {
  it("none, another address than loopback, and a key that others can read", async () => {
    const { chain, key } = newAuthority().issue({ dns: ["localhost"] });
    const cwd = directory({ "server.pem": chain, "server.key": key });
    chmodSync(join(cwd, "server.key"), 0o644);
    const tls = { FLUO_KMS_TLS_CERTIFICATE: "server.pem", FLUO_KMS_TLS_KEY: "server.key" };
    const env = { ...production, ...tls, FLUO_KMS_AUTH: "none", FLUO_KMS_HOST: "0.0.0.0" };
    expect(await problemsOf(cwd, env)).toEqual([
      expect.stringMatching(/^fluo\.kms\.host: 0\.0\.0\.0 is not a loopback address, and with fluo\.kms\.auth=none/),
      expect.stringMatching(/^fluo\.kms\.auth: none lets everybody .*; in profile prod set policy/),
      "fluo.kms.policy.file: is set, and fluo.kms.auth is none; set policy",
      "fluo.kms.tls.key: …/server.key can be read by every user of this machine; chmod o= it, or mount a Kubernetes Secret with defaultMode: 0440 and a fsGroup",
      local,
    ]);
  });

  it("an http: issuer, an authority that is not there, a file that others can write, and no TLS", async () => {
    const cwd = directory({ "policy.yaml": badPolicy });
    chmodSync(join(cwd, "policy.yaml"), 0o666);
    expect(await problemsOf(cwd, { ...production, FLUO_KMS_HOST: "0.0.0.0", KMS_CACHE_TTL: "soon" })).toEqual([
      expect.stringMatching(/^kms\.cache\.ttl \(environment KMS_CACHE_TTL\): must be a duration/),
      expect.stringMatching(/^fluo\.kms\.tls\.certificate: is missing, and 0\.0\.0\.0 is not a loopback address/),
      local,
      "…/policy.yaml:1: …/policy.yaml can be written by everybody: chmod o-w, or mount it read-only",
      "…/policy.yaml:3: issuer sso: http://sso.example.org is not https: whoever is on the way can give tokens; use https",
      "…/policy.yaml:5: certificates web: ca …/web.pem cannot be read (ENOENT)",
    ]);
  });
});

describe("in every profile", () => {
  it("a policy that is wrong is told line by line, in JSON too, and nothing starts", async () => {
    const cwd = directory({ "policy.yaml": "version: 1\nrules:\n  - { name: r, roles: [sing], tenants: a }\n  - 7\n" });
    const { code, out } = await run(["serve", "--json"], { cwd, env: { ...policy, KMS_CACHE_TTL: "soon" } });
    expect(code).toBe(2);
    const { fields } = JSON.parse(out);
    expect(fields.map(({ field }: { field: string }) => field.replace(cwd, "…"))).toEqual([
      ...["kms.cache.ttl (environment KMS_CACHE_TTL)", "…/policy.yaml:3", "…/policy.yaml:3", "…/policy.yaml:4"],
    ]);
  });

  it("a policy that is not there, and a key set, are told; issuers are not asked", async () => {
    expect(await problemsOf(directory(), policy)).toEqual(["…/policy.yaml:1: cannot be read (ENOENT)"]);
    const issuers = ["jwks-file: keys.json", "jwks: https://127.0.0.1:9/keys"].map(
      (keys, at) => `  - { name: i${at}, issuer: https://i${at}.invalid, audience: a, ${keys} }`,
    );
    const text = good.replace("version: 1", `version: 1\nissuers:\n${issuers.join("\n")}`);
    expect(await problemsOf(directory({ "policy.yaml": text }), policy)).toEqual([
      "…/policy.yaml:3: issuer i0: jwks-file …/keys.json cannot be read (ENOENT)",
    ]);
  });

  it("certificates behind a proxy that speaks TLS are refused", async () => {
    const cwd = directory({ "policy.yaml": badPolicy.replace("http:", "https:"), "web.pem": newAuthority().pem });
    expect(await problemsOf(cwd, { ...policy, FLUO_KMS_TLS_TERMINATED: "true" })).toEqual([
      "…/policy.yaml:5: certificates: fluo.kms.tls.terminated is true, so no certificate of a client reaches the service: take them out",
    ]);
  });
});

it("backup and check do not ask the policy, whose files may be elsewhere", async () => {
  const cwd = directory({ "policy.yaml": badPolicy });
  const store = { FLUO_KMS_SQLITE_FILE: "kms.db", FLUO_KMS_LOCAL_MASTER_KEY_FILE: "master.key" };
  for (const args of [["check"], ["backup", "out.db"]]) {
    const { code, err } = await run(args, { cwd, env: { ...policy, ...store } });
    expect(code).toBe(1);
    expect(err).toMatch(/there is no (master key|SQLite store) at /);
    expect(err).not.toContain("policy");
  }
});

it("in dev it starts with a key and a policy that others can touch, and warns", async () => {
  const authority = newAuthority();
  const { chain, key } = authority.issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"] });
  const cwd = directory({ "policy.yaml": good, "server.pem": chain, "server.key": key, "ca.pem": authority.pem });
  chmodSync(join(cwd, "server.key"), 0o644);
  chmodSync(join(cwd, "policy.yaml"), 0o646);
  const environment = { ...policy, FLUO_KMS_LOG_LEVEL: "info" };
  const service = await startProcess(
    { ...environment, FLUO_KMS_TLS_CERTIFICATE: "server.pem", FLUO_KMS_TLS_KEY: "server.key" },
    { cwd },
  );
  const warnings = service.log.filter((line) => line.includes('"level":40'));
  expect(warnings.join("\n")).toContain("server.key can be read by every user of this machine");
  expect(warnings.join("\n")).toContain("the policy: line 1: ");
  expect(warnings.join("\n")).not.toContain(tokens.admin);
  service.child.kill("SIGTERM");
  expect((await service.ended).code).toBe(0);
});

const canMount = process.platform === "linux" && spawnSync("unshare", ["-rm", "true"]).status === 0;

describe.skipIf(!canMount && !process.env.CI)(
  "a volume with the rights of everybody, as Kubernetes mounts them",
  () => {
    /** With a link ..data to the files, and links to them beside it. */
    function volume(): string {
      const cwd = directory();
      mkdirSync(join(cwd, "volume", "..2026"), { recursive: true });
      writeFileSync(join(cwd, "volume", "..2026", "policy.yaml"), good);
      symlinkSync("..2026", join(cwd, "volume", "..data"));
      symlinkSync("..data/policy.yaml", join(cwd, "volume", "policy.yaml"));
      chmodSync(join(cwd, "volume"), 0o777);
      chmodSync(join(cwd, "volume", "..2026"), 0o777);
      return cwd;
    }
    const env = { ...production, FLUO_KMS_POLICY_FILE: "volume/policy.yaml" };
    const mounted = (options: string) => {
      const script = `mount --bind volume volume && mount -o remount,bind,${options} volume && exec "$@"`;
      return ["unshare", "-rm", "sh", "-c", script, "sh"];
    };

    it("is accepted in production if it is mounted read-only", async () => {
      expect(await problemsOf(volume(), env, mounted("ro"))).toEqual([local]);
    });

    it("is refused there if it can be written", async () => {
      expect(await problemsOf(volume(), env, mounted("rw"))).toEqual([
        local,
        "…/volume/policy.yaml:1: …/volume can be written by everybody, in which …/volume/policy.yaml can be replaced: chmod o-w, or mount it read-only",
      ]);
    });

    it("is refused for a file beside it, in a folder that can be written, that links to it", async () => {
      const cwd = volume();
      mkdirSync(join(cwd, "open"));
      chmodSync(join(cwd, "open"), 0o777);
      symlinkSync("../volume/..data/policy.yaml", join(cwd, "open", "policy.yaml"));
      expect(await problemsOf(cwd, { ...env, FLUO_KMS_POLICY_FILE: "open/policy.yaml" }, mounted("ro"))).toEqual([
        local,
        expect.stringContaining("…/open can be written by everybody, in which …/open/policy.yaml can be replaced"),
      ]);
    });
  },
);

it("SIGHUP reads the policy anew though a setting is wrong, which is told", async () => {
  const cwd = directory({ "policy.yaml": good });
  const service = await startProcess({ ...policy, FLUO_KMS_LOG_LEVEL: "info" }, { cwd });
  const loads = () => service.log.filter((line) => line.includes("a policy is in force")).length;
  let said = "";
  service.child.stderr!.on("data", (data) => {
    said += String(data);
  });
  expect(loads()).toBe(1);
  writeFileSync(join(cwd, "application.properties"), "kms.cache.ttl=soon\n");
  service.child.kill("SIGHUP");
  await expect.poll(loads).toBe(2);
  await expect.poll(() => said).toContain("the configuration has problems, so the former one holds");
  service.child.kill("SIGTERM");
  expect((await service.ended).code).toBe(0);
});
