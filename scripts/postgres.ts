/** `node scripts/postgres.ts`: an empty PostgreSQL to practise with, as the tests have it. Prints its URL; it is gone after Ctrl-C. */
import { once } from "node:events";
import { startPostgres } from "../test/support/postgres-server.ts";

const server = await startPostgres({ durable: true });
console.log(server.url);
const runs = setInterval(() => {}, 60_000);
await Promise.race(["SIGINT", "SIGTERM"].map((signal) => once(process, signal)));
clearInterval(runs);
await server.close();
