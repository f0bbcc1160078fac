/** Frames of HTTP/2 written by hand (RFC 9113 §4.1), and fields as they are given: a client may send what no library sends. */
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { frame } from "./raw-stream.ts";
import type { ClientCertificate } from "./running-service.ts";
import { destroySession } from "./destroy-session.ts";

export const frameType = { headers: 1, settings: 4, continuation: 9 } as const;
export const frameFlag = { endStream: 1, endHeaders: 4 } as const;
const headBytes = 9;
const magic = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function frameOf(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(headBytes);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The connection preface of a client: its magic, and empty settings. */
export const preface = Buffer.concat([magic, frameOf(frameType.settings, 0, 0, new Uint8Array())]);

/** A field's name and its value, a character a byte. */
export type Field = readonly [name: string, value: string];

/** Literal fields that are not kept, without Huffman's code (RFC 7541 §6.2.2). */
function literals(fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));
}

function text(of: string): Buffer {
  const bytes = Buffer.from(of, "latin1");
  const length = [Math.min(bytes.length, 127)];
  for (let rest = bytes.length - 127; rest >= 0; rest >>>= 7) {
    length.push(rest < 128 ? rest : 128 | (rest & 127));
    if (rest < 128) break;
  }
  return Buffer.concat([Buffer.from(length), bytes]);
}

/** What a client of node:http2 takes for its socket: each HEADERS frame that it sends has `fields` in place of its own, at most 16 KiB. */
export function replacingFields(socket: Socket, fields: readonly Field[]): Duplex {
  let [unsent, sentMagic] = [Buffer.alloc(0), false];
  const whole = (): Buffer[] => {
    const frames: Buffer[] = [];
    if (!sentMagic && unsent.length >= magic.length) {
      frames.push(unsent.subarray(0, magic.length));
      unsent = unsent.subarray(magic.length);
      sentMagic = true;
    }
    while (sentMagic && unsent.length >= headBytes) {
      const end = headBytes + unsent.readUIntBE(0, 3);
      if (unsent.length < end) break;
      const [type, flags, stream] = [unsent[3]!, unsent[4]!, unsent.readUInt32BE(5)];
      const kept = flags & (frameFlag.endStream | frameFlag.endHeaders);
      const isHeaders = type === frameType.headers;
      frames.push(isHeaders ? frameOf(type, kept, stream, literals(fields)) : unsent.subarray(0, end));
      unsent = unsent.subarray(end);
    }
    return frames;
  };
  const duplex = new Duplex({
    read: () => void socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      unsent = Buffer.concat([unsent, chunk]);
      socket.write(Buffer.concat(whole()), () => done());
    },
    final: (done) => void socket.end(() => done()),
    destroy(error, done) {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (chunk) => void duplex.push(chunk)).on("end", () => void duplex.push(null));
  return duplex;
}

export interface RawCall {
  port: number;
  ca: string;
  certificate?: ClientCertificate | undefined;
  path: string;
  /** Beside those that every call of gRPC has. */
  fields: readonly Field[];
  message: Uint8Array;
  /** Whether the message says that it is compressed; 0 unless given. */
  compressed?: number;
}

/** How a call of gRPC ended: by its status, or by a reset of its stream. */
export type RawEnd = { status: number; message: string } | { reset: number };

/** One call of gRPC over TLS, on a connection of its own. */
export async function callWith({ port, ca, certificate, path, fields, message, compressed }: RawCall): Promise<RawEnd> {
  const shown = certificate && { cert: certificate.chain, key: certificate.key };
  const socket = connectTls({ host: "localhost", port, ca, ALPNProtocols: ["h2"], ...shown });
  await once(socket, "secureConnect");
  const given: Field[] = [
    [":method", "POST"],
    [":scheme", "https"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ];
  const names = new Set(fields.map(([name]) => name));
  const all = [...given.filter(([name]) => !names.has(name)), ...fields].sort(pseudoFirst);
  const session = connectHttp2("https://localhost", { createConnection: () => replacingFields(socket, all) });
  session.on("error", () => {});
  const stream = session.request({ ":method": "POST" }).on("error", () => {});
  let end: RawEnd | undefined;
  const look = (got: Record<string, unknown>) => {
    if (got["grpc-status"] === undefined) return;
    end = { status: Number(got["grpc-status"]), message: decodeURIComponent(String(got["grpc-message"] ?? "")) };
  };
  stream
    .on("response", look)
    .on("trailers", look)
    .resume()
    .end(frame(message, message.length, compressed));
  await new Promise((resolve) => stream.once("close", resolve));
  await destroySession(session);
  return end ?? { reset: stream.rstCode ?? 0 };
}

const pseudoFirst = ([one]: Field, [other]: Field) => Number(other.startsWith(":")) - Number(one.startsWith(":"));
