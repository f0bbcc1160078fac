/** Notices of the service, in words of its own: which of them are said by another line, and which may stay. */
import { misreadNotice } from "../../runtime/misread-names.ts";
import type { Evidence } from "./evidence.ts";
import { fail, type Line, pass } from "./line.ts";

/** What goes on in a service that is well, or is a tenant's affair. All other notices fail, unknown ones too. */
const harmless: readonly RegExp[] = [
  // Not in profile prod, except on platforms for which there is no other.
  /^Node \S+ misreads some names in JSON: /,
  /^Integrity: checking \d+ %\./, // the line integrity fails until a first pass has ended
  /^In the last 10 min .+ held back /,
  /^The destruction of .+ waits for a second caller: /,
  /^Due by the time, and not destroyed before services have seen the days pass: /,
  /^There is no second clock: /,
  // Not of keys under one that the configuration does not name: they do not open.
  /still under \S+ [^,]+: run fluo-kms rewrap\.$/,
  /^The provider key \S+ of (a tenant|[\d,]+ tenants) (is refused|does not answer): /,
  /^Of \d+ more provider keys of tenants the same is to be said\.$/,
];

/** Whether a notice may stay, as far as it can be told from its words. */
export function isHarmless(notice: string): boolean {
  return harmless.some((each) => each.test(notice));
}

export function noticeLines(evidence: Evidence): Line[] {
  const { notices = [] } = evidence.status;
  const others = notices.filter((notice) => !isSaidElsewhere(notice, evidence));
  if (others.length > 0) {
    return others.map((notice) =>
      isHarmless(notice) ? pass("notice", notice, "know why it may stay") : fail("notice", notice),
    );
  }
  return [pass("notice", notices.length === 0 ? "none" : "none that is not said elsewhere here")];
}

/** A service is degraded by keys of tenants too, who may disable their own. */
export function healthLine(evidence: Evidence): Line {
  const { status, notices = [], tenant_keys_unusable: unusable = 0 } = evidence.status;
  if (status === "operational") return pass("health", status);
  const isTenantsAffair =
    status === "degraded" &&
    unusable > 0 &&
    notices.every((notice) => isHarmless(notice) || isOfSettings(notice, evidence));
  if (isTenantsAffair) return pass("health", "degraded, by provider keys of tenants alone");
  return fail("health", String(status), "see the notices");
}

/** The heads have a line of their own. What is wrong with the settings has one too, or Validate recommends it. */
function isSaidElsewhere(notice: string, evidence: Evidence): boolean {
  const { heads } = evidence.status;
  const ofHeads = [heads?.problem, heads?.remark].filter((each) => each !== undefined && each !== "");
  return isOfSettings(notice, evidence) || ofHeads.some((each) => notice.toLowerCase().includes(each!.toLowerCase()));
}

function isOfSettings(notice: string, { config }: Evidence): boolean {
  return config.warnings.includes(notice) && notice !== misreadNotice;
}
