/**
 * Group commit: writes that wait together are committed together, each behind a savepoint of its own, so that one that fails takes nothing
 * with it. None is answered before the commit.
 */
import type { Time } from "../../runtime/time.ts";
import { step } from "../../failpoints.ts";
import type { Database, HeadChange, Transaction } from "../sql/rows/database.ts";
import type { Erasure } from "./erasure.ts";
import { type Failures, isBusy, isConstraint, isSqlite, translated } from "./error-codes.ts";
import { busyMs, type FileConnection } from "./file-connection.ts";
import type { Work, WorkQueue } from "./work-queue.ts";

export interface GroupCommitParts {
  connection: FileConnection;
  queue: Pick<WorkQueue, "take">;
  erasure: Pick<Erasure, "expect">;
  time: Time;
  failures: Failures;
  /** Runs the reads that wait. */
  runReads(): Promise<void>;
}

export interface GroupCommit {
  /** The transaction of whichever write runs. */
  transaction: Transaction;
  /** See Database. */
  countCommits: NonNullable<Database["countCommits"]>;
  /** Runs the writes, commits them and settles each. */
  run(group: readonly Work[]): Promise<void>;
}

export function groupCommit({ connection, queue, erasure, time, failures, runReads }: GroupCommitParts): GroupCommit {
  const effects = newEffects();
  let count: Parameters<GroupCommit["countCommits"]>[0] | undefined;

  /** Another process's transaction is waited for, but reads do not wait with it. */
  async function begin(): Promise<void> {
    const until = time.monotonicMs() + busyMs;
    for (;;) {
      try {
        return connection.open().exec("begin immediate");
      } catch (error) {
        if (!isBusy(error) || time.monotonicMs() >= until) throw error;
      }
      await new Promise<void>((resolve) => setImmediate(resolve)); // the next calls arrive
      await runReads();
    }
  }

  /** Whether it did what it wanted; if not it is settled. Throws if the whole group is lost. */
  async function runOne(work: Work): Promise<boolean> {
    connection.open().exec("savepoint one");
    const undo = effects.mark();
    try {
      await work.run();
      connection.open().exec("release one");
      return true;
    } catch (error) {
      if (isSqlite(error) && !isConstraint(error)) throw error;
      connection.open().exec("rollback to one; release one");
      undo();
      work.settle(translated(error));
      return false;
    }
  }

  function refuse(group: readonly Work[], error: unknown): void {
    const problem = failures.failure(error);
    // Those that came meanwhile have waited for the same, and not less than a caller should.
    const lost = isBusy(error) ? [...group, ...queue.take("write")] : group;
    if (!isBusy(error) || connection.isInTransaction()) connection.giveUp();
    for (const work of lost) work.settle(problem);
  }

  return {
    transaction: transactionOf(connection, { erasure, time }, effects),

    countCommits(each) {
      count = each;
    },

    async run(group) {
      const done: Work[] = [];
      effects.clear();
      try {
        await begin();
        step("sqlite.began");
        for (const work of group) if (await runOne(work)) done.push(work);
        if (done.length > 0) await count?.(connection.query, effects.changes);
        step("sqlite.written");
        connection.open().exec("commit");
        step("sqlite.committed");
        for (const each of effects.committed) each();
        failures.succeeded();
        for (const work of done) work.settle();
      } catch (error) {
        refuse(group, error);
      }
    },
  };
}

/** What a group of writes does beside its statements, if it is committed. */
interface Effects {
  /** Run afterwards. */
  committed: (() => void)[];
  changes: HeadChange[];
  /** Returns what forgets all that comes from now on. */
  mark(): () => void;
  clear(): void;
}

function newEffects(): Effects {
  const [committed, changes]: [Effects["committed"], Effects["changes"]] = [[], []];
  const shorten = (first: number, second: number) => {
    committed.length = first;
    changes.length = second;
  };
  return {
    committed,
    changes,
    mark() {
      const [first, second] = [committed.length, changes.length];
      return () => shorten(first, second);
    },
    clear: () => shorten(0, 0),
  };
}

function transactionOf(
  { query }: FileConnection,
  { erasure, time }: Pick<GroupCommitParts, "erasure" | "time">,
  { committed, changes }: Effects,
): Transaction {
  return {
    query,
    rowsAStatement: 1,
    async lock() {}, // a transaction that writes is alone
    async announce() {},
    headChanged: (change) => changes.push(change),
    afterCommit: (work) => committed.push(work),
    async erases() {
      await query(erasure.expect());
    },
    now: async () => time.now().getTime(),
  };
}
