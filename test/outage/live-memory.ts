/** Preloaded into the service: at SIGUSR2 it collects its garbage and prints what is then left, as resident memory says little of leaks. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

process.on("SIGUSR2", () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  console.log(JSON.stringify({ liveBytes: heapUsed + external }));
});
