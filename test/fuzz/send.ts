/** Sends requests and waits for what comes, at most for a minute. */
import { Agent, request as httpRequest } from "node:http";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect } from "node:net";
import { type Answer, connectStreamAnswer, grpcAnswer, httpAnswer } from "./answer.ts";
import type { FuzzRequest } from "./requests.ts";
import type { FuzzedService } from "./service.ts";
import { destroySession } from "../support/destroy-session.ts";

export interface Sender {
  send(request: FuzzRequest): Promise<Answer>;
  close(): Promise<void>;
}

const patienceMs = 60_000;
const notSent: Answer = { status: "not sent", code: undefined };
const hang: Answer = { status: "no answer", code: undefined, problem: `there was no answer in ${patienceMs} ms` };

export function createSender({ grpc, httpPort }: Pick<FuzzedService, "grpc" | "httpPort">): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  let session: ClientHttp2Session | undefined;
  const open = () => {
    if (session === undefined || session.destroyed || session.closed) {
      session = connectHttp2(`http://${grpc}`).on("error", () => {});
    }
    return session;
  };
  return {
    send(request) {
      const { promise, resolve } = Promise.withResolvers<Answer>();
      const timer = setTimeout(() => resolve(hang), patienceMs);
      try {
        if (request.by === "grpc") sendGrpc(open(), request, resolve);
        else if (request.by === "http") sendHttp({ agent, port: httpPort }, request, resolve);
        else sendRaw(httpPort, request.bytes, resolve);
      } catch {
        resolve(notSent); // what node:http does not send for anyone
      }
      return promise.finally(() => clearTimeout(timer));
    },
    async close() {
      agent.destroy();
      if (session !== undefined) await destroySession(session);
    },
  };
}

type Done = (answer: Answer) => void;

function sendGrpc(session: ClientHttp2Session, request: FuzzRequest & { by: "grpc" }, done: Done): void {
  const headers = Object.entries(request.headers).filter(([, value]) => value !== "");
  const stream = session.request({ ":method": "POST", ":path": request.path, ...Object.fromEntries(headers) });
  let status: number | undefined;
  const look = (given: Record<string, unknown>) => {
    if (given["grpc-status"] !== undefined) status = Number(given["grpc-status"]);
  };
  stream.on("response", look).on("trailers", look);
  stream.on("error", () => {});
  let contentType = "";
  stream.on("response", (given) => {
    contentType = given["content-type"] ?? "";
  });
  const body: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    if (request.endless) stream.close(constants.NGHTTP2_CANCEL);
    else body.push(chunk);
  });
  stream.on("close", () => {
    if (contentType.startsWith("application/connect+")) done(connectStreamAnswer(Buffer.concat(body)));
    else done(status === undefined ? resetAnswer(stream.rstCode ?? 0) : grpcAnswer(status));
  });
  stream.end(request.body);
}

function resetAnswer(code: number): Answer {
  const status = `reset ${code}`;
  const isBug = code === constants.NGHTTP2_INTERNAL_ERROR;
  if (isBug) return { status, code: undefined, problem: "reset with INTERNAL_ERROR" };
  return { status, code: code === constants.NGHTTP2_ENHANCE_YOUR_CALM ? "RESOURCE_EXHAUSTED" : undefined };
}

function sendHttp(to: { agent: Agent; port: number }, request: FuzzRequest & { by: "http" }, done: Done): void {
  const { verb: method, path, headers, body } = request;
  const sent = httpRequest({ ...to, host: "127.0.0.1", method, path, headers }, async (response) => {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of response) chunks.push(chunk);
    } catch (error) {
      return done(cut(error));
    }
    const contentType = response.headers["content-type"] ?? "";
    const isPlain = response.headers["content-encoding"] === undefined;
    const answer = { status: response.statusCode!, contentType, body: Buffer.concat(isPlain ? chunks : []) };
    done(answered(answer, isPlain && method !== "HEAD"));
  });
  sent.on("error", (error) => {
    // The service may close a connection that was idle just as it is taken again.
    if (sent.reusedSocket) sendHttp({ ...to, agent: new Agent() }, request, done);
    else done(cut(error));
  });
  sent.end(body);
}

function answered(answer: Parameters<typeof httpAnswer>[0], hasBody: boolean): Answer {
  try {
    return httpAnswer(answer, hasBody);
  } catch {
    const problem = `an answer that is none: ${answer.status} ${answer.contentType} ${answer.body.toString("latin1")}`;
    return { status: "nonsense", code: undefined, problem };
  }
}

function cut(error: unknown): Answer {
  return { status: "cut", code: undefined, problem: `the connection was cut: ${error}` };
}

/** Ends its side at once. The first answer counts: there may be as many as there were requests. */
function sendRaw(port: number, bytes: Buffer, done: Done): void {
  const chunks: Buffer[] = [];
  const isHead = bytes.subarray(0, 5).toString() === "HEAD ";
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => socket.end(bytes));
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  socket.on("close", () => done(rawAnswer(Buffer.concat(chunks), isHead)));
  socket.on("end", () => socket.destroy());
}

function rawAnswer(all: Buffer, isHead: boolean): Answer {
  const text = all.toString("latin1").replace(/^(HTTP\/1\.1 100 Continue\r\n\r\n)+/, "");
  if (text === "") return { status: "closed", code: undefined };
  const [, status, head, rest] = /^HTTP\/1\.1 (\d{3}) ?(.*?)\r\n\r\n(.*)$/s.exec(text) ?? [];
  if (status === undefined || head === undefined || rest === undefined) return cut(text);
  const header = (name: string) => new RegExp(`^${name}: (.*)$`, "im").exec(head)?.[1]?.trim();
  const length = isHead ? 0 : Number(header("content-length") ?? rest.length);
  if (header("x-content-type-options") !== "nosniff")
    return { status, code: undefined, problem: `no nosniff: ${text}` };
  const body = Buffer.from(rest.slice(0, length), "latin1");
  const answer = { status: Number(status), contentType: header("content-type") ?? "", body };
  return answered(answer, body.length > 0);
}
