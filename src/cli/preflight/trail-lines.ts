/** Lines on what shows that the store was altered: the audit trail, the heads file, the pass over all that is stored. */
import { fail, type Line, pass, skipped, unsent } from "./line.ts";
import type { Evidence } from "./evidence.ts";

export function trailLines({ status, audit, now }: Evidence): Line[] {
  return [auditLine(audit), headsFileLine(status.heads, status.store), integrityLine(status.integrity, now)];
}

function auditLine(audit: Evidence["audit"]): Line {
  if ("unasked" in audit) {
    return skipped("audit", audit.unasked, "run fluo-kms audit verify with --address https://…");
  }
  if ("why" in audit) {
    return fail("audit", audit.why, "let preflight's caller have the role audit, and see fluo-kms audit verify");
  }
  const { ok, events = "0", problems: [first] = [], problemCount = "0" } = audit.got;
  if (ok === true) return pass("audit", `${events} events, no problems`);
  const what = first === undefined ? "not verified" : `${problemCount} problems, the first: ${first.what}`;
  return fail("audit", `${events} events, ${what}`, "docs/runbooks/kms-data-loss.md");
}

function headsFileLine(heads: Evidence["status"]["heads"], store: string | undefined): Line {
  if (heads === undefined) return unsent("heads-file");
  if (store === "memory") return skipped("heads-file", "the store is in memory");
  const { file, problem, remark } = heads;
  const wrong = [problem, remark].filter((each) => each !== "");
  if (wrong.length > 0) return fail("heads-file", wrong.join("; ")); // they say what to do
  if (file === "") return fail("heads-file", "none is kept", "set fluo.kms.audit.heads-file, one for each replica");
  // A database server's disk cannot be seen from a client.
  const where =
    store === "postgres" ? "whether PostgreSQL has it on the same disk cannot be told" : "another file system";
  return pass("heads-file", `${file}: ${where}`);
}

/** The limit of the alert KmsSaturated: a pass takes a week. */
const passDays = 9;
const dayMs = 86_400_000;

function integrityLine(integrity: Evidence["status"]["integrity"], now: Date): Line {
  if (integrity === undefined) return unsent("integrity");
  const { percent, finished, findings_total: findings } = integrity;
  if (findings > 0) return fail("integrity", `${findings} found damaged`, "docs/runbooks/kms-data-loss.md");
  if (finished === null) return fail("integrity", `the first pass is at ${percent} %`, "wait until it has ended");
  const found = `checked ${finished}, nothing found damaged`;
  if (now.getTime() - Date.parse(finished) <= passDays * dayMs) return pass("integrity", found);
  return fail("integrity", `${found}, and ${passDays} days are the most`, "see the service's log for why no pass ends");
}
