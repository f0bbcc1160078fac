/** JSON numbers that JSON.parse would round: what is signed must be what was sent. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { type RunningService, startService } from "../support/running-service.ts";
import { expectNoKeys } from "../support/api-fixture.ts";

let kms: RunningService;
beforeAll(async () => {
  kms = await startService();
});
afterAll(() => kms.stop());

async function sign(tenantId: string, members: string): Promise<{ status: number; text: string }> {
  const span = `{"traceId":"AQIDBAUGBwgJCgsMDQ4PEA==","spanId":"AQIDBAUGBwg=",${members}}`;
  const response = await fetch(`${kms.url}/${KmsService.typeName}/SignSpan`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: `{"tenantId":"${tenantId}","span":${span}}`,
  });
  return { status: response.status, text: await response.text() };
}

it.each([
  ["start_time_unix_nano", '"startTimeUnixNano":18446744073709551616'],
  ["end_time_unix_nano", '"end_time_unix_nano":" 17"'],
  ["end_time_unix_nano", '"endTimeUnixNano":"0x11"'],
  ["start_time_unix_nano", '"startTimeUnixNano":1.00000000000000000001'],
  ["int_value", '"attributes":[{"key":"a","value":{"intValue":9223372036854775807.5}}]'],
  ["dropped_events_count", '"droppedEventsCount":"+3"'],
  ["kind", '"kind":1.5'],
  ["trace_state", '"traceState":9007199254740993'],
  ["bytes_value", '"attributes":[{"key":"a","value":{"bytesValue":"YR=="}}]'],
  ["bytes_value", '"attributes":[{"key":"a","value":{"bytesValue":"YQ==YQ=="}}]'],
  ["bytes_value", '"attributes":[{"key":"a","value":{"bytesValue":" YQ=="}}]'],
])("refuses %s in %s, and makes no key", async (field, members) => {
  const { status, text } = await sign("rounded", members);
  expect(status).toBe(400);
  expect(JSON.parse(text)).toMatchObject({ code: "invalid_argument", message: expect.stringContaining(`${field}: `) });
  await expectNoKeys(kms, "rounded");
});

it.each([
  '"startTimeUnixNano":"1700000000000000001"',
  '"startTimeUnixNano":1700000000000000001',
  '"attributes":[{"key":"a","value":{"bytesValue":"-_8"}}]',
  '"startTimeUnixNano":1.700000000000000001e18',
  '"attributes":[{"key":"a","value":{"intValue":9223372036854775807}}]',
  '"startTimeUnixNano":9007199254740991',
  '"kind":1.0',
  '"attributes":[{"key":"a","value":{"doubleValue":1e300}},{"key":"b","value":{"double_value":0.1000000000000000055}}]',
])("signs %s", async (members) => {
  expect((await sign("exact", members)).status).toBe(200);
});
