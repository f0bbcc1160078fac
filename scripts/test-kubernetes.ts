/**
 * `npm run test:kubernetes`: the Helm chart on a real kube-apiserver with etcd, and no kubelet or controller: objects are made, pods are
 * not run. Not part of the gate, as Go may build kube-apiserver for an hour: tools/spec-suite.ts says how all is installed. The last line
 * is `N passed, N failed`.
 */
import { apiserver, etcd, helm, schemas } from "./tools/kubernetes/chart-tools.ts";
import { runSpecs, type Specs } from "./tools/spec-suite.ts";

const specs: Specs = { install: [helm, schemas, etcd, apiserver] };

process.exitCode = await runSpecs("kubernetes", specs, process.argv.slice(2));
