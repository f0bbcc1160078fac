/** The whole checklist, from what was looked at. */
import { accessLines } from "./access-lines.ts";
import type { Evidence } from "./evidence.ts";
import { checkIds, type idsByHand } from "./check-ids.ts";
import { fail, type Line, pass, skipped } from "./line.ts";
import { noticeLines, recommendationLines } from "./notice-lines.ts";
import { postgresLines } from "./postgres-lines.ts";
import { providerLines } from "./provider-lines.ts";
import { serviceLines } from "./service-lines.ts";
import { storeLines } from "./store-lines.ts";
import { trailLines } from "./trail-lines.ts";

const byHand: readonly Line[] = [
  unseen("heads-copy", "keep the heads of audit verify where no writer of the database writes"),
  unseen("balancer", "have it ask /q/health/ready, and restarts depend on /q/health/live"),
  unseen("signals", "let what starts and ends the service reach Node itself"),
  unseen("deletion-alarm", "alert on the deletion of the provider key, and on who else may use it"),
];

function unseen(id: (typeof idsByHand)[number], advice: string): Line {
  return skipped(id, "cannot be seen from here", advice);
}

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
  const [service, ...others] = checkIds;
  return [fail(service!, why), ...others.map((id) => skipped(id, "not tried: the service gave no answer"))];
}
