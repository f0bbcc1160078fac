/** The providers' keys, the breakers before them, and the credentials for them. */
import type { StartedProviders } from "../provider-keys/start.ts";
import { lies } from "../provider/distrust.ts";
import { scopes } from "../telemetry/instruments.ts";
import { type Observer, type Sample, unixSeconds } from "./read-metrics.ts";

export interface ProviderParts {
  providers: Pick<
    StartedProviders,
    "conditions" | "breakers" | "tenantBreakers" | "credentials" | "inFlight" | "tenantKeysSha256"
  >;
}

const conditions = ["answering", "unavailable", "denied"] as const;
const breakerValue = { closed: 0, open: 1, "half-open": 2 } as const;

export function observeProviders({ gauge, seconds }: Observer, { providers }: ProviderParts): void {
  gauge("kms_provider_keys", "Provider keys by what is known of them", () => {
    const seen = providers.conditions();
    return scopes.flatMap((scope) =>
      conditions.map((condition): Sample => {
        const found = seen.filter((each) => each.scope === scope && each.condition === condition);
        return [found.length, { condition, scope }];
      }),
    );
  });
  gauge("kms_provider_untrusted", "Provider keys that are refused because a lie of theirs was caught", () => {
    const seen = providers.conditions();
    return lies.flatMap((lie) =>
      scopes.map((scope): Sample => {
        const found = seen.filter((each) => each.scope === scope && each.lie === lie);
        return [found.length, { lie, scope }];
      }),
    );
  });
  gauge("circuit_breaker_state", "0 closed, 1 open, 2 half-open", () => [
    ...providers.breakers().map(({ name, state }): Sample => [breakerValue[state], { name, scope: "service" }]),
    [breakerValue[providers.tenantBreakers() ?? "closed"], { scope: "tenant" }],
  ]);
  gauge("kms_tenant_keys_info", "1 for the provider keys of tenants in effect", () => [
    [1, { sha256: providers.tenantKeysSha256() }],
  ]);
  gauge("kms_provider_in_flight", "Attempts at providers under way", () => providers.inFlight());
  seconds(
    "kms_provider_credential_since_timestamp_seconds",
    "When the service got its credential for the provider",
    () => providers.credentials().map(({ name, since }) => [unixSeconds(since), { name }] as const),
  );
  seconds("kms_provider_credential_expiry_timestamp_seconds", "When that credential ends", () =>
    providers.credentials().map(({ name, until }) => [unixSeconds(until), { name }] as const),
  );
}
