/** All damage of the store that is known: the findings of the passes, and what uses and looks met since. */
import type { StartedAlarm } from "../alarm.ts";
import { replicaClockSkewMs } from "../store/lease-renewal.ts";
import type { RowProblem } from "../store/row-problem.ts";
import { createFindings, type Findings, type FindingsParts, mostCharacters } from "./findings.ts";
import type { Time } from "../runtime/time.ts";

export interface DamageParts extends FindingsParts {
  alarm: Pick<StartedAlarm, "changed" | "listen">;
  time: Time;
}

export interface Damage extends Findings {
  /** Number of damaged things. `cleanAt` is when a pass of any replica last began that found nothing. */
  count(cleanAt: Date | undefined): number;
  /** Stops listening to the alarm. */
  close(): void;
}

export function createDamage(parts: DamageParts): Damage {
  const findings = createFindings(parts);
  const losses = observedLosses(parts.time);
  const unlisten = parts.alarm.listen({ lost: losses.note, suspect() {}, changed() {} });
  return {
    ...findings,
    begin() {
      findings.begin();
      losses.passBegins();
    },
    end(how) {
      losses.passEnded(how, findings.all());
      return findings.end(how);
    },
    count(cleanAt) {
      if (cleanAt !== undefined) losses.forgetBefore(cleanAt.getTime() - replicaClockSkewMs);
      const found = findings.all();
      return found.length + losses.beside(found);
    },
    close: unlisten,
  };
}

/**
 * Damage that uses and looks met. It stands until a pass shows that it is gone: a whole one, of any replica, that began
 * after the damage was met last. Between two passes a week goes by, and a use may meet what the last one did not find.
 */
interface ObservedLosses {
  /** Notes damage by the words in which a use or a look was refused. */
  note(what: string): void;
  passBegins(): void;
  /**
   * Forgets what was met before the pass began, and what was refused for a finding of earlier passes, if it was whole: what
   * is still damaged is among its findings.
   */
  passEnded(how: "whole" | "early", earlier: readonly RowProblem[]): void;
  /** Forgets what was last met before a time, in milliseconds since 1970: a pass that began then found nothing. */
  forgetBefore(ms: number): void;
  /** Number of damaged things that none of these findings is about, as far as words tell that. */
  beside(findings: readonly RowProblem[]): number;
}

/** Most damaged things that are kept. */
const mostKept = 1_000;

function observedLosses(time: Time): ObservedLosses {
  /** Time at which each thing was met last, in milliseconds since 1970. */
  const losses = new Map<string, number>();
  /** Things that were not met again since the pass that runs began. */
  let before = new Set<string>();
  return {
    note(what) {
      const thing = thingIn(what);
      before.delete(thing);
      if (losses.size < mostKept || losses.has(thing)) losses.set(thing, time.now().getTime());
    },
    passBegins() {
      before = new Set(losses.keys());
    },
    passEnded(how, earlier) {
      if (how === "whole" && losses.size > 0) {
        for (const thing of [...before, ...earlier.flatMap(thingsOf)]) losses.delete(thing);
      }
      before = new Set();
    },
    forgetBefore(ms) {
      for (const [thing, metMs] of losses) if (metMs < ms) losses.delete(thing);
    },
    beside(findings) {
      if (losses.size === 0) return 0;
      const found = new Set(findings.flatMap(thingsOf));
      return [...losses.keys()].filter((thing) => !found.has(thing)).length;
    },
  };
}

/** Returns what the words name, whatever was read: a key or a writer by its id, or a log; else the words. */
function thingIn(what: string): string {
  const [, number, tenant] = /\blog (\d+) of tenant ([a-z0-9._-]+)/.exec(what) ?? [];
  if (number !== undefined) return `log ${number} of tenant ${tenant}`;
  return /\b[0-9a-f]{32}\b/.exec(what)?.[0] ?? what.slice(0, mostCharacters);
}

function thingsOf({ tenantId, keyId, log, what }: RowProblem): string[] {
  const ofLog = log === undefined ? [] : [`log ${log} of tenant ${tenantId}`];
  return [...ofLog, ...(keyId === "" ? [] : [keyId]), thingIn(what)];
}
