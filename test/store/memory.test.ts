/** The memory store passes the store contract. */
import { openMemory } from "../../src/store/memory.ts";
import { logStoreContract } from "../log-store-contract.ts";
import { storeContract } from "../store-contract.ts";

storeContract("memory", openMemory);
logStoreContract("memory", openMemory);
