/**
 * What it costs to know who calls: the same call on a warm TLS connection by callers of each kind, and by callers of a service that asks for
 * no credentials but has the same bytes to read; the door's functions alone; and the first sight of a token.
 */
import { fromBinary } from "@bufbuild/protobuf";
import { GenerateDataKeyResponseSchema } from "../../gen/ts/fluo/kms/v1/data_key_pb.ts";
import { flags } from "../../src/runtime/flags.js";
import { assert } from "../checks.ts";
import { startChild } from "../child.ts";
import { startClient } from "../client/client.ts";
import type { Credentials, Exchange } from "../client/load.ts";
import { aligned } from "../figures.ts";
import { profileTable } from "../profile.ts";
import { generateDataKeyRequest, rpc } from "../requests.ts";
import { interleave } from "../rounds.ts";
import { type Server, startEmpty, startService } from "../server/server.ts";
import { cpuAnItem, type Take } from "../slice.ts";
import { callsAtOnce } from "../subjects.ts";
import { algorithms, createWorld, known, type TokenAlgorithm } from "./credentials.ts";
import type { Loop, Question } from "./functions.ts";
import { type AuthResults, callTable, functionTable, resultsOf } from "./results.ts";

const calls = 4_000;
const loopsPerSlice = 200_000;
const tokensPerSlice = 1_000;
const rounds = { warmUps: 1, rounds: 9, thereAndBack: true };

export async function auth({ profile }: { profile?: string | undefined }): Promise<AuthResults> {
  const world = createWorld();
  const execArgv = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const client = startClient();
  const functions = startChild("auth/functions.ts", flags);
  const [without, under, empty] = await Promise.all([
    startService({ env: world.tls }),
    startService({ env: { ...world.tls, ...world.underPolicy }, execArgv }),
    startEmpty({ GenerateDataKey: answerBytes }, world.own),
  ]);

  const { ca, certificate } = world;
  const tokens = { static: `Bearer ${world.staticToken}`, jwt: `Bearer ${world.token("RS256", "ann")}` };
  const call = (server: Server, credentials: Omit<Credentials, "ca"> = {}, path = rpc("GenerateDataKey")): Take => {
    const load = { over: "unary", path, bodies: [generateDataKeyRequest()], calls, atOnce: callsAtOnce } as const;
    const run = client.load(() => ({ ...load, port: server.port, credentials: { ca, ...credentials } }));
    return cpuAnItem({ server, run, items: calls, ...(server !== empty && { check: hasKey }) });
  };
  const ask = (question: Question): Take => {
    return async () => ({ value: (await functions.ask<number>(question)) / question.times });
  };
  const loop = (run: Loop) => ask({ run, times: loopsPerSlice });
  const firstSight = (algorithm: TokenAlgorithm) => ask({ firstSight: algorithm, times: tokensPerSlice });

  try {
    const [byCalls, byLoops, bySights] = await interleave(
      [
        [
          ...[call(empty, {}, "/bench/GenerateDataKey"), call(without), call(under, { certificate })],
          ...[call(without, { authorization: tokens.static }), call(under, { authorization: tokens.static })],
          ...[call(without, { authorization: tokens.jwt }), call(under, { authorization: tokens.jwt })],
        ],
        [...known, "tenant" as const].map(loop),
        algorithms.map(firstSight),
      ],
      rounds,
    );
    const results = resultsOf(byCalls!, byLoops!, bySights!);
    console.log(
      `the header of the static token has ${tokens.static.length} bytes, that of the JWT ${tokens.jwt.length}\n`,
    );
    console.log(`${aligned(callTable(results))}\n\n${aligned(functionTable(results))}`);
    return results;
  } finally {
    await client.stop();
    await Promise.all([without.stop(), under.stop(), empty.stop(), functions.stop()]);
    if (profile !== undefined) console.log(`\n${aligned(profileTable(profile))}`);
  }
}

/** Of a GenerateDataKeyResponse. */
const answerBytes = 180;

async function hasKey({ answers }: Exchange): Promise<void> {
  const { plaintext } = fromBinary(GenerateDataKeyResponseSchema, answers[0]!);
  assert(plaintext.length === 32, "a data key comes back");
}
