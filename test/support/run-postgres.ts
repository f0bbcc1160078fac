/**
 * The PostgreSQL of a Vitest run: one server for all files that share it, and one set of data that servers of their own start from. Both are
 * made when a worker first asks, so a run without them makes none, and end with the run: here, or with the server's guard.
 */
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Answer, isRun, runSocket } from "./ask-run.ts";
import type { Cluster } from "./postgres-cluster.ts";
import type { PostgresServer } from "./postgres-server.ts";

/** Connections are for all workers together, of whom each has stores with ten and more. Databases live for seconds. */
const settings = { max_connections: "600", autovacuum: "off" };

export default async function offerPostgres(): Promise<(() => Promise<void>) | undefined> {
  if (isRun()) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "postgres-"));
  chmodSync(folder, 0o711); // the server's user need not be who runs this, and only that one may ask
  const made: { cluster?: Promise<Cluster>; server?: Promise<PostgresServer> } = {};
  const offers: Record<string, () => Promise<unknown>> = {
    cluster() {
      made.cluster ??= makeOnce(folder);
      return made.cluster;
    },
    async server() {
      made.server ??= start();
      const { url } = await made.server;
      return { url };
    },
  };
  const answering = createServer({ allowHalfOpen: true }, (socket) => void answer(socket, offers));
  const path = join(folder, "socket");
  answering.listen(path);
  await once(answering, "listening");
  process.env[runSocket] = path;
  return async () => {
    delete process.env[runSocket];
    answering.close();
    await (await made.server?.catch(() => undefined))?.close();
  };
}

async function answer(socket: Socket, offers: Record<string, () => Promise<unknown>>): Promise<void> {
  socket.on("error", () => {}); // of a worker that is gone
  const told: Answer = await once(socket.setEncoding("utf8"), "data")
    .then(async ([thing]) => ({ answer: await offers[thing]!() }))
    .catch((error: unknown) => ({ error: String(error) }));
  socket.end(JSON.stringify(told));
}

// Imported only then: most runs of a single file need no server.
async function makeOnce(folder: string): Promise<Cluster> {
  const { makeCluster } = await import("./postgres-cluster.ts");
  const dir = join(folder, "cluster");
  mkdirSync(dir, { mode: 0o700 });
  return makeCluster(dir);
}

async function start(): Promise<PostgresServer> {
  const { startPostgres } = await import("./postgres-server.ts");
  return startPostgres({ settings });
}
