import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSqlite } from "../../src/store/sqlite.ts";
import { storeContract } from "../store-contract.ts";
import { unlocked } from "./fixture.ts";

storeContract("sqlite", async () => {
  const file = join(mkdtempSync(join(tmpdir(), "fluo-kms-store-")), "kms.db");
  return unlocked(await openSqlite({ name: "sqlite", file }));
});
