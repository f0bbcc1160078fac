/** What a client of Connect that is not ours must be told: calls over HTTP/1.1 by each way that it has, and streams over HTTP/2. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tokenPolicy } from "../support/token-policy.ts";
import { type CalledService, newFolder, startCalled } from "./called-service.ts";
import { ran } from "./clients.ts";

interface Told {
  code: string;
  text?: string;
  details?: string[];
}

interface Unary {
  status: Told;
  provider: string;
  encrypt: Told;
  sealed: number;
  refused: Told;
  late: Told;
}

interface Streams {
  bulk: Told;
  spans: number;
  signed: number;
  resend: Told;
  same: boolean;
  refused: Told;
}

const ok = { code: "ok" };
const badTenant = {
  code: "invalid_argument",
  text: expect.stringMatching(/^tenant_id/),
  details: ["google.rpc.ErrorInfo", "google.rpc.BadRequest"],
};
const ways = ["Connect", "Connect in JSON", "Connect, gzip", "gRPC-Web"];
const { files, tokens } = tokenPolicy({ app: { roles: ["encrypt", "sign", "status"] } });

/** Has a program call, which gets the service and a token as JSON and prints what it was told, and says what that must be. */
export function callsByConnect(command: readonly string[]): void {
  let service: CalledService;
  let told: Record<string, Unary> & { streams: Record<string, Streams> };
  beforeAll(async () => {
    service = await startCalled(newFolder(), files);
    const { http, grpc, ca } = service;
    const asked = { http, http2: `https://${grpc}`, ca, token: tokens.app };
    const { code, out, err } = await ran([...command, JSON.stringify(asked)]);
    if (code !== 0) throw new Error(err);
    told = JSON.parse(out);
  });
  afterAll(() => service?.process.end());

  describe.each(ways)("%s", (way) => {
    it("calls", () => {
      expect(told[way]).toMatchObject({ status: ok, provider: "local", encrypt: ok, sealed: 1 });
    });

    it("is told why a request is refused", () => {
      expect(told[way]!.refused).toEqual(badTenant);
    });

    it("is told when its time is up", () => {
      // Where connect-kotlin's own timer is first, it calls that canceled by gRPC-Web.
      expect(["deadline_exceeded", "canceled"]).toContain(told[way]!.late.code);
    });
  });

  it("Connect by GET calls", () => {
    expect(told["Connect by GET"]).toMatchObject({ status: ok, provider: "local" });
  });

  describe.each(ways.slice(0, 3))("streams by %s", (way) => {
    it("are signed to their end, however late the client reads", () => {
      const { bulk, spans, signed } = told.streams[way]!;
      expect({ bulk, signed }).toEqual({ bulk: ok, signed: spans });
    });

    it("have the places of a batch that was cut off and sent again", () => {
      expect(told.streams[way]).toMatchObject({ resend: ok, same: true });
    });

    it("are told why they are refused", () => {
      expect(told.streams[way]!.refused).toEqual(badTenant);
    });
  });
}
