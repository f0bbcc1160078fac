/**
 * A pooler before a PostgreSQL server that lends a session for one transaction, as PgBouncer does with
 * `pool_mode = transaction`: the session that was used last comes first. Everybody is let in, and parameters of the start
 * are ignored.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import pg from "pg";

export interface TransactionPooler {
  port: number;
  close(): Promise<void>;
}

const sslRequest = 80_877_103;
const authenticated = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 0]);
const ready = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Cuts a stream into messages. Those of a client's start have no type. */
function messages(take: (message: Buffer) => void, startsTyped: boolean): (chunk: Buffer) => void {
  let held = Buffer.alloc(0);
  let offset = startsTyped ? 1 : 0;
  return (chunk) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= offset + 4) {
      const length = offset + held.readUInt32BE(offset);
      if (held.length < length) return;
      const message = held.subarray(0, length);
      held = held.subarray(length);
      if (offset === 0 && message.readUInt32BE(4) !== sslRequest) offset = 1;
      take(message);
    }
  };
}

export async function startTransactionPooler(url: string, sessions: number): Promise<TransactionPooler> {
  const clients = await Promise.all(
    Array.from({ length: sessions }, async () => {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => {}); // its socket is destroyed below
      await client.connect();
      return client;
    }),
  );
  const idle = clients.map((client) => (client as unknown as { connection: { stream: Socket } }).connection.stream);
  for (const session of idle) session.removeAllListeners("data");
  const waiting: ((session: Socket) => void)[] = [];
  const takeSession = () =>
    new Promise<Socket>((resolve) => {
      const session = idle.pop();
      if (session === undefined) waiting.push(resolve);
      else resolve(session);
    });
  const giveBack = (session: Socket) => {
    session.removeAllListeners("data");
    const next = waiting.shift();
    if (next === undefined) idle.push(session);
    else next(session);
  };

  /** Forwards what a client sends, from its first message to the server's word that no transaction is open. */
  function serve(socket: Socket): void {
    let borrowed: Promise<Socket> | undefined;
    const borrow = async () => {
      const session = await takeSession();
      session.on(
        "data",
        messages((message) => {
          socket.write(message);
          if (message[0] !== ready[0] || message[5] !== ready[5]) return;
          borrowed = undefined;
          giveBack(session);
        }, true),
      );
      return session;
    };
    let isStarted = false;
    socket.on("error", () => {});
    socket.on(
      "data",
      messages((message) => {
        if (!isStarted && message.readUInt32BE(4) === sslRequest) return void socket.write("N");
        if (!isStarted) {
          isStarted = true;
          return void socket.write(Buffer.concat([authenticated, ready]));
        }
        if (message[0] === 0x58) return void socket.end(); // Terminate
        borrowed ??= borrow();
        void borrowed.then((session) => session.write(message));
      }, false),
    );
  }

  const server = createServer(serve).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close();
      for (const client of clients)
        (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    },
  };
}
