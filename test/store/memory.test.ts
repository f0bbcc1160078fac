/** The memory store passes the store contract. */
import { openMemory } from "../../src/store/memory.ts";
import { storeContract } from "../store-contract.ts";

storeContract("memory", openMemory);
