/**
 * The policy, and the credentials by which callers and the service are known. Without a policy its metrics are left out: one
 * that was loaded at 0 would look as if it were 56 years old.
 */
import type { Authentication } from "../auth/start.ts";
import type { Tls } from "../transport/tls.ts";
import { type Observer, unixSeconds } from "./read-metrics.ts";

export interface CallerParts {
  policy: Pick<Authentication, "seen" | "status"> | undefined;
  tls: Pick<Tls, "validFrom" | "expiresAt"> | undefined;
}

export function observeCallers(observer: Observer, { policy, tls }: CallerParts): void {
  if (policy) observePolicy(observer, policy);
  if (tls) observeCertificate(observer, tls);
}

function observeCertificate({ seconds }: Observer, tls: NonNullable<CallerParts["tls"]>): void {
  seconds("kms_tls_certificate_not_before_timestamp_seconds", "When the service's certificate began", () =>
    unixSeconds(tls.validFrom()),
  );
  seconds("kms_tls_certificate_expiry_timestamp_seconds", "When the service's certificate ends", () =>
    unixSeconds(tls.expiresAt()),
  );
}

function observePolicy({ gauge, seconds, counter }: Observer, { seen, status }: NonNullable<CallerParts["policy"]>) {
  gauge("kms_policy_info", "1 for the policy in force", () => [[1, { sha256: status().sha256 }]]);
  seconds("kms_policy_loaded_timestamp_seconds", "When the policy was put into force", () =>
    unixSeconds(status().since),
  );
  gauge("kms_policy_rules", "Rules of the policy", () => status().rules);
  counter("kms_policy_reload_failures_total", "Policies that were not put into force", () => status().reloadFailures);
  counter("kms_policy_weakenings_total", "Reloads that made the policy weaker, or took away most of its rules", () =>
    [...status().weakenings].map(([kind, count]) => [count, { kind }] as const),
  );
  counter("kms_auth_total", "Calls by what their callers show and whether they are let in", () =>
    seen.calls().map(({ count, ...labels }) => [count, labels] as const),
  );
  gauge("kms_token_cache_size", "Tokens that are remembered", () => status().rememberedTokens);
  seconds("kms_jwks_age_seconds", "Time since the keys of an issuer were loaded", () =>
    status().issuers.map(({ name, ageMs, openMs }) => [(ageMs ?? openMs) / 1_000, { issuer: name }] as const),
  );
  seconds("kms_jwks_refresh_seconds", "Time between loads of the keys of an issuer", () =>
    status().issuers.flatMap(({ name, refreshMs }) =>
      refreshMs === undefined ? [] : [[refreshMs / 1_000, { issuer: name }] as const],
    ),
  );
  seconds("kms_authority_expiry_timestamp_seconds", "When the first authority of client certificates ends", () =>
    secondsOf(status().authorityUntilMs),
  );
  seconds("kms_crl_next_update_timestamp_seconds", "When the first revocation list is due", () =>
    secondsOf(status().crlUntilMs),
  );
}

function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
