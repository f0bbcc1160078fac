/** `whoami` against a service with a door under a policy, and one without authentication. */
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { StatusResponseSchema } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { run } from "../../support/cli-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { policySha256, underPolicy } from "../../support/policy-door.ts";
import { startTransports } from "../../support/transports-fixture.ts";

const policy = `
version: 1
issuers:
  - { name: sso, issuer: "https://sso.example.org", audience: fluo-kms }
rules:
  - { name: ann, who: { jwt: { issuer: sso, subject: ann } }, roles: [decrypt], tenants: [acme, globex-*] }
  - { name: everybody, who: { jwt: { issuer: sso, claims: { roles: kms } } }, roles: [operate, status], tenants: "*" }
  - { name: own, who: { jwt: { issuer: sso, subject: ann } }, roles: [verify], tenants: { claim: tenants } }
`;
const jwt = { kind: "jwt", issuer: "sso" } as const;
const callers = {
  ann: { ...jwt, subject: "ann", claims: { roles: "kms" } },
  bob: { ...jwt, subject: "bob\u001b[2J", claims: {} },
};

async function start(withPolicy: boolean, untilMs?: number) {
  const { door } = underPolicy({ policy, callers, ...(untilMs && { untilMs }) });
  const handlers = { status: () => create(StatusResponseSchema) };
  const { url, stop } = await startTransports(handlers, withPolicy ? { door } : {});
  onTestFinished(stop);
  return (token: string | undefined, ...args: string[]) => {
    const env = { FLUO_KMS_ADDR: url, ...(token !== undefined && { FLUO_KMS_TOKEN_FILE: tokenFile(token) }) };
    return run(args.length === 0 ? ["whoami"] : args, { env });
  };
}

function tokenFile(content: string): string {
  const file = join(directory(), "token");
  writeFileSync(file, content);
  chmodSync(file, 0o600);
  return file;
}

it("prints the caller's name, its end, and what each rule gives it", async () => {
  const command = await start(true, Date.UTC(2027, 5, 30));
  expect(await command("ann")).toEqual({
    code: 0,
    err: "",
    out: `name    jwt:sso:ann
kind    jwt
until   2027-06-30T00:00:00.000Z
policy  ${policySha256}
rules
  ann        decrypt          acme, globex-*
  everybody  status, operate  all tenants
  own        verify           no tenant
`,
  });
});

it("prints JSON as the service wrote it", async () => {
  const command = await start(true);
  const { code, out } = await command("ann", "whoami", "--json");
  expect([code, JSON.parse(out)]).toMatchObject([
    0,
    { name: "jwt:sso:ann", kind: "jwt", grants: [{ rule: "ann" }, {}, {}] },
  ]);
  expect(out.split("\n")).toHaveLength(2);
});

it("answers a caller whom no rule names, who is sent here by every other command", async () => {
  const command = await start(true);
  expect(await command("bob")).toEqual({
    code: 0,
    err: "",
    out: `name    jwt:sso:bob?[2J\nkind    jwt\npolicy  ${policySha256}\nno rule names this caller: it may do nothing\n`,
  });
  const refused = await command("bob", "status");
  expect(refused).toEqual({
    code: 1,
    out: "",
    err: "fluo-kms: PERMISSION_DENIED: no rule names this caller; fluo-kms whoami says who that is: the policy needs a rule for it\n",
  });
});

it.each([
  ["no credential", undefined],
  ["the token is not accepted", "other"],
])("is refused to a stranger: %s", async (message, token) => {
  const command = await start(true);
  const { code, out, err } = await command(token);
  expect([code, out]).toEqual([1, ""]);
  expect(err.startsWith(`fluo-kms: UNAUTHENTICATED: ${message}; `)).toBe(true);
});

it("prints without authentication what switches it on", async () => {
  const command = await start(false);
  expect(await command(undefined)).toEqual({
    code: 0,
    err: "",
    out: `name  anonymous
kind  anonymous
Authentication is none: whoever can connect may do everything. To change that, and start the service again:
  (umask 077; npx fluo-kms policy new > admin.token)
  printf '%s\\n' fluo.kms.auth=policy fluo.kms.policy.file=policy/policy.yaml >> application.properties
  export FLUO_KMS_TOKEN_FILE=admin.token
`,
  });
});
