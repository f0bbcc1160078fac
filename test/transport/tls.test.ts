/** The service's own certificate: its time, and whether the one in the files is in force. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { realTime } from "../../src/runtime/time.ts";
import { startTls } from "../../src/transport/tls.ts";
import { directory } from "../support/config-fixture.ts";
import { fromNow, msFromNow } from "../support/from-now.ts";
import { newAuthority } from "../support/pki.ts";

const authority = newAuthority();
const wholeSecond = (ms: number) => new Date(Math.floor(ms / 1000) * 1000);

function filesOf(from: Date, until: Date): Record<"server.pem" | "server.key", string> {
  const { chain, key } = authority.issue({ dns: ["localhost"], extendedKeyUsage: ["serverAuth"], from, until });
  return { "server.pem": chain, "server.key": key };
}

function started(files: Record<string, string>) {
  const path = directory(files);
  const tls = startTls({
    files: { certificate: join(path, "server.pem"), key: join(path, "server.key") },
    authorities: undefined,
    log: pino({ level: "silent" }),
    time: realTime,
  });
  onTestFinished(() => tls.close());
  const write = (name: string, text: string) => writeFileSync(join(path, name), text);
  return { tls, write };
}

it("tells from when to when the certificate in force is valid", async () => {
  const [from, until] = [wholeSecond(msFromNow(-3_600_000)), wholeSecond(msFromNow(3_600_000))];
  const { tls, write } = started(filesOf(from, until));
  expect([tls.validFrom(), tls.expiresAt()]).toEqual([from, until]);
  const later = wholeSecond(msFromNow(-60_000));
  for (const [name, text] of Object.entries(filesOf(later, until))) write(name, text);
  await tls.reload();
  expect(tls.validFrom()).toEqual(later);
});

it("tells of a reload that failed until one succeeds", async () => {
  const [from, until] = [fromNow(-1_000), fromNow(3_600_000)];
  const files = filesOf(from, until);
  const { tls, write } = started(files);
  expect(tls.reloadFailed()).toBe(false);
  write("server.key", filesOf(from, until)["server.key"]);
  await tls.reload();
  expect(tls.reloadFailed()).toBe(true);
  await tls.reload();
  expect(tls.reloadFailed()).toBe(true);
  write("server.key", files["server.key"]);
  await tls.reload();
  expect(tls.reloadFailed()).toBe(false);
});
