/** Streams that a client of gRPC keeps open and hardly uses. */
import { once } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { onTestFinished } from "vitest";

/** What a Watch stream of gRPC health says, in order, and how it ends. */
export function watchHealth(target: string) {
  const Client = grpc.makeGenericClientConstructor(healthService, "Health");
  const client = new Client(target, grpc.credentials.createInsecure());
  const stream = client.watch!({ service: "" }) as grpc.ClientReadableStream<{ status: string }>;
  onTestFinished(() => client.close());
  // However it ends: that is for a test to say.
  stream.on("error", () => {});
  const ended = once(stream, "status").then(([{ code }]) => code as grpc.status);
  const next = () => new Promise<string>((resolve) => stream.once("data", ({ status }) => resolve(status)));
  return { next, ended };
}

/** A reflection stream that got one answer and stays open. */
export async function openReflection(target: string): Promise<void> {
  const client = new grpc.Client(target, grpc.credentials.createInsecure());
  onTestFinished(() => client.close());
  const bytes = (message: Uint8Array) => Buffer.from(message);
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const stream = client.makeBidiStreamRequest(path, bytes, bytes);
  stream.on("error", () => {});
  // ServerReflectionRequest.list_services = "".
  stream.write(Uint8Array.of(0x3a, 0));
  await new Promise((resolve) => stream.once("data", resolve));
}
