/** Unary gRPC calls, so many at once. */
import type * as grpc from "@grpc/grpc-js";
import type { Exchange, UnaryLoad } from "./load.ts";
import { connect, deserialize, metadataOf, serialize } from "./wire.ts";

export function unaryLoad(load: UnaryLoad) {
  const client = connect(load.port, load.credentials);
  return { run: () => runCalls(load, client), close: () => client.close() };
}

function runCalls({ path, bodies, calls, atOnce, credentials }: UnaryLoad, client: grpc.Client): Promise<Exchange> {
  const metadata = metadataOf(credentials);
  let [begun, ended] = [0, 0];
  return new Promise((resolve, reject) => {
    const next = () => {
      const request = bodies[begun++ % bodies.length]!;
      client.makeUnaryRequest(path, serialize, deserialize, request, metadata, (error, answer?: Buffer) => {
        ended += 1;
        if (error) reject(error);
        else if (begun < calls) next();
        else if (ended === calls) resolve({ request, answers: [answer!] });
      });
    };
    for (let i = 0; i < Math.min(atOnce, calls); i += 1) next();
  });
}
