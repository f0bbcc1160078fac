/** Destructions on real stores: see store-walks.ts. More walks are in the second tier. */
import { storeWalks } from "./store-walks.ts";

storeWalks([1, 2]);
