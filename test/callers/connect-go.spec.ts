/** connect-go, which is not ours. */
import { join } from "node:path";
import { tools } from "../../scripts/tools/cache.ts";
import { callsByConnect } from "./connect-client.ts";

callsByConnect([join(tools, "bin", "connect-caller")]);
