/** The request of a number: the same for the same seed. Every rpc of the descriptors over every transport that serves it, and all paths of HTTP. */
import { create, type DescMethod, type DescService, toBinary, toJson } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Health } from "../../gen/ts/grpc/health/v1/health_pb.ts";
import { KeyAdminService } from "../../gen/ts/fluo/kms/v1/key_admin_service_pb.ts";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { LogService } from "../../gen/ts/fluo/kms/v1/log_service_pb.ts";
import { type Random, randomFrom } from "../crash/random.ts";
import { connectGetRequest, connectRequest, connectStreamRequest, grpcWebRequest } from "./connect-requests.ts";
import { grpcRequest } from "./grpc-requests.ts";
import { adminRequest, rawRequest } from "./http-requests.ts";
import { mutatedBytes } from "./mutate-bytes.ts";
import { mutatedJson } from "./mutate-json.ts";
import { randomMessage, type Samples } from "./random-message.ts";

export type FuzzRequest = {
  transport: string;
  /** What is asked, for the one who reads a failure. */
  what: string;
} & (
  | { by: "grpc"; path: string; headers: Record<string, string>; body: Uint8Array; endless: boolean }
  | { by: "http"; verb: string; path: string; headers: Record<string, string>; body: Uint8Array | undefined }
  | { by: "socket"; bytes: Buffer }
);

/** What is sent of a message. */
export interface Content {
  binary: Uint8Array;
  json: Buffer;
}

const services: readonly DescService[] = [KmsService, KeyAdminService, LogService];
const rpcs = services.flatMap(({ methods }) => methods);
const byGet = rpcs.filter(({ idempotency }) => idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
const streaming = rpcs.filter(({ methodKind }) => methodKind !== "unary");
const foreign = ["v1", "v1alpha"].map((version) => `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`);

/** Each call of these reads a whole trail or tries all of a provider: they come more rarely. */
const dear: ReadonlySet<string> = new Set(["VerifyAudit", "Validate"]);
const dearChance = 0.05;

export function requestOf(seed: number, number: number, samples: Samples): FuzzRequest {
  const random = randomFrom(Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(number + 1, 0xc2b2_ae35));
  for (let warm = 0; warm < 4; warm += 1) random.next();
  const way = random.weighted({
    grpc: 30,
    foreign: 6,
    connect: 25,
    connectGet: 10,
    connectStream: 8,
    grpcWeb: 12,
    admin: 7,
    raw: 10,
  });
  if (way === "admin") return adminRequest(random);
  if (way === "raw") return rawRequest(random, rpcs);
  if (way === "foreign") return foreignRequest(random);
  const method = rpcOf(random, amongOf(way, random));
  const content = contentOf(method, random, samples);
  switch (way) {
    case "grpc":
      return grpcRequest(
        {
          path: pathOf(method),
          contents: contentsOf(method, content, random, samples).map(({ binary }) => binary),
        },
        random,
      );
    case "connect":
      return connectRequest(method, content, random);
    case "connectStream": {
      const binary = random.chance(0.5);
      const contents = contentsOf(method, content, random, samples).map((each) => each[binary ? "binary" : "json"]);
      return connectStreamRequest({ path: pathOf(method), contents, binary }, random);
    }
    case "connectGet":
      return connectGetRequest(method, content, random);
    case "grpcWeb":
      return grpcWebRequest(method, content, random);
  }
}

export function pathOf({ parent, name }: DescMethod): string {
  return `/${parent.typeName}/${name}`;
}

/** Mostly those that are served that way. */
function amongOf(way: string, random: Random): readonly DescMethod[] {
  if (way === "connectGet") return random.chance(0.8) ? byGet : rpcs;
  return way === "connectStream" && random.chance(0.95) ? streaming : rpcs;
}

function rpcOf(random: Random, among: readonly DescMethod[]): DescMethod {
  for (;;) {
    const method = random.pick(among)!;
    if (!dear.has(method.name) || random.chance(dearChance)) return method;
  }
}

function contentOf({ input }: DescMethod, random: Random, samples: Samples): Content {
  const message = randomMessage(input, { random, samples, wild: random.chance(0.5), depth: 0 });
  const binary = toBinary(input, message);
  const changed = random.chance(0.7);
  const json = jsonOf();
  return {
    binary: changed ? mutatedBytes(binary, random) : binary,
    json: changed ? mutatedJson(json, random) : Buffer.from(JSON.stringify(json)),
  };

  /** Some messages have no JSON, such as a Timestamp of a year that is none. */
  function jsonOf(): unknown {
    try {
      return toJson(input, message, { useProtoFieldName: random.chance(0.3) });
    } catch {
      return toJson(input, create(input));
    }
  }
}

/** Of a stream, several. */
function contentsOf(method: DescMethod, first: Content, random: Random, samples: Samples): Content[] {
  const more = method.methodKind === "unary" ? 0 : random.below(4);
  return [first, ...Array.from({ length: more }, () => contentOf(method, random, samples))];
}

function foreignRequest(random: Random): FuzzRequest {
  const path = random.pick([...Health.methods.map(pathOf), "/grpc.health.v1.Health/List", ...foreign])!;
  const texts = ["", "fluo.kms.v1.KmsService", "fluo/kms/v1/kms_service.proto", "other", "\ufffd".repeat(3)];
  const text = Buffer.from(random.pick(texts)!);
  const field = Buffer.concat([Buffer.of((1 + random.below(8)) * 8 + 2, text.length), text]);
  const message = mutatedBytes(field, random);
  return { ...grpcRequest({ path, contents: [message] }, random), transport: "gRPC, health and reflection" };
}
