/**
 * Keeps the heads file of a running service: written once a second in which something became durable. If it cannot be written, health says
 * so, and no call is refused for it. A store that is behind it makes the service not ready until that is accepted.
 */
import type { KeyObject } from "node:crypto";
import { hasCode, invalidField, KmsError } from "../../errors.ts";
import { type Notice, notice, type Problem } from "../../notices.ts";
import type { Attribution } from "../audit-store.ts";
import { withDeadline } from "../../runtime/deadline.ts";
import type { HeadsStore } from "../heads-store.ts";
import type { Store } from "../store.ts";
import { acceptanceOf } from "../acceptance.ts";
import { type Finding, isAnotherLoss } from "./finding.ts";
import { type HeadsPlace, sharesFileSystem } from "./place.ts";
import { refusal } from "./judge.ts";
import { type KeptHeads, keptHeads } from "./file.ts";
import type { Time, Timer } from "../../runtime/time.ts";

export interface Heads {
  status(): HeadsStatus;
  /** True while the store is behind the file, or nobody can tell. The service is not ready then. */
  isBehind(): boolean;
  /** The reasons why the service is not operational. */
  problems(): Problem[];
  /** Notices on losses that the file does not protect from. They stay the same while the service runs. */
  remarks(): Notice[];
  /** Accepts the finding with this digest, with a row in the audit trail. INVALID_ARGUMENT if there is none, or another. */
  accept(digest: string, by: Attribution): Promise<void>;
  /** Writes what is left, unless store or disk hang: what is not noted is in the store all the same. Never rejects. */
  close(): Promise<void>;
}

export interface HeadsStatus {
  /** Empty if none is kept. */
  file: string;
  since: Date | undefined;
  writtenAt: Date | undefined;
  /** Commits that are noted; undefined if they are not counted. */
  commits: number | undefined;
  /** When the file was last as the store is, in milliseconds since 1970. */
  currentAtMs: number;
  /** Writes that failed since start. */
  failures: number;
  /** Why it is not written, or what it shows; empty if all is well. */
  problem: string;
  /** The losses that the file does not protect from, as text; empty if there is nothing to say. */
  remark: string;
}

export interface HeadsParts {
  store: HeadsStore & Pick<Store, "name">;
  storeKey: KeyObject;
  /** Undefined if no file is kept. */
  place: HeadsPlace | undefined;
  time: Time;
  /** Called when `problems` has something else to say. */
  changed(): void;
  log: { error(details: object, message: string): void; info(message: string): void };
  intervalMs?: number;
}

/** Throws a finding, or STORE_UNAVAILABLE if the file is there and cannot be read, before anything is written. */
export async function startHeads({ place, ...parts }: HeadsParts): Promise<Heads> {
  if (place === undefined) return withoutFile(parts.store.name === "memory" ? "" : unkept);
  const kept = keptHeads({ ...parts, place });
  const finding = await kept.judge();
  if (finding !== undefined) throw refusal(finding);
  const remark = (await sharesFileSystem(place)) ? sharing(place) : "";
  const keeper = keepHeads(kept, { ...parts, place, remark });
  await keeper.write();
  return keeper.heads;
}

/** How long an end of the service waits for the last write. */
const closeWithinMs = 2_000;

const nothing = { file: "", since: undefined, writtenAt: undefined, commits: undefined, currentAtMs: 0, failures: 0 };

const unkept = "no heads file is kept, so a store that is put back is not noticed: set fluo.kms.audit.heads-file";

/** The heads of a store that has no heads file. `remark` is empty if it needs none. */
function withoutFile(remark: string): Heads {
  return {
    status: () => ({ ...nothing, problem: "", remark }),
    isBehind: () => false,
    problems: () => [],
    remarks: () => (remark === "" ? [] : [notice("HEADS_NOT_KEPT", sentence(remark))]),
    async accept() {
      throw invalidField("digest", "there is nothing to accept: this replica keeps no heads file");
    },
    async close() {},
  };
}

/** The heads of a store that ends with the process. */
export const noHeads = withoutFile("");

function sharing({ file }: HeadsPlace): string {
  return `${file} is on the file system of the store: what puts back both, as a snapshot of the volume does, is not noticed; fluo.kms.audit.heads-file can name a place elsewhere`;
}

type KeeperParts = Omit<HeadsParts, "place" | "storeKey"> & { place: HeadsPlace; remark: string };

