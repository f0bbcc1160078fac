import { afterAll, beforeAll, expect, it } from "vitest";
import { runTool, startTools, type ToolsService } from "./tools.ts";

/** As the probe's documentation numbers them. */
const exitCode = { serving: 0, unreachable: 2, failed: 3 };

let service: ToolsService;
beforeAll(async () => {
  service = await startTools();
});
afterAll(async () => {
  await service.end();
});

function probe(...args: string[]) {
  return runTool("grpc-health-probe", [`-addr=${service.grpc}`, ...service.probeOptions, ...args]);
}

it.each(["", "fluo.kms.v1.KmsService", "fluo.kms.v1.KeyAdminService"])('finds service "%s" serving', (name) => {
  expect(probe(`-service=${name}`)).toMatchObject({
    code: exitCode.serving,
    err: expect.stringMatching(/status: SERVING/),
  });
});

it("does not find a service that is none", () => {
  expect(probe("-service=fluo.kms.v1.Other")).toMatchObject({
    code: exitCode.failed,
    err: expect.stringMatching(/NotFound/),
  });
});

it("does not reach a service that was stopped, which ends with 0", async () => {
  const other = await startTools();
  const probed = [`-addr=${other.grpc}`, ...other.probeOptions];
  expect(runTool("grpc-health-probe", probed)).toMatchObject({ code: exitCode.serving });
  expect(await other.end()).toBe(0);
  expect(runTool("grpc-health-probe", [...probed, "-connect-timeout=1s"])).toMatchObject({
    code: exitCode.unreachable,
  });
});
