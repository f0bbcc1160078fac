/** Checkpoints and handovers, by golang.org/x/mod/sumdb/note and transparency-dev/formats. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { byGo } from "./others.ts";
import { afterRotation, beforeRotation, type SignedLog, signedLog } from "./signed-log.ts";

let log: SignedLog;
let note: string;
beforeAll(async () => {
  log = await signedLog();
  note = await (await fetch(`${log.prefix}/checkpoint`)).text();
});
afterAll(() => log.stop());

const keyIdOf = (vkey: string) => Number.parseInt(vkey.split("+")[1]!, 16);

it("a checkpoint over HTTP is signed by the active key, and says how far the log goes", () => {
  const [, active] = log.vkeys;
  expect(byGo("checkpoint", { vkeys: [active], note })).toMatchObject({
    verified: true,
    learned: {
      Origin: "kms.example.com/acme",
      Size: beforeRotation + 1 + afterRotation,
      Signers: [keyIdOf(active!)],
    },
  });
});

it("is refused by another key, by another name, and after any change", () => {
  const [retired, active] = log.vkeys as [string, string];
  const lines = note.split("\n");
  const altered = [
    lines.with(1, "602"),
    lines.with(2, Buffer.alloc(32).toString("base64")),
    lines.with(0, "kms.example.com/acmf"),
  ];
  expect(byGo("checkpoint", { vkeys: [retired], note })).toMatchObject({
    verified: false,
    why: expect.stringContaining("no verifiable signatures"),
  });
  for (const each of altered)
    expect(byGo("checkpoint", { vkeys: [active], note: each.join("\n") })).toMatchObject({ verified: false });
});

it("a handover is one note, signed by the old key and by the new", () => {
  const { proof } = log.published.handovers[0]!;
  const handover = proof.slice(proof.indexOf("\n\n") + 2);
  const learned = { Size: beforeRotation + 1, Signers: log.vkeys.map(keyIdOf) };
  expect(byGo("checkpoint", { vkeys: log.vkeys, note: handover })).toMatchObject({ verified: true, learned });
  for (const vkey of log.vkeys)
    expect(byGo("checkpoint", { vkeys: [vkey], note: handover })).toMatchObject({ verified: true });
});
