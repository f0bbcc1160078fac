/** Files that are wrong, differ or are about to end. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromNow } from "../../support/from-now.ts";
import { newAuthority } from "../../support/pki.ts";
import { serverFiles } from "../site.ts";
import type { Cause } from "./cause.ts";

const day = 86_400_000;
const reloadFailed = (unit: string) => ({ name: "KmsReloadFailed", labels: { unit } });
const expires = (of: string) => ({ name: "KmsCertificateExpires", labels: { of } });

/** The service's own sources as those of another version, in the folder `sources`. */
function copyOfVersion(dir: string, version: string): void {
  const root = join(import.meta.dirname, "..", "..", "..");
  const to = join(dir, "sources");
  for (const name of ["src", "gen"]) cpSync(join(root, name), join(to, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(to, "node_modules"));
  const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(join(to, "package.json"), JSON.stringify({ ...own, version }));
}

export const configuration: readonly Cause[] = [
  {
    name: "files-broken",
    site: { whole: true },
    begin({ site, services }) {
      site.write({ "policy.yaml": "version: 1\nrules: none\n", "server.pem": "no PEM\n" });
      site.write({ "tenants.properties": "fluo.kms.tenants.globex.provider-key=nobody\n" });
      services[0]!.child.kill("SIGHUP");
    },
    fires: [reloadFailed("policy"), reloadFailed("tls"), reloadFailed("tenants")],
    restarted: "gone",
    end({ site, services }) {
      site.write({ ...serverFiles(site.authorities.server), "policy.yaml": site.policy });
      site.write({ "tenants.properties": "" });
      services[0]!.child.kill("SIGHUP");
    },
  },
  {
    name: "replicas-differ",
    store: "postgres",
    site: { whole: true },
    replicas: 2,
    prepare({ site }) {
      site.write({ "other-policy.yaml": site.policy, "other-tenants.properties": "" });
      copyOfVersion(site.dir, "9.9.9");
    },
    start: (place, { dir }) =>
      place === 0
        ? {}
        : {
            env: {
              FLUO_KMS_POLICY_FILE: join(dir, "other-policy.yaml"),
              FLUO_KMS_TENANTS_FILE: join(dir, "other-tenants.properties"),
            },
            options: { enter: ["/bin/sh", "-c", `exec "$0" ${join(dir, "sources", "src", "main.js")}`] },
          },
    begin: ({ site }) => site.write({ "other-policy.yaml": `# another\n${site.policy}` }),
    fires: [{ name: "KmsPolicyDiffers" }, { name: "KmsTenantKeysDiffer" }, { name: "KmsTwoVersions" }],
    end({ site, services }) {
      site.write({ "other-policy.yaml": site.policy, "tenants.properties": "" });
      for (const { child } of services) child.kill("SIGHUP");
    },
    // The other version goes on.
    linger: [{ name: "KmsTwoVersions" }],
  },
  {
    name: "certificates-end",
    site: { whole: true },
    begin({ site }) {
      const until = fromNow(10 * 60_000);
      site.write(serverFiles(site.authorities.server, until));
      const callers = newAuthority({ name: "callers", until: fromNow(day / 3) });
      site.write({ "callers.pem": callers.pem, "callers.crl": callers.crl() });
    },
    fires: [expires("tls"), expires("authority")],
    pages: ["KmsCertificateExpires"],
    end({ site }) {
      const { server, callers } = site.authorities;
      site.write({ ...serverFiles(server), "callers.pem": callers.pem, "callers.crl": callers.crl() });
    },
  },
];
