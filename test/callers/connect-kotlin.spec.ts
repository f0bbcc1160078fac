/** connect-kotlin, which is not ours. */
import { join } from "node:path";
import { root } from "./clients.ts";
import { callsByConnect } from "./connect-client.ts";

const built = join(root, "test", "callers", "connect-kotlin", "target");
callsByConnect(["java", "-cp", [join(built, "caller.jar"), join(built, "lib", "*")].join(":"), "CallerKt"]);
