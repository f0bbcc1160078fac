/**
 * Names of callers as rules write them: exact text, in which one part between two separators may be `*` (any part that is not empty), and one
 * may hold `{tenant}` (any tenant id, with fixed text around it or not). Nothing stands for more than one part.
 */
import { tenantIdPattern } from "../../call/ids.ts";

export interface Pattern {
  readonly text: string;
  /** Whether it is one name and no other. */
  readonly exact: boolean;
  /** Whether it has `{tenant}`. */
  readonly captures: boolean;
  /** What a name that matches captured: `tenant`, where there is `{tenant}`. Undefined for a name that does not match. */
  match(name: string): { readonly tenant: string | undefined } | undefined;
  /** Whether some name could match both. */
  overlaps(other: Pattern): boolean;
}

const placeholder = "{tenant}";
const noTenant = { tenant: undefined };

/** The pattern, or what is wrong with its text. */
export function patternOf(text: string, separator: "/" | "." | ":"): Pattern | string {
  const parts = text.split(separator);
  if (parts.some((part) => /[*{}]/.test(part.replace(placeholder, "")) && part !== "*")) {
    return `* stands for a whole part between "${separator}", and {tenant} is the only name in braces`;
  }
  if (parts.filter((part) => part === "*").length > 1) return "* may stand for one part only";
  if (parts.filter((part) => part.includes(placeholder)).length > 1) return "{tenant} may stand in one part only";
  const captures = text.includes(placeholder);
  const exact = !captures && !parts.includes("*");
  if (exact) {
    return {
      text,
      exact,
      captures,
      match: (name: string) => (name === text ? noTenant : undefined),
      overlaps: (other) => other.match(text) !== undefined,
    };
  }
  const matchers = parts.map(partMatcher);
  const fixed = text.split(/\*|\{tenant\}/);
  const [beginning, end] = [fixed[0]!, fixed.at(-1)!];
  return {
    text,
    exact,
    captures,
    match(name: string) {
      // Most names of others end here, before they are split.
      if (!name.startsWith(beginning) || !name.endsWith(end)) return undefined;
      const given = name.split(separator, matchers.length + 1);
      if (given.length !== matchers.length) return undefined;
      let tenant: string | undefined;
      for (const [at, matcher] of matchers.entries()) {
        const found = matcher(given[at]!);
        if (found === false) return undefined;
        if (found !== true) tenant = found;
      }
      return { tenant };
    },
    overlaps(other) {
      if (other.exact) return this.match(other.text) !== undefined;
      const others = other.text.split(separator);
      return others.length === parts.length && parts.every((part, at) => partsOverlap(part, others[at]!));
    },
  };
}

/** Whether some part could match both. Of two with `{tenant}` the text around it decides. */
function partsOverlap(a: string, b: string): boolean {
  if (a === "*" || !/[*{]/.test(b)) return partMatcher(a)(b) !== false;
  if (b === "*" || !/[*{]/.test(a)) return partMatcher(b)(a) !== false;
  const [beforeA, afterA] = a.split(placeholder) as [string, string];
  const [beforeB, afterB] = b.split(placeholder) as [string, string];
  const hasOneBeginning = beforeA.startsWith(beforeB) || beforeB.startsWith(beforeA);
  return hasOneBeginning && (afterA.endsWith(afterB) || afterB.endsWith(afterA));
}

/** Whether a part matches; with `{tenant}`, the tenant. */
function partMatcher(part: string): (given: string) => boolean | string {
  if (part === "*") return (given) => given !== "";
  if (!part.includes(placeholder)) return (given) => given === part;
  const [before, after] = part.split(placeholder) as [string, string];
  return (given) => {
    if (given.length < before.length + after.length) return false;
    if (!given.startsWith(before) || !given.endsWith(after)) return false;
    const tenant = given.slice(before.length, given.length - after.length);
    return tenantIdPattern.test(tenant) && tenant;
  };
}
