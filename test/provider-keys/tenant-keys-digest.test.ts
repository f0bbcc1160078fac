/** The digest of tenants' provider keys: the same wherever the same is in effect, and without any secret. */
import { expect, it } from "vitest";
import type { ProviderSettings } from "../../src/provider/registry.ts";
import type { VaultLogin } from "../../src/provider/vault/settings.ts";
import { tenantKeysSha256 } from "../../src/provider-keys/tenant-keys-digest.ts";

const aws = (masterKeyId: string, more: object = {}): ProviderSettings => ({
  name: "aws",
  places: [{ region: "eu-west-1", masterKeyId, endpoint: undefined, ...more }],
  profile: undefined,
});
const vault = (login: VaultLogin): ProviderSettings => ({
  name: "vault",
  addr: "https://vault.example.org",
  namespace: undefined,
  caFile: undefined,
  mount: "transit",
  key: "acme",
  login,
});
const token = (text: string): VaultLogin => ({ method: "token", token: text, tokenFile: undefined });

type Entries<Value> = readonly (readonly [string, Value])[];
const digest = (keys: Entries<ProviderSettings>, tenants: Entries<string>) =>
  tenantKeysSha256({ providerKeys: new Map(keys), tenants: new Map(tenants) });

it("is one of nothing, too", () => {
  expect(digest([], [])).toMatch(/^[0-9a-f]{64}$/);
});

it("is the same in whatever order keys and tenants were read", () => {
  const [a, b] = [["a", aws("a")] as const, ["b", aws("b")] as const];
  const [t1, t2] = [["t1", "a"] as const, ["t2", "b"] as const];
  expect(digest([a, b], [t1, t2])).toBe(digest([b, a], [t2, t1]));
});

it("is another where anything is that tells which key a tenant has", () => {
  const all = [
    digest([], []),
    digest([["a", aws("a")]], []),
    digest([["a", aws("a")]], [["t1", "a"]]),
    digest([["a", aws("a")]], [["t2", "a"]]),
    digest([["b", aws("a")]], [["t1", "b"]]),
    digest([["a", aws("b")]], [["t1", "a"]]),
    digest([["a", aws("a", { region: "eu-west-2" })]], [["t1", "a"]]),
    digest([["a", aws("a", { endpoint: "https://kms.example.org" })]], [["t1", "a"]]),
    digest([["a", { name: "local", masterKeyFile: "/a" }]], [["t1", "a"]]),
    digest([["a", { name: "local", masterKeyFile: "/b" }]], [["t1", "a"]]),
    digest([["a", { name: "gcp", key: "a", endpoint: undefined, credentialsFile: undefined }]], [["t1", "a"]]),
    digest([["a", { name: "gcp", key: "a", endpoint: undefined, credentialsFile: "/a" }]], [["t1", "a"]]),
    digest([["a", vault(token("s"))]], [["t1", "a"]]),
    digest([["a", vault({ method: "token", token: undefined, tokenFile: "/a" })]], [["t1", "a"]]),
    digest([["a", vault({ method: "kubernetes", mount: "k", role: "r", tokenFile: "/a" })]], [["t1", "a"]]),
    digest([["a", vault({ method: "kubernetes", mount: "k", role: "s", tokenFile: "/a" })]], [["t1", "a"]]),
  ];
  expect(new Set(all).size).toBe(all.length);
});

it("is the same whatever the secrets are", () => {
  const of = (login: VaultLogin) => digest([["a", vault(login)]], [["t1", "a"]]);
  expect(of(token("one"))).toBe(of(token("other")));
  const approle = (secretId: string, roleId: string): VaultLogin => ({
    method: "approle",
    mount: "approle",
    roleId,
    secretId,
    secretIdFile: undefined,
  });
  expect(of(approle("one", "role"))).toBe(of(approle("other", "another role")));
});
