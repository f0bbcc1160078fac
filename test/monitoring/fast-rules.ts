/** A fast copy of the rules for the test with a real Prometheus, which cannot wait for hours. */
import { parse, stringify } from "yaml";
import type { RulesFile } from "./alert-rules.ts";

export interface FastRulesOptions {
  /** Seconds that a day of an age becomes. A run that has to cause old age takes 1: nine days are nine seconds then. */
  daySeconds?: number;
}

/** Times that the copy is faster. */
const speed = 60;

/**
 * Returns a rules file, YAML to YAML without comments, whose time passes 60 times faster. Each `for`, each interval of
 * a group, and each range and `offset` in an expression is a sixtieth.
 *
 * Ages are found by their form alone, a count times its unit in seconds: `40 * 86400`, `24 * 3600`. An hour becomes one
 * minute. A day becomes `daySeconds`, by default a sixtieth of it, 24 minutes: no test is so long, so a service that
 * runs well stays silent. With 1 instead, ages of days pass within a test.
 *
 * Ages of minutes stay, `1 * 60`: a busy machine may be seconds late with all that it does. So does every other number:
 * counts, ratios, bytes, multiples of an interval, and times that a call may take.
 */
export function fastRules(rules: string, { daySeconds = 86_400 / speed }: FastRulesOptions = {}): string {
  const { groups } = parse(rules) as RulesFile;
  const faster = groups.map(({ interval, rules, ...group }) => ({
    ...group,
    ...(interval !== undefined && { interval: fasterDuration(interval) }),
    rules: rules.map((rule) => ({
      ...rule,
      expr: fasterExpression(rule.expr, daySeconds),
      ...("for" in rule && { for: fasterDuration(rule.for) }),
    })),
  }));
  return stringify({ groups: faster }, { lineWidth: 0 });
}

const duration = /(?<![\w.])(?:\d+(?:ms|[smhdwy]))+(?!\w)/;
const string = /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/;
const stringOrDuration = new RegExp(`${string.source}|${duration.source}`, "g");
const age = /\b(\d+) \* (86400|3600)\b/g;

function fasterExpression(expr: string, daySeconds: number): string {
  const ageUnits: Readonly<Record<string, number>> = { 86400: daySeconds, 3600: 3600 / speed };
  return expr
    .replace(age, (_, count: string, unit: string) => `${count} * ${ageUnits[unit]}`)
    .replace(stringOrDuration, (found) => (/^["']/.test(found) ? found : fasterDuration(found)));
}

/** Milliseconds, the longest first. */
const units = { y: 31_536_000_000, w: 604_800_000, d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };

/** Returns the milliseconds of a duration of Prometheus, such as `1h30m`. */
export function durationMs(text: string): number {
  const parts = [...text.matchAll(/(\d+)(ms|[smhdwy])/g)];
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * units[unit as keyof typeof units], 0);
}

/** Returns a sixtieth, in the longest unit of which it is a whole number. */
export function fasterDuration(text: string): string {
  const ms = durationMs(text) / speed;
  const [unit, length] = Object.entries(units).find(([, length]) => Number.isInteger(ms / length)) ?? ["ms", 1];
  return `${Math.round(ms / length)}${unit}`;
}
