/** POSTs over HTTP/1.1, so many at once, on connections that are kept. */
import { Agent, request } from "node:http";
import type { Exchange, HttpLoad } from "./load.ts";

export function httpLoad(load: HttpLoad) {
  const agent = new Agent({ keepAlive: true, maxSockets: load.atOnce });
  async function run(): Promise<Exchange> {
    let begun = 0;
    let last: Exchange | undefined;
    const follow = async () => {
      while (begun < load.calls) {
        const body = load.bodies[begun++ % load.bodies.length]!;
        last = { request: body, answers: [await post(load, agent, body)] };
      }
    };
    await Promise.all(Array.from({ length: load.atOnce }, follow));
    return last!;
  }
  return { run, close: () => agent.destroy() };
}

export function post(
  { port, path, headers }: Pick<HttpLoad, "port" | "path" | "headers">,
  agent: Agent,
  body: Uint8Array,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const length = { "content-length": body.length };
    const sent = request({ port, path, agent, method: "POST", headers: { ...headers, ...length } }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const answer = Buffer.concat(chunks);
        if (response.statusCode === 200) resolve(answer);
        else reject(new Error(`${path}: ${response.statusCode} ${answer.toString().slice(0, 200)}`));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
