/**
 * What a call costs by Connect and by gRPC-Web, against connect-node alone, which reads and writes the same messages and does nothing else;
 * and a span of SignSpans by Connect, against gRPC.
 */
import { type DescMethod, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { frame } from "../../test/support/raw-stream.ts";
import { assert } from "../checks.ts";
import { caller } from "../client/caller.ts";
import { startClient } from "../client/client.ts";
import { aligned } from "../figures.ts";
import { profileTable } from "../profile.ts";
import type { PathOptions } from "../paths/main.ts";
import { type PathResult, pathTable, resultOf } from "../paths/results.ts";
import type { Row } from "../paths/row.ts";
import { rpc, tenantId } from "../requests.ts";
import { interleave } from "../rounds.ts";
import { type Server, startLibrary, startService } from "../server/server.ts";
import { cpuAnItem, type Take } from "../slice.ts";
import { subjectsOf, usualBatches } from "../subjects.ts";
import { exchanges } from "./exchanges.ts";

const calls = 4000;
/** As many as Status and GetPublicKeys are let run beside each other. */
const atOnce = 2;
const rounds = { warmUps: 1, rounds: 5, thereAndBack: true };

interface Way {
  name: string;
  title: string;
  mediaType: string;
  request(method: DescMethod, bytes: Uint8Array): Uint8Array;
  /** The message of an answer; throws where it is none. */
  answer(method: DescMethod, bytes: Uint8Array): Uint8Array;
}

const ways: readonly Way[] = [
  {
    name: "connect",
    title: "Connect",
    mediaType: "application/proto",
    request: (_method, bytes) => bytes,
    answer: (_method, bytes) => bytes,
  },
  {
    name: "json",
    title: "JSON",
    mediaType: "application/json",
    request: ({ input }, bytes) => Buffer.from(toJsonString(input, fromBinary(input, bytes))),
    answer: ({ output }, bytes) => toBinary(output, fromJsonString(output, Buffer.from(bytes).toString())),
  },
  {
    name: "grpc-web",
    title: "gRPC-Web",
    mediaType: "application/grpc-web+proto",
    request: (_method, bytes) => frame(bytes),
    answer: (_method, bytes) => bytes.subarray(5, 5 + Buffer.from(bytes).readUInt32BE(1)),
  },
];

export async function connect({ only, profile }: PathOptions): Promise<PathResult[]> {
  const client = startClient();
  const service = await startService({
    execArgv: profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`],
  });
  const single = caller(service.port);
  const subjects = subjectsOf(service, client);
  const made = await exchanges(single);
  const library = await startLibrary(
    Object.fromEntries(Object.entries(made).map(([name, { answer }]) => [name, answer])),
  );
  const ports = { service: await service.httpPort(), library: library.port };

  const load = (
    server: Pick<Server, "cpu">,
    port: number,
    way: Way,
    method: DescMethod,
    bodies: Uint8Array[],
  ): Take => {
    const headers = { "content-type": way.mediaType, "connect-protocol-version": "1" };
    const made = { over: "http", port, path: rpc(method.name), headers, bodies, calls, atOnce } as const;
    const check = async ({ answers }: { answers: readonly Uint8Array[] }) => {
      assert(
        toJsonString(method.output, fromBinary(method.output, way.answer(method, answers[0]!))) !== "{}",
        "an answer",
      );
    };
    return cpuAnItem({ server, run: client.load(() => made), items: calls, check });
  };
  const unary = Object.entries(made).flatMap(([name, { request }]) =>
    ways.map((way): Row => {
      const method = KmsService.method[name as keyof typeof KmsService.method];
      const bodies = [way.request(method, request)];
      return {
        name: `${name}-${way.name}`,
        title: `${method.name}, ${way.title}`,
        unit: "µs",
        subject: load(service, ports.service, way, method, bodies),
        limits: [{ title: "connect-node alone", takes: [load(library, ports.library, way, method, bodies)] }],
      };
    }),
  );
  const streams = (["INDIVIDUAL", "LOG"] as const).map((mode): Row => {
    const shape = { mode, streams: 64, atOnce: 64, batchesEach: 12, ...usualBatches, tenants: [tenantId] };
    return {
      name: `signSpans-${mode.toLowerCase()}`,
      title: `SignSpans ${mode}, Connect, 64 streams, a span`,
      unit: "µs",
      subject: subjects.signSpans({ ...shape, protocol: "Connect" }),
      limits: [{ title: "the same by gRPC", takes: [subjects.signSpans(shape)] }],
    };
  });
  const rows = [...unary, ...streams].filter(({ name }) => only?.some((each) => name.startsWith(each)) ?? true);
  try {
    const samples = await interleave(
      rows.map(({ subject, limits }) => [subject, ...limits.flatMap(({ takes }) => takes)]),
      rounds,
    );
    const results = rows.map((row, index) => resultOf(row, samples[index]!));
    console.log(aligned(pathTable(results)));
    return results;
  } finally {
    single.close();
    subjects.close();
    await Promise.all([client, service, library].map(({ stop }) => stop()));
    if (profile !== undefined) console.log(`\n${aligned(profileTable(profile))}`);
  }
}
