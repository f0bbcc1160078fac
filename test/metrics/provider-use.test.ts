import { expect, it } from "vitest";
import { observeProviders } from "../../src/metrics/provider-use.ts";
import { lies } from "../../src/provider/distrust.ts";
import { exportedBy, linesOf, testObserver } from "../support/exported-metrics.ts";

type Providers = Parameters<typeof observeProviders>[1]["providers"];

function exportedOf(change: Partial<Providers>): Promise<string[]> {
  const providers: Providers = {
    conditions: () => [],
    breakers: () => [],
    tenantBreakers: () => undefined,
    credentials: () => [],
    inFlight: () => 0,
    tenantKeysSha256: () => "00ff",
    ...change,
  };
  return exportedBy(({ meter }) => observeProviders(testObserver(meter), { providers }));
}

it("tells each breaker of the service by the number of its state, and of tenants' the worst alone, without a name", async () => {
  const lines = await exportedOf({
    breakers: () => [
      { name: "aws/eu-west-1", state: "open" },
      { name: "aws/eu-central-1", state: "half-open" },
      { name: "local", state: "closed" },
    ],
    tenantBreakers: () => "open",
  });
  expect(linesOf(lines, "circuit_breaker_state")).toEqual([
    'circuit_breaker_state{name="aws/eu-west-1",scope="service"} 1',
    'circuit_breaker_state{name="aws/eu-central-1",scope="service"} 2',
    'circuit_breaker_state{name="local",scope="service"} 0',
    'circuit_breaker_state{scope="tenant"} 1',
  ]);
  expect(linesOf(await exportedOf({}), "circuit_breaker_state")).toEqual(['circuit_breaker_state{scope="tenant"} 0']);
});

it("tells how many keys are in which condition, and whose, none of them too", async () => {
  const lines = await exportedOf({
    conditions: () => [
      { scope: "service", condition: "answering" },
      { scope: "service", condition: "denied" },
      { scope: "tenant", condition: "denied" },
      { scope: "tenant", condition: "denied" },
    ],
  });
  expect(linesOf(lines, "kms_provider_keys")).toEqual([
    'kms_provider_keys{condition="answering",scope="service"} 1',
    'kms_provider_keys{condition="unavailable",scope="service"} 0',
    'kms_provider_keys{condition="denied",scope="service"} 1',
    'kms_provider_keys{condition="answering",scope="tenant"} 0',
    'kms_provider_keys{condition="unavailable",scope="tenant"} 0',
    'kms_provider_keys{condition="denied",scope="tenant"} 2',
  ]);
});

it("tells which lies keys are refused for now, and of every other that none is", async () => {
  const lines = await exportedOf({
    conditions: () => [
      { scope: "service", condition: "denied", lie: "zero-key" },
      { scope: "service", condition: "denied", lie: undefined },
      { scope: "tenant", condition: "denied", lie: "other-key" },
    ],
  });
  const untrusted = linesOf(lines, "kms_provider_untrusted");
  expect(untrusted).toHaveLength(2 * lies.length);
  expect(untrusted.filter((line) => !line.endsWith(" 0")).toSorted()).toEqual([
    'kms_provider_untrusted{lie="other-key",scope="tenant"} 1',
    'kms_provider_untrusted{lie="zero-key",scope="service"} 1',
  ]);
});

it("tells since when and until when a credential is good, where that is known", async () => {
  const lines = await exportedOf({
    credentials: () => [{ name: "vault", since: new Date(1_000_000), until: new Date(4_600_500) }],
  });
  expect(linesOf(lines, "kms_provider_credential_since_timestamp_seconds")).toEqual([
    'kms_provider_credential_since_timestamp_seconds{name="vault"} 1000',
  ]);
  expect(linesOf(lines, "kms_provider_credential_expiry_timestamp_seconds")).toEqual([
    'kms_provider_credential_expiry_timestamp_seconds{name="vault"} 4600.5',
  ]);
});
