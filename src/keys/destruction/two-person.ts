/**
 * Destruction that takes two: the first call records a request, which changes nothing else of the key, and the second, by another caller whom
 * another rule lets destroy, schedules the destruction. A request belongs to the key's record, in whatever state that is meanwhile, and
 * lapses after 7 days.
 */
import { invalidField } from "../../errors.ts";
import type { StateAction } from "../../store/audit-store.ts";
import type { DestructionRequest, KeyRecord } from "../../store/key-record.ts";
import { destructionScheduled } from "../states.ts";

export interface DestructionWish {
  by: string;
  /** The rule that lets the caller destroy; undefined where there are no rules. */
  rule: string | undefined;
  /** SHA-256 of the caller's static token; undefined if it has another credential. */
  token?: string | undefined;
  at: Date;
  days: number;
  /** Whether the days of a request that waits will do as well. */
  orAsRequested: boolean;
}

export const dayMs = 24 * 60 * 60 * 1000;
export const lapsesAfterMs = 7 * dayMs;
/** Difference that the clocks of replicas may have. */
const clocksApartMs = 5 * 60 * 1000;

/** When requests that wait at some time were made. One of a time to come was noted by a clock that was wrong, and counts as lapsed. */
export function waitingSince(at: Date): { after: Date; until: Date } {
  return { after: new Date(at.getTime() - lapsesAfterMs), until: new Date(at.getTime() + clocksApartMs) };
}

/** What a caller's wish makes of a record, and what that is in the trail: the record itself where it has to wait for another caller. */
export function destructionByTwo(record: KeyRecord, wish: DestructionWish): { next: KeyRecord; action: StateAction } {
  const { by, rule, token, at, days, orAsRequested } = wish;
  if (record.state === "DESTROY_SCHEDULED" || record.state === "DESTROYED") {
    return { next: destructionScheduled(record, at), action: "schedule_destruction" };
  }
  const { destruction } = record;
  const request = destruction?.request && isWaiting(destruction.request, at) ? destruction.request : undefined;
  if (destruction === undefined || request === undefined) {
    const asked = { by, request: { at, rule, token, days }, confirmedBy: undefined };
    return { next: { ...record, destruction: asked }, action: "request_destruction" };
  }
  if (days !== request.days && !orAsRequested) {
    throw invalidField("days", `is ${request.days} in the request that waits: give the same, or 0`);
  }
  const isSameToken = token !== undefined && token === request.token; // under another name since a reload
  if (by === destruction.by || rule === request.rule || isSameToken)
    return { next: record, action: "schedule_destruction" };
  const scheduled = destructionScheduled(record, daysAfter(at, request.days));
  const confirmed = { by: destruction.by, request: undefined, confirmedBy: by };
  return { next: { ...scheduled, destruction: confirmed }, action: "schedule_destruction" };
}

/** Record without its request, whether that has lapsed or not. */
export function destructionRequestCancelled(record: KeyRecord): KeyRecord {
  return { ...record, destruction: undefined };
}

export function daysAfter(at: Date, days: number): Date {
  return new Date(at.getTime() + days * dayMs);
}

function isWaiting(request: DestructionRequest, at: Date): boolean {
  const { after, until } = waitingSince(at);
  return request.at > after && request.at <= until;
}
