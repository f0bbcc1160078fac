/**
 * Group commit: writes that wait together are committed together, each behind a savepoint of its own, so that one that fails takes nothing
 * with it. None is answered before the commit.
 */
import { step } from "../../failpoints.ts";
import type { Transaction } from "../sql/database.ts";
import type { Erasure } from "./erasure.ts";
import { type Failures, isBusy, isConstraint, isSqlite, translated } from "./error-codes.ts";
import { busyMs, type FileConnection } from "./file-connection.ts";
import type { Work, WorkQueue } from "./work-queue.ts";

export interface GroupCommitParts {
  connection: FileConnection;
  queue: Pick<WorkQueue, "take">;
  erasure: Pick<Erasure, "expect">;
  failures: Failures;
  /** Runs the reads that wait. */
  runReads(): Promise<void>;
}

export interface GroupCommit {
  /** The transaction of whichever write runs. */
  transaction: Transaction;
  /** Runs the writes, commits them and settles each. */
  run(group: readonly Work[]): Promise<void>;
}

export function groupCommit({ connection, queue, erasure, failures, runReads }: GroupCommitParts): GroupCommit {
  /** What the writes of the group do once it is committed. */
  let committed: (() => void)[] = [];

  /** Another process's transaction is waited for, but reads do not wait with it. */
  async function begin(): Promise<void> {
    const until = performance.now() + busyMs;
    for (;;) {
      try {
        return connection.open().exec("begin immediate");
      } catch (error) {
        if (!isBusy(error) || performance.now() >= until) throw error;
      }
      await new Promise<void>((resolve) => setImmediate(resolve)); // the next calls arrive
      await runReads();
    }
  }

  /** Whether it did what it wanted; if not it is settled. Throws if the whole group is lost. */
  async function runOne(work: Work): Promise<boolean> {
    connection.open().exec("savepoint one");
    const before = committed.length;
    try {
      await work.run();
      connection.open().exec("release one");
      return true;
    } catch (error) {
      if (isSqlite(error) && !isConstraint(error)) throw error;
      connection.open().exec("rollback to one; release one");
      committed.length = before;
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
    transaction: {
      query: connection.query,
      rowsAStatement: 1,
      async lock() {}, // a transaction that writes is alone
      async announce() {},
      afterCommit: (work) => committed.push(work),
      async erases() {
        await connection.query(erasure.expect());
      },
      now: async () => Date.now(),
    },

    async run(group) {
      const done: Work[] = [];
      committed = [];
      try {
        await begin();
        step("sqlite.began");
        for (const work of group) if (await runOne(work)) done.push(work);
        step("sqlite.written");
        connection.open().exec("commit");
        step("sqlite.committed");
        for (const each of committed) each();
        failures.succeeded();
        for (const work of done) work.settle();
      } catch (error) {
        refuse(group, error);
      }
    },
  };
}
