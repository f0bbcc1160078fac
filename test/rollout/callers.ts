/** Callers of HTTP/1.1, by Connect's library and by JSON, over connections that they keep and over new ones. */
import { once } from "node:events";
import { Agent, type ClientRequestArgs, request } from "node:http";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { KmsService } from "../../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import type { Deployment } from "./deployment.ts";

const tenantId = "acme";
/** Between two calls of one caller. */
const pauseMs = 20;
const callersOfAKind = 2;
/** Without authentication the service answers to no other name. */
const host = "localhost";

/** A node: each new connection goes to one of the endpoints that it knows, and stays there. */
class Routed extends Agent {
  readonly #route: Deployment["route"];

  constructor(route: Deployment["route"], keepAlive: boolean) {
    super({ keepAlive, scheduling: "fifo" }); // every connection is used in its turn
    this.#route = route;
  }

  override createConnection(_to: ClientRequestArgs, made?: (error: Error | null, socket: Duplex) => void) {
    const pod = this.#route();
    if (pod?.process === undefined) {
      process.nextTick(made!, new Error("refused: the pod does not listen yet"));
      return undefined;
    }
    const { hostname, port } = new URL(pod.process.http);
    pod.open += 1;
    return connect(Number(port), hostname).once("close", () => {
      pod.open -= 1;
    });
  }
}

type Call = () => Promise<unknown>;

function byConnect(agent: Agent): Call {
  const transport = createConnectTransport({ baseUrl: `http://${host}`, httpVersion: "1.1", nodeOptions: { agent } });
  const client = createClient(KmsService, transport);
  const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];
  return () => client.encryptPii({ tenantId, fields });
}

function byJson(agent: Agent): Call {
  const options = { agent, host, method: "POST", path: "/fluo.kms.v1.KmsService/EncryptPii" };
  const body = JSON.stringify({ tenantId, fields: [{ name: "email", value: "YW5u" }] });
  return async () => {
    const sent = request({ ...options, headers: { "content-type": "application/json" } }).end(body);
    const [response] = await once(sent, "response");
    const answer = await text(response);
    if (response.statusCode !== 200) throw new Error(`${response.statusCode} ${answer}`);
  };
}

export interface Calling {
  /** How many calls were answered well. */
  succeeded(): number;
  readonly failures: readonly string[];
  /** Resolves when so many calls have ended. */
  reached(calls: number): Promise<void>;
  end(): Promise<void>;
}

export function startCalling(route: Deployment["route"]): Calling {
  const failures: string[] = [];
  const agents = [true, false].map((keepAlive) => new Routed(route, keepAlive));
  const calls = agents.flatMap((agent) => [byConnect(agent), byJson(agent)]);
  let [succeeded, running] = [0, true];
  async function caller(call: Call): Promise<void> {
    while (running) {
      await call().then(
        () => {
          succeeded += 1;
        },
        (error) => failures.push(String(error)),
      );
      await delay(pauseMs);
    }
  }
  const callers = Array.from({ length: callersOfAKind }, () => calls.map(caller)).flat();
  return {
    succeeded: () => succeeded,
    failures,
    async reached(calls) {
      while (succeeded + failures.length < calls) await delay(pauseMs);
    },
    async end() {
      running = false;
      await Promise.all(callers);
      for (const agent of agents) agent.destroy();
    },
  };
}
