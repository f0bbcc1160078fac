/** The memory store passes the store contract. */
import { openMemory } from "../../../src/store/sqlite/memory.ts";
import { logStoreContract } from "../../support/log-store-contract.ts";
import { storeContract } from "../../support/store-contract.ts";

storeContract("memory", openMemory);
logStoreContract("memory", openMemory);
