/** What is tried again, and when. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import { detailsOf } from "@fluo/kms";
import { failureOf, newChecks } from "./checks.ts";
import { grpcKms, type World } from "./world.ts";

export async function pushback(world: World): Promise<number> {
  const kms = grpcKms(world);
  const { check, end } = newChecks();
  const fails = async (call: Promise<unknown>, code: Code) => {
    const error = ConnectError.from(await failureOf(call));
    equal(Code[error.code], Code[code]);
    return error;
  };
  const status = (tenantId: string) => kms.status({ tenantId });

  await check("UNAVAILABLE twice, then an answer", async () => void (await status("unavailable-twice")));
  await check("a pushback is waited for", async () => {
    const startedAt = performance.now();
    await status("exhausted-once");
    ok(performance.now() - startedAt >= 1_500, "came too early");
  });
  await check("never again", async () => void (await fails(status("never"), Code.Unavailable)));
  await check("always unavailable", async () => void (await fails(status("always"), Code.Unavailable)));
  await check("an invalid argument", async () => void (await fails(status("invalid"), Code.InvalidArgument)));
  await check("details", async () => {
    const error = await fails(status("details"), Code.ResourceExhausted);
    const fields = [{ field: "a.b", description: "too many" }];
    deepEqual(detailsOf(error), { reason: "QUOTA", fields, retryAfterMs: 7_500 });
  });
  await check("LogService is repeated", async () => {
    await kms.log.getCheckpoint({ tenantId: "unavailable-twice" });
  });
  await check("KeyAdminService reads again", async () => {
    await kms.admin.listKeys({ tenantId: "unavailable-twice" });
  });
  const tenantId = "always";
  await check("Rotate is not repeated", async () => void (await fails(kms.rotate({ tenantId }), Code.Unavailable)));
  await check("Validate is not repeated", async () => void (await fails(kms.validate({ tenantId }), Code.Unavailable)));
  await check("VerifyAudit is not repeated", async () => {
    await fails(kms.admin.verifyAudit({}), Code.Unavailable);
  });
  await check("DisableKey is not repeated", async () => {
    await fails(kms.admin.disableKey({ tenantId }), Code.Unavailable);
  });
  kms.close();
  return end();
}
