/** What a verifier says of a case, and in what two of them differ. */
import { isDeepStrictEqual } from "node:util";
import type { Facts, FailureReason } from "../../../src/verification-report/facts.ts";
import type { Conclusion } from "../../../src/verification-report/conclusion.ts";

export type Outcome = Verified | { refusal: string };

export interface Verified {
  facts: Facts;
  conclusion: Conclusion;
  rows: readonly Row[];
}

/** A span by itself. */
export interface Row {
  position: number;
  span?: string | undefined;
  verdict: "OK" | FailureReason;
  signedAt?: string | undefined;
  keyId?: string | undefined;
  log?: string | undefined;
  entry?: number | undefined;
}

/** Undefined if they say the same. Messages may be in other words, and so may be why a verifier refuses. */
export function differenceOf(command: Outcome, page: Outcome): string | undefined {
  if ("refusal" in command && "refusal" in page) return undefined;
  if ("refusal" in command) return `the command refuses (${command.refusal}), the page says ${said(page)}`;
  if ("refusal" in page) return `the page refuses (${page.refusal}), the command says ${said(command)}`;
  const [one, other] = [comparable(command), comparable(page)];
  if (isDeepStrictEqual(one, other)) return undefined;
  return Object.keys(one)
    .flatMap((name) => differences(one[name], other[name], name))
    .slice(0, 5)
    .join("\n  ");
}

function said(outcome: Outcome): string {
  return "refusal" in outcome ? outcome.refusal : outcome.conclusion;
}

/** Leaves out what is undefined, and what is for people. */
function comparable({ facts, conclusion, rows }: Verified): Record<string, unknown> {
  const compared = {
    conclusion,
    facts,
    rows: rows.map(({ position, span, verdict, signedAt, keyId, log, entry }) => ({
      position,
      span,
      verdict,
      signedAt,
      keyId,
      log,
      entry,
    })),
  };
  return JSON.parse(JSON.stringify(compared, (name, value) => (name === "message" ? undefined : value)));
}

/** The innermost members that differ, by their paths. */
function differences(one: unknown, other: unknown, path: string): string[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (isObject(one) && isObject(other)) {
    const names = new Set([...Object.keys(one), ...Object.keys(other)]);
    return [...names].flatMap((name) => differences(one[name], other[name], `${path}.${name}`));
  }
  return [`${path}: the command says ${text(one)}, the page ${text(other)}`];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function text(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 300);
}
