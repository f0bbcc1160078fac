/** What the tools get from a service under a policy without a credential, and with one that is not accepted. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runTool, startTools, type ToolsService } from "../tools.ts";

let service: ToolsService;
let open: ToolsService;
beforeAll(async () => {
  [service, open] = await Promise.all([startTools(), startTools({ FLUO_KMS_OPEN: "reflection" })]);
});
afterAll(() => Promise.all([service.end(), open.end()]));

/** Options that trust the service, and show nothing of the caller. */
const trusting = ({ grpcurlOptions }: ToolsService) => grpcurlOptions().slice(0, 2);
const forged = ["-H", `authorization: Bearer fkt_${"A".repeat(43)}`];
const protos = ["-import-path", "proto", "-proto", "fluo/kms/v1/kms_service.proto"];

function list(at: ToolsService, ...options: string[]) {
  return runTool("grpcurl", [...trusting(at), ...options, at.grpc, "list"]);
}

describe("grpcurl", () => {
  it.each([
    ["without a credential", [], "no credential"],
    ["with a token that is not the policy's", forged, "the token is not accepted"],
  ])("is refused a call and reflection %s", (_how, options, text) => {
    const listed = list(service, ...options);
    expect(listed.code).not.toBe(0);
    expect(listed.err).toContain(text);
    const called = runTool("grpcurl", [
      ...[...trusting(service), ...options, ...protos, "-d", "{}"],
      ...[service.grpc, "fluo.kms.v1.KmsService/Status"],
    ]);
    expect(called.err).toMatch(new RegExp(`Code: Unauthenticated\\s+Message: ${text}`));
  });

  it("is refused by a caller's certificate what its rule does not give", () => {
    const call = (rpc: string) =>
      runTool("grpcurl", [...service.grpcurlOptions(), "-d", "{}", service.grpc, `fluo.kms.v1.KmsService/${rpc}`]);
    expect(call("Status")).toMatchObject({ code: 0 });
    expect(call("Validate").err).toMatch(
      /Code: PermissionDenied\s+Message: the caller may not operate for all tenants/,
    );
  });

  it("has reflection without a credential where it is open, and nothing else", () => {
    expect(list(open).out).toContain("fluo.kms.v1.KmsService");
    const called = runTool("grpcurl", [...trusting(open), "-d", "{}", open.grpc, "fluo.kms.v1.KmsService/Status"]);
    expect(called.err).toMatch(/Code: Unauthenticated/);
  });

  it("does not reach the service in plain text", () => {
    const { code, out } = runTool("grpcurl", ["-plaintext", "-max-time", "5", service.grpc, "list"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
  });
});

describe("grpc-health-probe", () => {
  it("is served without a credential by default, and refused where health is not open", () => {
    const probe = (at: ToolsService) => runTool("grpc-health-probe", [`-addr=${at.grpc}`, ...at.probeOptions]);
    expect(probe(service)).toMatchObject({ code: 0, err: expect.stringContaining("SERVING") });
    expect(probe(open).code).not.toBe(0);
  });

  it("does not trust the service without its authority", () => {
    expect(runTool("grpc-health-probe", [`-addr=${service.grpc}`, "-tls"]).code).not.toBe(0);
  });
});