function keepHeads(kept: KeptHeads, { store, place, time, changed, log, remark, intervalMs = 1_000 }: KeeperParts) {
  let finding: Finding | undefined;
  const failures = writeFailures({ log, changed });
  let currentAtMs = time.now().getTime();
  let timer: Timer | undefined;
  let isClosed = false;
  let working = Promise.resolve();

  /** One piece of work at a time. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = working.then(work);
    working = done.catch(() => {});
    return done;
  }

  async function look(): Promise<void> {
    const begunAt = time.monotonicMs();
    await inTurn(note);
    if (!isClosed) timer = time.after(Math.max(0, intervalMs - (time.monotonicMs() - begunAt)), look);
  }

  async function note(): Promise<void> {
    try {
      await judge();
    } catch (error) {
      // Health says that the store is away, and the next look asks again.
      if (!hasCode(error, "STORE_UNAVAILABLE")) failures.add(error);
      return;
    }
    if (finding === undefined) await write();
  }

  /** A finding stands, with its digest, while nothing else is gone, and until what is gone is back. */
  async function judge(): Promise<void> {
    const [before, now] = [finding, await kept.look()];
    if (now === undefined ? before === undefined : before !== undefined && !isAnotherLoss(before, now)) return;
    finding = now;
    if (now === undefined) log.info("the store is as far again as the heads file noted");
    else log.error({ code: now.code, lost: now.lost }, now.message);
    changed();
  }

  async function write(): Promise<void> {
    try {
      if (kept.isDue()) await kept.write();
    } catch (error) {
      return failures.add(error);
    }
    currentAtMs = time.now().getTime();
    failures.end();
  }

  const heads: Heads = {
    status() {
      const problem = finding?.message ?? unwritten(place, failures.present()) ?? "";
      return { file: place.file, ...written(kept), currentAtMs, failures: failures.count(), problem, remark };
    },
    isBehind: () => finding !== undefined,
    problems: () => problemsOf(place, finding?.message, unwritten(place, failures.present())),
    remarks: () => (remark === "" ? [] : [notice("HEADS_BESIDE_STORE", sentence(remark), place.file)]),
    accept: (digest, by) =>
      inTurn(async () => {
        await judge(); // it may have been put back once more
        await acceptIn(store, withDigest(finding, digest), time.now(), by);
        kept.beginAnew();
        finding = undefined;
        await write();
        changed();
      }),
    async close() {
      isClosed = true;
      time.clear(timer);
      if (finding !== undefined) return;
      const late = () => new KmsError("STORE_UNAVAILABLE", "the heads file was not written in time");
      await withDeadline(time, closeWithinMs, late, () => inTurn(note)).catch((err) => log.error({ err }, err.message));
    },
  };
  timer = time.after(intervalMs, look);
  return { heads, write: () => inTurn(write) };
}

/** Writes that failed. Each reason is told once, until the file is written again. */
function writeFailures({ log, changed }: Pick<HeadsParts, "log" | "changed">) {
  let present: string | undefined;
  let count = 0;
  return {
    count: () => count,
    /** Why the file is not written; undefined if it is. */
    present: () => present,

    add(error: unknown): void {
      count += 1;
      const why = reasonOf(error);
      if (why === present) return;
      present = why;
      log.error({ err: error }, "the heads file cannot be written");
      changed();
    },

    end(): void {
      if (present === undefined) return;
      present = undefined;
      log.info("the heads file is written again");
      changed();
    },
  };
}

type AcceptParts = Pick<HeadsParts, "store" | "storeKey" | "time"> & { place: HeadsPlace };

/**
 * Accepts a finding while no service runs, or one that does not start for it: writes the audit row, ends the logs that may
 * have lost entries, and begins a new heads file.
 */
export async function acceptFinding(parts: AcceptParts, finding: Finding, by: Attribution): Promise<void> {
  await acceptIn(parts.store, finding, parts.time.now(), by);
  const kept = keptHeads(parts);
  kept.beginAnew();
  await kept.write();
}

/** Has the store accept a finding: with an audit row, and the end of each log that may have lost entries. */
function acceptIn(
  store: Pick<HeadsStore, "acceptRollback">,
  { digest, sha256, logs }: Finding,
  at: Date,
  by: Attribution,
): Promise<void> {
  const detail = acceptanceOf({ digest }, sha256 === undefined ? [] : [sha256]);
  const of = { tenantId: "", purpose: undefined, keyId: "", outcome: "OK", count: 1 };
  return store.acceptRollback({ at, ...by, ...of, action: "accept_rollback", detail }, logs);
}

function withDigest(finding: Finding | undefined, digest: string): Finding {
  if (finding === undefined) throw invalidField("digest", "there is nothing to accept: the store is not behind");
  if (finding.digest !== digest) throw invalidField("digest", "is not that of the finding that Status tells of");
  return finding;
}

function written(kept: KeptHeads): Pick<HeadsStatus, "since" | "writtenAt" | "commits"> {
  const { since, writtenAt, counted } = kept.content() ?? {};
  return { since, writtenAt, commits: counted?.commits };
}

function problemsOf({ file }: HeadsPlace, finding: string | undefined, failure: string | undefined): Problem[] {
  if (finding !== undefined) return [{ status: "down", notice: notice("STORE_PUT_BACK", sentence(finding), file) }];
  if (failure === undefined) return [];
  return [{ status: "degraded", notice: notice("HEADS_UNWRITTEN", sentence(failure), file) }];
}

function reasonOf(error: unknown): string {
  if (error instanceof KmsError) return error.message;
  return (error as NodeJS.ErrnoException).code ?? "internal error, see the log";
}

function unwritten({ file }: HeadsPlace, why: string | undefined): string | undefined {
  return why && `the heads file ${file} cannot be written (${why}), so a store that is put back may not be noticed`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}
