/** The whole checklist, from what was looked at; each line by its name. */
import { accessLines } from "./access-lines.ts";
import type { Evidence } from "./evidence.ts";
import { fail, type Line, pass, skipped } from "./line.ts";
import { noticeLines, recommendationLines } from "./notice-lines.ts";
import { postgresLines } from "./postgres-lines.ts";
import { providerLines } from "./provider-lines.ts";
import { serviceLines } from "./service-lines.ts";
import { storeLines } from "./store-lines.ts";
import { trailLines } from "./trail-lines.ts";

/** What nobody can see from here. */
const byHand: readonly Line[] = [
  skipped(
    "heads-copy",
    "cannot be seen from here",
    "keep the heads of audit verify where no writer of the database writes",
  ),
  skipped("balancer", "cannot be seen from here", "have it ask /q/health/ready, and restarts depend on /q/health/live"),
  skipped("signals", "cannot be seen from here", "let what starts and ends the service reach Node itself"),
  skipped(
    "deletion-alarm",
    "cannot be seen from here",
    "alert on the deletion of the provider key, and on who else may use it",
  ),
];

/** Names in order; a line for each, and for `notice` one or more. Recommendations of Validate follow the notices. */
export const lineNames = [
  "service",
  ...["settings", "profile", "authentication", "policy", "tls", "certificate"],
  ...["provider", "provider-key", "validate", "cache-hit", "key-rotation"],
  ...["health", "readiness", "liveness", "rotation", "clocks"],
  ...["store", "backup", "drill", "upgrade"],
  ...["postgres-tls", "postgres-primary", "postgres-pooler", "postgres-connections"],
  ...["audit", "heads-file", "integrity", "notice"],
  ...byHand.map(({ name }) => name),
] as const;

export function checklist(evidence: Evidence): Line[] {
  const { place, status } = evidence;
  const seen = [
    pass("service", `${place.text} answers, release ${status.version}`),
    ...accessLines(evidence),
    ...providerLines(evidence),
    ...serviceLines(evidence),
    ...storeLines(evidence),
    ...postgresLines(evidence),
    ...trailLines(evidence),
  ];
  return [...seen, ...noticeLines(evidence, seen), ...recommendationLines(evidence, seen), ...byHand];
}

/** The checklist where there is no service to look at. */
export function unanswered(why: string): Line[] {
  const [service, ...others] = lineNames;
  return [fail(service!, why), ...others.map((name) => skipped(name, "not tried: the service gave no answer"))];
}
