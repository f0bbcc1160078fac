import { expect, it } from "vitest";
import { observeState, type StateParts } from "../../src/metrics/service-state.ts";
import { exportedBy, linesOf, testObserver } from "../support/exported-metrics.ts";

function exportedOf(parts: Partial<StateParts>, status = "operational"): Promise<string[]> {
  const well = {
    health: { current: () => ({ status }) },
    leases: { holds: () => false },
    providers: { tenantKeysReloadFailed: () => false },
    policy: undefined,
    tls: undefined,
    heads: { isBehind: () => false },
  };
  return exportedBy(({ meter }) => observeState(testObserver(meter), { ...well, ...parts } as StateParts));
}

it.each([
  ["operational", 1],
  ["degraded", 1],
  ["down", 0],
])("is %s: ready is %d, and of the three states one is 1", async (status, ready) => {
  const lines = await exportedOf({}, status);
  expect(lines).toContain(`kms_ready ${ready}`);
  expect(linesOf(lines, "kms_health").toSorted()).toEqual(
    ["degraded", "down", "operational"].map((each) => `kms_health{status="${each}"} ${each === status ? 1 : 0}`),
  );
});

it.each([true, false])("tells whether the store is behind its heads file: %s", async (isBehind) => {
  expect(await exportedOf({ heads: { isBehind: () => isBehind } })).toContain(`kms_heads_behind ${isBehind ? 1 : 0}`);
});

it("tells what runs", async () => {
  const [line] = linesOf(await exportedOf({}), "kms_build_info");
  expect(line).toMatch(/^kms_build_info\{version="\d+\.\d+\.\d+.*",schema="\d+",node="26\.\d+\.\d+"\} 1$/);
});

it("tells which leases it holds, and which reload failed, of parts that are not there too", async () => {
  const none = await exportedOf({});
  expect(linesOf(none, "kms_reload_failed")).toEqual([
    'kms_reload_failed{unit="policy"} 0',
    'kms_reload_failed{unit="tls"} 0',
    'kms_reload_failed{unit="tenants"} 0',
  ]);
  expect(linesOf(none, "kms_lease_held")).toHaveLength(6);
  const failed = await exportedOf({
    leases: { holds: (work) => work === "integrity" },
    providers: { tenantKeysReloadFailed: () => true },
    policy: { status: () => ({ reloadFailed: true }) as never },
    tls: { reloadFailed: () => true },
  });
  for (const unit of ["policy", "tls", "tenants"]) expect(failed).toContain(`kms_reload_failed{unit="${unit}"} 1`);
  expect(failed).toContain('kms_lease_held{name="integrity"} 1');
  expect(failed).toContain('kms_lease_held{name="rotation"} 0');
});
