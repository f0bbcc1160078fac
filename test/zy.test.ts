import { randomBytes } from "node:crypto";
import { it } from "vitest";
import { canonicalPairs } from "../src/crypto/context.ts";
import { createKeyring } from "../src/keys/keyring.ts";
import { memoryStore } from "../src/store/memory.ts";
import { localProvider } from "../src/provider/local.ts";
import { randomMasterKey } from "../src/provider/local-master-key.ts";
import { openField, readToken, sealField } from "../src/pii/field.ts";
it("a wrong answer after the ttl", async () => {
  const local = localProvider(randomMasterKey());
  let lies = false;
  const p = { ...local, async decrypt(w: any, c: any, s: any) { const r = await local.decrypt(w, c, s); return lies ? randomBytes(32) : r; } };
  const store = memoryStore();
  let k = createKeyring({ store, provider: p });
  await k.activeDataKey("acme");
  k.close();
  lies = true; k = createKeyring({ store, provider: p });
  const place = { tenantId: "acme", name: "email", contextPairs: canonicalPairs(new Map()) };
  const token = sealField(await k.activeDataKey("acme"), place, Buffer.from("v"));
  console.log("acknowledged", token.slice(0, 12)); k.close();
  lies = false; k = createKeyring({ store, provider: p });
  const id = (await k.activeDataKey("acme")).keyId;
  try { openField((await k.dataKey("acme", id)).material, place, readToken(token)); console.log("opens"); } catch (e: any) { console.log("LOST:", e.message); }
});
