/**
 * How much time may be added to what services witnessed. A process adds what its own monotonic clock counted since it noted the time itself.
 * Anything more, such as time in which no process noted anything, counts only if the wall clock and a second clock agreed at both ends. Then
 * the less of what the two counted is added. So no single clock makes time pass.
 */
import type { WitnessedTime } from "../../store/time-store.ts";

/** Difference that two right clocks may have. */
export const clocksApartMs = 5 * 60_000;
/** A process notes the time every minute. One that was stopped meanwhile has not seen more than this. */
const mostLivedMs = 2 * 60_000;

/** One moment by two clocks. */
export type Moment = Pick<WitnessedTime, "wallAt" | "secondAt">;

/** What the process counted since the time was noted. */
export interface Lived {
  /** Milliseconds by a clock that stops while the machine is suspended; 0 where another process noted the time. */
  awakeMs: number;
  /** Milliseconds by a clock that goes on; at most so many where another process noted the time. */
  sinceBootMs: number;
}

/** `lived` is undefined if another process noted the time, and this one cannot say when. */
export function timeAt(noted: WitnessedTime | undefined, now: Moment, lived: Lived | undefined): WitnessedTime {
  const passedMs = noted === undefined ? 0 : Math.max(0, Math.floor(passedSince(noted, now, lived)));
  return { witnessedMs: (noted?.witnessedMs ?? 0) + passedMs, ...now };
}

/** A process that lives on knows better than clocks that are both wrong, as those of a service and a database under one time server can be. */
function passedSince(noted: WitnessedTime, now: Moment, lived: Lived | undefined): number {
  const byClocks = agreedMs(noted, now);
  if (lived === undefined) return byClocks;
  return Math.max(Math.min(lived.awakeMs, mostLivedMs), Math.min(byClocks, lived.sinceBootMs));
}

function agreedMs(from: Moment, to: Moment): number {
  if (from.secondAt === undefined || to.secondAt === undefined || !agree(from) || !agree(to)) return 0;
  return Math.min(apartMs(to.wallAt, from.wallAt), apartMs(to.secondAt, from.secondAt));
}

/** True for a single clock as well: nothing says that it is wrong. */
export function agree({ wallAt, secondAt }: Moment): boolean {
  return secondAt === undefined || Math.abs(apartMs(wallAt, secondAt)) <= clocksApartMs;
}

function apartMs(a: Date, b: Date): number {
  return a.getTime() - b.getTime();
}
