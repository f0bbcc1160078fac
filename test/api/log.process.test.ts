/** What the service's log says of requests, at its most talkative: never what was in them. */
import { expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { startProcess } from "../support/service-process.ts";

const secret = "4111111111111111";

it("holds neither values of good requests nor what a parser could not read of bad ones", async () => {
  const service = await startProcess({ FLUO_KMS_LOG_LEVEL: "trace" });
  const post = (path: string, body: string) =>
    fetch(service.http + path, { method: "POST", headers: { "content-type": "application/json" }, body });
  const rpc = (name: string, body: string) => post(`/${KmsService.typeName}/${name}`, body);
  const value = Buffer.from(secret).toString("base64");
  const encrypted = await rpc("EncryptPii", `{"tenantId":"acme","fields":[{"name":"card","value":"${value}"}]}`);
  const { fields } = (await encrypted.json()) as { fields: [{ name: string; token: string }] };
  await rpc("DecryptPii", JSON.stringify({ tenantId: "acme", fields }));
  await rpc("DecryptPii", JSON.stringify({ tenantId: "acme", fields: [{ ...fields[0], name: "phone" }] }));
  await rpc("EncryptPii", `{"tenantId":"acme","fields":[{"name":"card","value":${secret}}]}`);
  await rpc("EncryptPii", `{"tenantId":"acme","fields":"${secret}"}`);
  await rpc("GenerateDataKey", `{"tenantId":"acme","keySpec":"${secret}"}`);
  await rpc("GenerateDataKey", `{"tenantId":"acme","encryptionContext":{"a":${secret}}}`);
  await post("/api/admin/kms/rotate", `{"tenant_id": ${secret}x}`);
  service.child.kill("SIGTERM");
  const { code, err } = await service.ended;
  expect(code).toBe(0);
  const log = service.log.join("\n");
  expect(log).toContain("call failed");
  expect(log).toContain("call answered");
  for (const seen of [log, err]) {
    expect(seen).not.toContain(secret);
    expect(seen).not.toContain(value);
    expect(seen).not.toContain(fields[0].token);
  }
});
