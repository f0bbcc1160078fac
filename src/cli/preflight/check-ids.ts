/** Ids of the lines of preflight, by which `--waive` and tools know them. They stay from release to release; docs/COMMAND_LINE.md lists them. */
import { suggestion } from "../../encoding/nearest.ts";
import { noticeCodes } from "../../notices.ts";
import { UsageError } from "../command.ts";

/** What nobody can see from where preflight runs. */
export const idsByHand = ["heads-copy", "balancer", "signals", "deletion-alarm"] as const;

/** In the order of the lines, a line each. Notices that no check says come in the place of `notice`, each by its own id. */
export const checkIds = [
  "service",
  "settings",
  "profile",
  "authentication",
  "policy",
  "tls",
  "certificate",
  "provider",
  "provider-key",
  "validate",
  "cache-hit",
  "key-rotation",
  "health",
  "readiness",
  "liveness",
  "rotation",
  "clocks",
  "store-identity",
  "store",
  "backup",
  "drill",
  "upgrade",
  "postgres-tls",
  "postgres-primary",
  "postgres-pooler",
  "postgres-connections",
  "audit",
  "heads-file",
  "integrity",
  "notice",
  ...idsByHand,
] as const;

/** Spelt as checks are. An earlier release sends notices without a code, all of which have one id. */
export function noticeId(code: string): string {
  return code === "" ? "notice" : code.toLowerCase().replaceAll("_", "-");
}

/** Throws UsageError for an id that there is not, or that cannot be waived. */
export function waivedIn(ids: readonly string[]): ReadonlySet<string> {
  const known = [...checkIds, ...Object.keys(noticeCodes).map(noticeId)];
  for (const id of ids) {
    if (id === "service") throw new UsageError("--waive service: without an answer of the service nothing is checked");
    if (!known.includes(id)) {
      const more = suggestion(id, known) || "; the ids of failing checks are in what preflight prints";
      throw new UsageError(`--waive: no check has the id ${id}${more}`);
    }
  }
  return new Set(ids);
}
