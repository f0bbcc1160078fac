/** What Status says of callers, as JSON. */
import type { AuthenticationStatus, PolicyStatus } from "../../../gen/ts/fluo/kms/v1/operations_pb.ts";
import { dateText, seconds } from "./json-values.ts";

export function authenticationJson(authentication: AuthenticationStatus) {
  const { kind, policy, identities, refusals, certificateExpiresAt } = authentication;
  return {
    kind,
    policy: policy && policyJson(policy),
    identities: Object.fromEntries(identities.map(({ kind, count }) => [kind, count])),
    refusals: refusals.map(({ kind, reason, count }) => ({ kind, reason, count: Number(count) })),
    certificate_expires_at: dateText(certificateExpiresAt),
  };
}

function policyJson({ sha256, loadedAt, rules, reloadFailures, problems, issuers, ...policy }: PolicyStatus) {
  return {
    sha256,
    loaded_at: dateText(loadedAt),
    rules,
    reload_failures: Number(reloadFailures),
    problems,
    separation: policy.separation,
    two_person_destruction: policy.twoPersonDestruction,
    issuers: issuers.map(({ name, keys, age, problem }) => ({
      name,
      keys,
      problem,
      age_seconds: age === undefined ? null : seconds(age),
    })),
    crl_next_update: dateText(policy.crlNextUpdate),
  };
}
