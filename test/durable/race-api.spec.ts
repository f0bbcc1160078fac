/** Several real services on one store, over gRPC: rotations at once, and how soon one learns what another did to a key. */
import { setTimeout as delay } from "node:timers/promises";
import { status } from "@grpc/grpc-js";
import { describe, expect, it } from "vitest";
import { KeyPurpose } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import { plainSpan } from "../support/api-fixture.ts";
import { patience } from "./patience.ts";
import { newStore, serverOfFile, startServices, storeNames } from "./services.ts";

const server = await serverOfFile();

describe.skipIf(server === undefined)("services on one store", () => {
  const tenantId = "acme";
  const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];

  it("rotate a key once for one request id, and tell those that lose a race ABORTED", async () => {
    const services = await startServices(3, await newStore("postgres", server));
    await services[0]!.encryptPii({ tenantId, fields });
    const versions = async () =>
      (await services[0]!.admin.listKeys({ tenantId, purpose: KeyPurpose.DATA, pageSize: 1_000 })).keys;

    for (let round = 1; round <= 5; round++) {
      const before = (await versions()).length;
      const request = { tenantId, purpose: KeyPurpose.DATA, force: true, requestId: `round-${round}` };
      const answers = await Promise.all(services.map((service) => service.rotate(request)));
      expect(new Set(answers.map(({ rotated }) => rotated[0]?.key?.keyId)).size).toBe(1);
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(await versions()).toHaveLength(before + 1);
    }

    // One that is late may rotate the winner's key again: so every round counts winners, until some have lost.
    let aborted = 0;
    for (let round = 1; aborted === 0 || round <= 5; round++) {
      expect(round).toBeLessThanOrEqual(100);
      const before = (await versions()).length;
      const request = { tenantId, purpose: KeyPurpose.DATA, force: true };
      const answers = await Promise.all(services.map((service) => service.rotate(request)));
      const failures = answers.flatMap(({ failed }) => failed);
      for (const { error } of failures) expect(error).toMatchObject({ code: status.ABORTED });
      const keys = await versions();
      expect(keys).toHaveLength(before + services.length - failures.length);
      expect(keys.map(({ version }) => version?.version)).toEqual(keys.map((_, index) => index + 1));
      aborted += failures.length;
    }
  });

  it.each(storeNames)("refuse a key within a second after another of them disabled it, on %s", async (name) => {
    const [here, there] = await startServices(2, await newStore(name, server));
    const { keyId, fields: tokens } = await here!.encryptPii({ tenantId, fields });
    const { keyId: signingKeyId } = await here!.signSpan({ tenantId, span: plainSpan });

    /** What each use of the two keys comes to over there. */
    const uses = async () =>
      Promise.all([
        codeOf(there!.encryptPii({ tenantId, fields })),
        there!.decryptPii({ tenantId, fields: tokens }).then(codeOfFirst, ({ code }) => code),
        codeOf(there!.generateDataKey({ tenantId })),
        codeOf(there!.signSpan({ tenantId, span: plainSpan })),
      ]);
    const untilAll = async (code: status) => {
      const beganAt = performance.now();
      while ((await uses()).some((each) => each !== code)) await delay(5);
      return performance.now() - beganAt;
    };
    const waits: number[] = [];
    for (let round = 1; round <= 5; round++) {
      await untilAll(status.OK); // and all that was asked is cached over there
      await Promise.all([keyId, signingKeyId].map((each) => here!.admin.disableKey({ tenantId, keyId: each })));
      waits.push(await untilAll(status.FAILED_PRECONDITION));
      await Promise.all([keyId, signingKeyId].map((each) => here!.admin.enableKey({ tenantId, keyId: each })));
    }
    console.log(`${name}: a key that another disabled was refused after ${waits.map(Math.round).join(", ")} ms`);
    for (const wait of waits) expect(wait).toBeLessThan(patience(1_000));
  });
});

async function codeOf(call: Promise<unknown>): Promise<status> {
  return call.then(
    () => status.OK,
    ({ code }) => code,
  );
}

function codeOfFirst({
  fields,
}: {
  fields: readonly { result: { case?: string | undefined; value?: unknown } }[];
}): status {
  const { result } = fields[0]!;
  return result.case === "error" ? (result.value as { code: status }).code : status.OK;
}
