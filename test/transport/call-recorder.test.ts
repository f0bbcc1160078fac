/** What the recorder counts of a call: by whose fault it failed, and streams apart from calls. */
import { pino } from "pino";
import { expect, it } from "vitest";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { KmsError, type KmsErrorCode, rpcCode } from "../../src/errors.ts";
import { realTime } from "../../src/runtime/time.ts";
import { callRecorder } from "../../src/transport/call-recorder.ts";
import { outcomeOf } from "../../src/transport/error-status.ts";
import { kmsService } from "../../src/transport/services.ts";
import { exportedBy, linesOf } from "../support/exported-metrics.ts";

const services = [kmsService({} as never, {} as never)];
const { signSpan, signSpans } = KmsService.method;

/** Lines that are exported after `use` had a recorder. */
function recordedBy(use: (recorder: ReturnType<typeof callRecorder>) => void): Promise<string[]> {
  return exportedBy(({ instruments }) =>
    use(callRecorder({ instruments, tracer: undefined, log: pino({ level: "silent" }), time: realTime, services })),
  );
}

const noHeader = () => undefined;

function fails(code: KmsErrorCode): () => never {
  return () => {
    throw new KmsError(code, "as the test wants");
  };
}

const outcomesOf = (lines: readonly string[], method: string) =>
  linesOf(lines, "kms_calls_total")
    .filter((line) => line.includes(`rpc_method="${method}"`))
    .map((line) => line.replace(/.*outcome="(\w+)"\} (\d+)/, "$1 $2"));

it("has every method with every outcome and every code at 0 before the first call", async () => {
  const lines = await recordedBy(() => {});
  const methods = [...services[0]!.service.methods.map(({ name }) => name), "unknown"];
  for (const method of methods) {
    expect(outcomesOf(lines, method)).toEqual(["ok 0", "caller_fault 0", "server_fault 0", "lifecycle 0"]);
  }
  const errors = linesOf(lines, "kms_errors_total");
  const codes = new Set(Object.values(rpcCode)).size;
  expect(errors).toHaveLength(methods.length * codes);
  expect(errors.filter((line) => !line.endsWith(" 0"))).toEqual([]);
  expect(lines).toContain("kms_streams 0");
});

it("counts each call once, by whose fault it failed", async () => {
  const lines = await recordedBy(({ run }) => {
    run(signSpan, noHeader, () => "signed");
    for (const code of ["INVALID_ARGUMENT", "PROVIDER_DENIED", "STORE_UNAVAILABLE", "DRAINING"] as const) {
      expect(() => run(signSpan, noHeader, fails(code))).toThrow("as the test wants");
    }
    expect(() =>
      run(signSpan, noHeader, () => {
        throw new TypeError("a bug");
      }),
    ).toThrow("internal error");
  });
  expect(outcomesOf(lines, "SignSpan")).toEqual(["ok 1", "caller_fault 2", "server_fault 2", "lifecycle 1"]);
  const count = 'rpc_server_call_duration_seconds_count{rpc_method="SignSpan",rpc_response_status_code="OK"} 1';
  expect(lines).toContain(count);
});

it("counts what is refused before it is a call, of whatever method", async () => {
  const lines = await recordedBy(({ refuse, refuseStranger }) => {
    refuse(undefined, new KmsError("INVALID_ARGUMENT", "no such path"));
    refuseStranger(signSpan, new KmsError("UNAUTHENTICATED", "no credential"), {});
  });
  expect(outcomesOf(lines, "unknown")).toEqual(["ok 0", "caller_fault 1", "server_fault 0", "lifecycle 0"]);
  expect(outcomesOf(lines, "SignSpan")).toEqual(["ok 0", "caller_fault 1", "server_fault 0", "lifecycle 0"]);
});

it("counts what waited before it was refused by the time since it came", async () => {
  const lines = await recordedBy(({ refuse, refuseStranger }) => {
    const longAgo = -5_000; // before the process was
    const late = new KmsError("DEADLINE_EXCEEDED", "late");
    refuse(signSpan, late, longAgo);
    refuseStranger(signSpan, late, {}, longAgo);
    refuse(signSpan, late);
  });
  expect(outcomesOf(lines, "SignSpan")).toEqual(["ok 0", "caller_fault 1", "server_fault 2", "lifecycle 0"]);
});

it("times streams apart from calls, and tells how many are open", async () => {
  const open = Promise.withResolvers<void>();
  const lines = await recordedBy(({ run }) => {
    void run(signSpans, noHeader, () => open.promise);
    run(signSpans, noHeader, () => undefined);
    expect(() => run(signSpans, noHeader, fails("IDLE"))).toThrow("as the test wants");
  });
  expect(lines).toContain("kms_streams 1");
  expect(outcomesOf(lines, "SignSpans")).toEqual(["ok 1", "caller_fault 0", "server_fault 0", "lifecycle 1"]);
  expect(linesOf(lines, "kms_stream_duration_seconds_count")).toHaveLength(2);
  expect(linesOf(lines, "rpc_server_call_duration_seconds_count")).toEqual([]);
});

it.each([
  ["a call that had a second and more", { seconds: 1.101, isStream: false }, "server_fault"],
  ["a call that had less, by a late timer", { seconds: 1.09, isStream: false }, "caller_fault"],
  ["a stream, however long", { seconds: 600, isStream: true }, "lifecycle"],
] as const)("a deadline that passed: %s", (_what, of, outcome) => {
  expect(outcomeOf(new KmsError("DEADLINE_EXCEEDED", "late"), of)).toBe(outcome);
});

it("a provider key of a tenant's own that does not answer is no fault of the service", () => {
  const took = { seconds: 3, isStream: false };
  const ofTenant = new KmsError("PROVIDER_UNAVAILABLE", "does not answer", { tenantsAffair: true });
  expect(outcomeOf(ofTenant, took)).toBe("caller_fault");
  expect(outcomeOf(new KmsError("PROVIDER_UNAVAILABLE", "does not answer"), took)).toBe("server_fault");
});
