import { expect, it } from "vitest";
import { realTime } from "../../../src/runtime/time.ts";
import { createFailures } from "../../../src/store/sqlite/error-codes.ts";
import { fileConnection } from "../../../src/store/sqlite/file-connection.ts";
import { groupCommit } from "../../../src/store/sqlite/group-commit.ts";
import type { Work } from "../../../src/store/sqlite/work-queue.ts";

/** A database whose commit fails if a child without a parent was written, and what each write of a group was told. */
function family() {
  const schema = [
    "create table parent (id integer primary key)",
    "create table child (id integer references parent deferrable initially deferred)",
  ];
  const connection = fileConnection({ file: ":memory:", readOnly: false, schema }, () => {});
  const { run } = groupCommit({
    connection,
    queue: { take: () => [] },
    erasure: { expect: () => "select 1" },
    time: realTime,
    failures: createFailures(),
    runReads: async () => {},
  });
  const told: string[] = [];
  const write = (statement: string): Work => ({
    kind: "write",
    async run() {
      await connection.query(statement);
    },
    settle(problem) {
      const when = connection.isInTransaction() ? "before the commit" : "after the commit";
      told.push(problem === undefined ? `done, ${when}` : "failed");
    },
  });
  return { told, runGroup: (...statements: string[]) => run(statements.map(write)) };
}

it("a group's writes are answered once they are committed", async () => {
  const { told, runGroup } = family();
  await runGroup("insert into parent values (1)", "insert into child values (1)");
  expect(told).toEqual(["done, after the commit", "done, after the commit"]);
});

it("all writes of a group fail if its commit does, and none is said to be done", async () => {
  const { told, runGroup } = family();
  await runGroup("insert into parent values (1)", "insert into child values (2)");
  expect(told).toEqual(["failed", "failed"]);
});
