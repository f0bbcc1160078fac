/** Files that an auditor has: exports of a real service's spans in LOG and INDIVIDUAL, its key set and a checkpoint, in a folder of their own. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomFrom } from "../crash/random.ts";
import {
  attributeFields,
  attributesOf,
  exportOf,
  resourceSpansOf,
  type SignedParts,
} from "../../clients/conformance/judge/evidence.ts";
import { serviceTenant } from "../../clients/conformance/judge/service-tenant.ts";
import { message } from "../support/otlp-wire.ts";
import { startService } from "../support/running-service.ts";

export interface PageEvidence {
  /** Path of a file by its name in the folder. */
  path(name: string): string;
  bytes(name: string): Uint8Array;
  /** Of each key of the tenant. */
  vkeys: string[];
}

const tenant = "acme";

export async function pageEvidence(): Promise<PageEvidence> {
  const service = await startService();
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-page-"));
  const file = (name: string, content: Uint8Array | string) => writeFileSync(join(folder, name), content);
  const signed = (parts: SignedParts) =>
    resourceSpansOf({ ...parts, span: message(parts.span, ...attributeFields(attributesOf(parts))) });
  try {
    const source = await serviceTenant(service, tenant, 1);
    const r = randomFrom(3);
    const spans = Array.from({ length: 300 }, () => source.signed(r, 1)[0]!);
    const alone = spans.filter(({ evidence }) => evidence.kind === "individual");
    const entries = source.log.map(signed);
    file("keys.json", source.text.jwks);
    file("alone.bin", exportOf(...alone.map(signed)));
    file("log.bin", exportOf(...entries));
    file("removed.bin", exportOf(...entries.toSpliced(7, 3)));
    file("all.bin", exportOf(...spans.map(signed)));
    file("many.bin", exportOf(...Array.from({ length: 200 }, () => alone.map(signed)).flat()));
    file(
      "altered.bin",
      exportOf(signed({ ...alone[0]!, span: message(alone[0]!.span, ...attributeFields([["x", "y"]])) })),
    );
    file("other-keys.json", (await serviceTenant(service, "other", 2)).text.jwks);
    const checkpoint = await fetch(`${service.url}/api/kms/tenants/${tenant}/log/checkpoint`);
    file("checkpoint", await checkpoint.text());
    const { keys } = JSON.parse(source.text.jwks) as { keys: { vkeys: string[] }[] };
    const path = (name: string) => join(folder, name);
    return { path, bytes: (name) => readFileSync(path(name)), vkeys: keys.map(({ vkeys }) => vkeys[0]!) };
  } finally {
    await service.stop();
  }
}
