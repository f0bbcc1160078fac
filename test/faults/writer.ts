/** A process with a SQLite database in WAL mode, which inserts a row whenever it is told to, and says how that went. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const script = `
import { DatabaseSync } from "node:sqlite";
import { createInterface } from "node:readline";
function answer(work) {
  try {
    console.log(JSON.stringify(work()));
  } catch (error) {
    console.log(JSON.stringify({ errcode: error.errcode ?? String(error) }));
  }
}
let database;
answer(() => {
  database = new DatabaseSync(process.argv[1]);
  database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS t (bytes BLOB) STRICT");
  return "open";
});
for await (const length of createInterface({ input: process.stdin })) {
  answer(() => {
    database.prepare("INSERT INTO t VALUES (zeroblob(?))").run(Number(length));
    return database.prepare("SELECT count(*) AS rows FROM t").get();
  });
}`;

/** An extended result code of SQLite, or how many rows there are. */
export type Answer = "open" | { rows: number } | { errcode: number };

export interface Writer {
  /** How it went to open the database. */
  opened: Answer;
  insert(length: number): Promise<Answer>;
  /** SIGKILL; `end` waits for it. */
  kill(): void;
  end(): Promise<void>;
}

export async function startWriter(
  path: string,
  { enter = [], env = {} }: { enter?: readonly string[]; env?: Record<string, string> } = {},
): Promise<Writer> {
  const [command, ...args] = [...enter, process.execPath, "--input-type=module", "-e", script, path];
  const child = spawn(command!, args, { env: { PATH: process.env.PATH, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async (): Promise<Answer> => {
    const { value, done } = await lines.next();
    if (done) throw new Error("the writer ended");
    return JSON.parse(value);
  };
  return {
    opened: await answer(),
    insert(length) {
      child.stdin.write(`${length}\n`);
      return answer();
    },
    kill() {
      child.kill("SIGKILL");
    },
    async end() {
      child.stdin.end();
      await closed;
    },
  };
}
