/**
 * `npm run bench:peers`: what the same work costs here and in OpenBao's Transit engine, loaded by the same client, in the same rounds.
 * Installs OpenBao at its fixed version first. Timing never fails it. README.md says what the figures mean.
 */
import { parseArgs } from "node:util";
import { installOpenBao } from "../../scripts/tools/openbao.ts";
import { startClient } from "../client/client.ts";
import { aligned } from "../figures.ts";
import { printMachine, writeJson } from "../report.ts";
import { interleave } from "../rounds.ts";
import { startService } from "../server/server.ts";
import { subjectsOf } from "../subjects.ts";
import { startOpenBao } from "./openbao.ts";
import { cpuTable, itemsTable, resultOf } from "./results.ts";
import { contenders, peerRows } from "./rows.ts";
import { transitOf } from "./transit.ts";

const { values: options } = parseArgs({
  options: { json: { type: "string" }, only: { type: "string", multiple: true } },
});

await installOpenBao();
printMachine();
const client = startClient();
const servers = await Promise.all([startService(), startOpenBao("off"), startOpenBao("on")]);
const [service, off, on] = servers;
const ours = subjectsOf(service, client);
try {
  const all = peerRows(ours, { off: await transitOf(off, client), on: await transitOf(on, client) });
  const rows = all.filter(({ name }) => options.only?.includes(name) ?? true);
  const takes = rows.map((row) => contenders.map((contender) => row.takes[contender]));
  const samples = await interleave(takes, { warmUps: 1, rounds: 5, thereAndBack: true });
  const results = rows.map((row, index) => resultOf(row, samples[index]!));
  console.log(`${aligned(cpuTable(results))}\n\n${aligned(itemsTable(results))}`);
  if (options.json !== undefined) writeJson(options.json, { peers: results });
} finally {
  ours.close();
  await Promise.all([client, ...servers].map(({ stop }) => stop()));
}
