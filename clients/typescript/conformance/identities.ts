/** Who the client is: certificates and tokens, and what it does not do with them. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcKms, type GrpcOptions } from "@fluo/kms/node";
import { failureOf, newChecks } from "./checks.ts";
import type { World } from "./world.ts";

export async function identities(world: World): Promise<number> {
  const { tls, tokens, tenant, service } = world;
  const [first, second, bad] = tokens;
  const { check, end } = newChecks();
  const overTls: GrpcOptions = { target: tls.service, caFile: tls.ca };

  /** The codes of so many calls, "ok" for one that succeeds. */
  async function calls(options: GrpcOptions, count = 1): Promise<string[]> {
    const kms = createGrpcKms(options);
    const codes: string[] = [];
    try {
      for (let i = 0; i < count; i += 1)
        codes.push(
          await kms.generateDataKey({ tenantId: tenant }).then(
            () => "ok",
            (error: unknown) => Code[ConnectError.from(error).code],
          ),
        );
      return codes;
    } finally {
      kms.close();
    }
  }

  await check("a client certificate", async () => {
    deepEqual(await calls({ ...overTls, certificateFile: tls.certificate, keyFile: tls.key }), ["ok"]);
  });
  await check("a token function that is asked for each call", async () => {
    const given = [first, bad, second];
    deepEqual(await calls({ ...overTls, token: async () => given.shift()! }, 3), ["ok", "Unauthenticated", "ok"]);
    equal(given.length, 0);
  });
  await check("no credential", async () => deepEqual(await calls(overTls), ["Unauthenticated"]));
  await check("a bad token", async () => deepEqual(await calls({ ...overTls, token: () => bad }), ["Unauthenticated"]));
  await check("another authority", async () => {
    deepEqual(await calls({ ...overTls, caFile: tls.otherCa, token: () => first }), ["Unavailable"]);
  });
  await check("a token in cleartext", async () => {
    let asked = 0;
    const token = () => {
      asked += 1;
      return first;
    };
    const refusal = await failureOf(calls({ target: "192.0.2.1:9000", insecure: true, token }));
    match((refusal as Error).message, /TLS/);
    ok(!(refusal as Error).message.includes(first), "the token is in the message");
    equal(asked, 0);
    if (service !== undefined) deepEqual(await calls({ target: service, insecure: true, token }), ["ok"]);
  });
  return end();
}
