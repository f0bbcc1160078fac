/** What clients keep open and hardly use. */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import * as grpc from "@grpc/grpc-js";
import { service as healthService } from "grpc-health-check";
import { onTestFinished } from "vitest";
import { grpcClient } from "./running-service.ts";

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
async function openReflection(target: string): Promise<void> {
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

/** Opens all that a client may leave open: a Watch and a reflection stream, and on each port an idle and a silent connection. */
export async function keepAllOpen(target: string, url: string): Promise<void> {
  await watchHealth(target).next();
  await openReflection(target);
  const idle = grpcClient(target);
  onTestFinished(() => idle.close());
  await idle.status({});
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  const [answer] = await once(request(`${url}/q/health`, { agent }).end(), "response");
  await text(answer);
  for (const address of [target, new URL(url).host]) {
    const [host, port] = address.split(":");
    // Nobody reads from it either: it does not even notice that the other side closes.
    const silent = connect(Number(port), host);
    silent.on("error", () => {});
    onTestFinished(() => void silent.destroy());
    await once(silent, "connect");
  }
}
