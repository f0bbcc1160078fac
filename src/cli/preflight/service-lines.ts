/** Lines on the running service itself: what its health, its probes, its schedule and its clocks say. */
import { clocksApartMs } from "../../keys/destruction/time-rule.ts";
import { agoText } from "./age.ts";
import { fail, type Line, pass, skipped, unsent } from "./line.ts";
import type { Evidence } from "./evidence.ts";
import { healthLine } from "./notice-lines.ts";

export function serviceLines(evidence: Evidence): Line[] {
  const { ready, live } = evidence;
  return [
    healthLine(evidence),
    probeLine("readiness", "/q/health/ready", ready),
    probeLine("liveness", "/q/health/live", live),
    rotationLine(evidence),
    clocksLine(evidence),
  ];
}

function probeLine(name: string, path: string, answer: Evidence["ready"]): Line {
  if ("got" in answer) return pass(name, `${path} answers 200`);
  return fail(name, `${path}: ${answer.why}`, "balancers and kubelets ask it without a credential");
}

const dayMs = 86_400_000;
/** The schedule looks once a day, and a provider may be away for some. */
const graceDays = 7;

/** Tenants with a provider key of their own may keep the service from rotating: that is their affair. */
function rotationLine({ status: { rotation }, config, store, now }: Evidence): Line {
  if (rotation === undefined) return unsent("rotation");
  if (!rotation.enabled) return fail("rotation", "off", "set kms.rotation.enabled=true");
  const { oldestActive } = store?.notes !== undefined && "got" in store.notes ? store.notes.got : { oldestActive: [] };
  const oldest = oldestActive.find(({ tenantId }) => !config.tenantProviderKeys.tenants.has(tenantId))?.at;
  const age = oldest === undefined ? "" : `, the oldest ACTIVE key is of ${agoText(now, oldest)}`;
  const found = `on, after ${rotation.max_age_days} days${age}, ${rotation.failed} failed`;
  const isOverdue = oldest !== undefined && ageDays(now, oldest) > rotation.max_age_days + graceDays;
  if (isOverdue)
    return fail(
      "rotation",
      found,
      "the service's log says why it is not rotated, docs/runbooks/kms-rotation-overdue.md",
    );
  return pass("rotation", found);
}

function ageDays(now: Date, at: Date): number {
  return (now.getTime() - at.getTime()) / dayMs;
}

/** Providers stamp their answers to the second; Validate warns from here on. */
const poorSkewMs = 5_000;

function clocksLine({ status: { destructions_waiting: waiting }, validation }: Evidence): Line {
  const skewMs = "got" in validation ? (validation.got.key?.clock_skew_ms ?? undefined) : undefined;
  const ahead = waiting?.second_clock == null ? undefined : (waiting.clock_ahead_seconds ?? undefined);
  const found = [
    ...(skewMs === undefined ? [] : [`${skewMs} ms ahead of the provider's`]),
    ...(ahead === undefined ? [] : [`${ahead} s ahead of that of ${waiting?.second_clock}`]),
  ].join(", ");
  if (found === "") return skipped("clocks", "there is no second clock to hold the service's against");
  const isWrong = Math.abs(skewMs ?? 0) > poorSkewMs || Math.abs(ahead ?? 0) * 1_000 > clocksApartMs;
  return isWrong ? fail("clocks", found, "set the clocks by NTP before a key is destroyed") : pass("clocks", found);
}
