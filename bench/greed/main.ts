/** A greedy caller, and the calls of another one beside it: does the second notice what the first asks for, or is refused? */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { tokenPolicy } from "../../test/support/policy-service.ts";
import { type Beside, msText, ratioText, takeBeside } from "../beside.ts";
import { type Child, startChild } from "../child.ts";
import { caller } from "../client/caller.ts";
import { aligned, digits } from "../figures.ts";
import { encryptPiiRequest, rpc, tenantId } from "../requests.ts";
import { startRotating } from "../rotation/service.ts";
import { signSpanRequests } from "../spans.ts";
import { temporaryDirectory } from "../temporary.ts";
import type { Greed, Question, Told } from "./greedy.ts";
import { decryptPiiRequest, encryptPiiJson } from "./large.ts";

const limit = 100;
const fields = 1_000;
const atOnce = 10;
/** Until the units that may come at once are used, and the pace is the limit's. */
const settleMs = 1_000;

const policy = tokenPolicy({
  greedy: { roles: ["sign"], limit },
  modest: { roles: ["sign"], limit },
  large: { roles: ["encrypt", "decrypt"] },
  small: { roles: ["encrypt"] },
});

export interface GreedRow extends Beside {
  name: string;
  /** The most that the ratio is to be. */
  target: number;
  greedy: Told;
}

interface Row {
  name: string;
  target: number;
  greed: Greed;
  modest: { token: string; path: string; request: Uint8Array; perSecond: number };
}

export interface GreedOptions {
  isShort?: boolean;
  /** Names of rows. */
  only?: readonly string[] | undefined;
}

export async function greed({ isShort = false, only }: GreedOptions = {}): Promise<GreedRow[]> {
  const extent = isShort ? { sliceMs: 1_000, rounds: 1 } : { sliceMs: 5_000, rounds: 3 };
  const dir = temporaryDirectory();
  const policyFile = join(dir, "policy.yaml");
  writeFileSync(policyFile, policy.text);
  const env = {
    FLUO_KMS_STORE: "sqlite",
    FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_AUTH: "policy",
    FLUO_KMS_POLICY_FILE: policyFile,
    KMS_ROTATION_ENABLED: "false",
  };
  const service = await startRotating(env);
  const child = startChild("./greed/greedy.ts");
  const measured: GreedRow[] = [];
  try {
    for (const row of await rowsOf(service.grpcPort, Number(new URL(service.http).port))) {
      if (only !== undefined && !only.includes(row.name)) continue;
      measured.push(await measure(child, service.grpcPort, row, extent));
    }
  } finally {
    await child.stop();
    await service.stop();
  }
  console.log(`\na caller beside a greedy one: ${limit} a second is the limit of both in the first row\n`);
  console.log(aligned(tableOf(measured)));
  return measured;
}

async function rowsOf(grpcPort: number, httpPort: number): Promise<Row[]> {
  const [span] = signSpanRequests(tenantId, 1);
  const { greedy, modest, large, small } = policy.tokens as Record<"greedy" | "modest" | "large" | "small", string>;
  const encrypt = encryptPiiRequest(fields);
  const decrypt = await decryptPiiRequest(caller(grpcPort, large), encrypt);
  const byGrpc = { over: "grpc", port: grpcPort } as const;
  const inFlight = { token: large, pace: { inFlight: atOnce } };
  const single = { token: small, path: rpc("EncryptPii"), request: encryptPiiRequest(1), perSecond: 100 };
  return [
    {
      ...{ name: "limit", target: 2 },
      greed: { ...byGrpc, token: greedy, path: rpc("SignSpan"), body: span!, pace: { perSecond: 10 * limit } },
      modest: { token: modest, path: rpc("SignSpan"), request: span!, perSecond: limit / 2 },
    },
    {
      ...{ name: "encrypt-pii", target: 5, modest: single },
      greed: { ...byGrpc, ...inFlight, path: rpc("EncryptPii"), body: encrypt },
    },
    {
      ...{ name: "decrypt-pii", target: 5, modest: single },
      greed: { ...byGrpc, ...inFlight, path: rpc("DecryptPii"), body: decrypt },
    },
    {
      ...{ name: "encrypt-pii-json", target: 5, modest: single },
      greed: { over: "http", port: httpPort, ...inFlight, path: rpc("EncryptPii"), body: encryptPiiJson(encrypt) },
    },
  ];
}

async function measure(
  child: Child,
  port: number,
  { name, target, greed, modest }: Row,
  extent: { sliceMs: number; rounds: number },
): Promise<GreedRow> {
  const ask = <Answer>(question: Question) => child.ask<Answer>(question);
  const greedy: Told = { seconds: 0, answered: 0, refused: 0, refusedWithWait: 0, failure: undefined };
  const others = {
    async begin() {
      await ask({ begin: greed });
      await delay(settleMs);
      await ask({ count: true });
    },
    async end() {
      const told = await ask<Told>({ end: true });
      for (const each of ["seconds", "answered", "refused", "refusedWithWait"] as const) greedy[each] += told[each];
      greedy.failure ??= told.failure;
    },
  };
  const noticed = await takeBeside({ ...modest, connect: () => caller(port, modest.token) }, others, extent);
  return { name, target, ...noticed, greedy };
}

/** All of a row's targets: the ratio, and that 99.9 % of the other's calls succeed; and that whoever is refused is told when to come back. */
function isMet({ ratio, target, calls, failed, greedy }: GreedRow): boolean {
  const areTold = greedy.refused === greedy.refusedWithWait && greedy.failure === undefined;
  return ratio.median <= target && failed <= calls / 1_000 && areTold;
}

function tableOf(rows: readonly GreedRow[]): string[][] {
  const head = ["beside", "calls", "succeeded", "p99 alone", "p99 beside", "ratio", "target", "", "ratio of p50"];
  return [
    [...head, "greedy: answered a second", "refused", "with one wait", "failed"],
    ...rows.map((row) => [
      row.name,
      String(row.calls),
      `${((100 * (row.calls - row.failed)) / row.calls).toFixed(2)} %`,
      msText(row.alone),
      msText(row.beside),
      ratioText(row.ratio),
      `${row.target} x`,
      isMet(row) ? "met" : "missed",
      ratioText(row.p50.ratio),
      digits(row.greedy.answered / row.greedy.seconds),
      String(row.greedy.refused),
      String(row.greedy.refusedWithWait),
      row.greedy.failure ?? "0",
    ]),
  ];
}
