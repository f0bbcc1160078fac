/** Notices of the service, and recommendations of Validate, that no other line says. One that may stay is a warning. */
import { mayStay, type NoticeCode } from "../../notices.ts";
import type { SentNotice } from "../commands/status.ts";
import type { Evidence } from "./evidence.ts";
import { noticeId } from "./check-ids.ts";
import { fail, type Line, pass, warn } from "./line.ts";

/** The line that says the same in its own words. */
const saidBy: Partial<Record<NoticeCode, string>> = {
  KEY_PATH_WORKS: "validate",
  TEST_FAILED: "validate",
  CACHE_HIT_SLOW: "cache-hit",
  KEY_ROTATION_OFF: "key-rotation",
  CLOCK_SKEWED: "clocks",
  CLOCKS_DISAGREE: "clocks",
  NO_SECOND_CLOCK: "clocks",
  PROVIDER_LOCAL: "provider",
  KEY_IN_MEMORY: "provider",
  KEY_BESIDE_STORE: "provider",
  STORE_IN_MEMORY: "store",
  PROVIDER_DENIED: "provider-key",
  PROVIDER_UNAVAILABLE: "provider-key",
  PROVIDER_UNTRUSTED: "provider-key",
  NO_AUTHENTICATION: "authentication",
  TLS_TERMINATED: "tls",
  PROFILE_MISSPELT: "profile",
  POLICY_REFUSED: "policy",
  CERTIFICATE_ENDS: "certificate",
  EXAMINATION_RUNNING: "integrity",
  STORE_DAMAGED: "integrity",
  TRAIL_DAMAGED: "integrity",
  STORE_PUT_BACK: "heads-file",
  HEADS_UNWRITTEN: "heads-file",
  HEADS_BESIDE_STORE: "heads-file",
  HEADS_NOT_KEPT: "heads-file",
};

/** The notices of Status. A service of an earlier release sends their texts alone. */
export function noticesOf({ notices = [], notice_details: sent }: Evidence["status"]): readonly SentNotice[] {
  return sent ?? notices.map((text) => ({ code: "", subject: "", text }));
}

export function noticeLines(evidence: Evidence, others: readonly Line[]): Line[] {
  const notices = noticesOf(evidence.status);
  const left = notices.filter((each) => !isSaid(each, others));
  if (left.length > 0) {
    return left.map(({ code, text }) => lineOf(code, text, mayStay(code)));
  }
  return [pass("notice", notices.length === 0 ? "none" : "none that is not said elsewhere here")];
}

/** A line each, none if there is nothing to say. Those of an earlier release have no code, and may stay. */
export function recommendationLines(evidence: Evidence, others: readonly Line[]): Line[] {
  const { validation, status } = evidence;
  if ("why" in validation) return [];
  const notices = noticesOf(status);
  const isNotice = ({ code, subject }: SentNotice) =>
    notices.some((each) => each.code === code && each.subject === subject);
  const { recommendation_details: sent, recommendations = [] } = validation.got;
  const earlier = recommendations.filter((text) => !text.startsWith("✅"));
  const all = sent ?? earlier.map((text) => ({ code: "", subject: "", text }));
  const left = all.filter((each) => !isNotice(each) && !isSaid(each, others));
  return left.map(({ code, text }) => lineOf(code, text, code === "" || mayStay(code)));
}

function lineOf(code: string, text: string, isWarning: boolean): Line {
  const id = noticeId(code);
  return isWarning ? warn(id, text, "know why it may stay") : fail(id, text);
}

/** A line that passes although the notice may not stay does not say it. */
function isSaid({ code }: SentNotice, others: readonly Line[]): boolean {
  const line = others.find(({ id }) => id === saidBy[code as NoticeCode]);
  return line !== undefined && (line.outcome === "FAIL" || mayStay(code));
}

/** A service is degraded by keys of tenants too, who may disable their own. */
export function healthLine({ status }: Evidence): Line {
  if (status.status === "operational") return pass("health", status.status);
  const isTenantsAffair =
    status.status === "degraded" &&
    (status.tenant_keys_unusable ?? 0) > 0 &&
    noticesOf(status).every(({ code }) => mayStay(code));
  if (isTenantsAffair) return pass("health", "degraded, by provider keys of tenants alone");
  return fail("health", String(status.status), "see the notices");
}
