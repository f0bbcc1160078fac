/** A policy with a caller of every kind, for tests that print what it says. */
import { newAuthority } from "./pki.ts";
import { testKey } from "./signed-tokens.ts";

const sha256s = { admin: "0".repeat(64), app: "1".repeat(64) };

export const policyText = `version: 1
certificates:
  - { name: mesh, trust-domain: example.org, ca: mesh.pem }
  - { name: web, dns: [.local], ca: web.pem }
  - { name: lan, dns: [.lan], ca: lan.pem }
issuers:
  - { name: sso, issuer: https://sso.example.org, audience: [fluo-kms, kms], ca: sso.pem, jwks-file: sso.json }
  - { name: spire, trust-domain: example.org, bundle-file: bundle.json, audience: fluo-kms }
tokens:
  - { name: admin, sha256: "${sha256s.admin}", expires: 2027-06-30 }
  - { name: app, sha256: "${sha256s.app}" }
rules:
  - { name: ingest, who: { spiffe: "spiffe://example.org/ingest" }, roles: [encrypt, sign], tenants: "*" }
  - name: site
    who: { dns: { certificates: web, name: "*.{tenant}.local" } }
    roles: [encrypt]
    tenants: { captured: [acme, globex-*] }
  - name: support
    who: { jwt: { issuer: sso, subject: "u:*", claims: { /realm/roles: support, level: "7" } } }
    roles: [decrypt]
    tenants: { claim: kms_tenants, within: [acme, globex-*] }
    limit: 50
  - { name: admin, who: { token: admin }, roles: [operate, key-admin], tenants: "*" }
  - { name: eraser, who: { token: admin }, roles: [destroy], tenants: [acme] }
  - { name: reader, who: { token: admin }, roles: [decrypt], tenants: [acme, beta] }
`;

const pem = () => newAuthority().pem;
const keySet = (use: string) => JSON.stringify({ keys: [testKey("ES256", "k", { use }).jwk] });

/** The files that it names, relative to its own folder. */
export const namedFiles = {
  "mesh.pem": pem(),
  "web.pem": pem(),
  "lan.pem": pem(),
  "sso.pem": pem(),
  "sso.json": keySet("sig"),
  "bundle.json": keySet("jwt-svid"),
};
