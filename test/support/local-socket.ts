/** A caller of the service's local socket: one request, or raw bytes. */
import { request } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";

export interface LocalAnswer {
  status: number;
  text: string;
}

export function askLocal(
  socketPath: string,
  [method, path]: readonly [method: string, path: string],
  body?: string | Buffer,
  headers: Record<string, string> = {},
): Promise<LocalAnswer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, method, path, headers });
    asked.once("response", (response) =>
      text(response).then((all) => resolve({ status: response.statusCode ?? 0, text: all }), reject),
    );
    asked.once("error", reject);
    asked.end(body);
  });
}

/** Resolves with all that comes back until the connection ends. */
export function sendLocal(socketPath: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    let read = "";
    socket.on("data", (chunk) => {
      read += chunk;
    });
    socket.on("error", () => {});
    socket.on("close", () => resolve(read));
    socket.write(bytes);
  });
}
