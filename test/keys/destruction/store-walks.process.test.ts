/** Destructions on real stores: see store-walks.ts. */
import { storeWalks } from "./store-walks.ts";

storeWalks([3, 4, 5]);
