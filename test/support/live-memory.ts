/**
 * Preloaded into every thread of the service: at SIGUSR2 each collects its garbage, and the main one prints what is then left in all of
 * them, as resident memory says little of leaks.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { BroadcastChannel, isMainThread } from "node:worker_threads";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const channel = new BroadcastChannel("live-threads");
channel.unref();

function live(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

if (isMainThread) watchThreads();
else {
  channel.postMessage("here");
  channel.onmessage = ({ data }) => {
    if (data === "collect") channel.postMessage(live());
  };
}

function watchThreads(): void {
  let threads = 0;
  const answers: number[] = [];
  const tell = () => {
    if (answers.length > threads) console.log(JSON.stringify({ liveBytes: answers.splice(0) }));
  };
  channel.onmessage = ({ data }) => {
    if (data === "here") threads += 1;
    else answers.push(data);
    if (typeof data === "number") tell();
  };
  process.on("SIGUSR2", () => {
    channel.postMessage("collect");
    answers.push(live());
    tell();
  });
}
