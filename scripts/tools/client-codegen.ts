/** The generators of the clients' code, each at a fixed version. Each throws where it cannot be had. */
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { installDebian } from "./debian.ts";
import { type GoTool, installGo } from "./go.ts";
import { installEnvironment } from "./python-environment.ts";

const root = join(import.meta.dirname, "..", "..");
const tools = join(root, "tools");

const goPlugins: readonly GoTool[] = [
  {
    name: "protoc-gen-go",
    module: "google.golang.org/protobuf",
    package: "/cmd/protoc-gen-go",
    version: "v1.36.12",
  },
  {
    name: "protoc-gen-go-grpc",
    module: "google.golang.org/grpc/cmd/protoc-gen-go-grpc",
    package: "",
    version: "v1.6.2",
  },
];

/** Where a stub is of a later version than the runtime, it does not load: this one runs on every runtime since. */
const javaStubs = "1.83.0";

export const codegenTools = {
  go() {
    for (const plugin of goPlugins) installGo(plugin, join(tools, "bin"));
  },

  async python() {
    const environment = join(tools, "clients", "python-codegen");
    await installEnvironment(environment, join(import.meta.dirname, "client-codegen.txt"), [
      "python",
      "-c",
      "import grpc_tools.protoc",
    ]);
  },

  java() {
    const plugin = join(tools, "clients", "protoc-gen-grpc-java");
    const name = `protoc-gen-grpc-java-${javaStubs}-linux-x86_64.exe`;
    const downloaded = join(homedir(), ".m2/repository/io/grpc/protoc-gen-grpc-java", javaStubs, name);
    if (!existsSync(downloaded)) {
      const artifact = `io.grpc:protoc-gen-grpc-java:${javaStubs}:exe:linux-x86_64`;
      run("mvn", ["-q", "-B", "-ntp", "dependency:get", `-Dartifact=${artifact}`, "-Dtransitive=false"]);
    }
    mkdirSync(join(tools, "clients"), { recursive: true });
    copyFileSync(downloaded, plugin);
    chmodSync(plugin, 0o755);
  },

  ruby() {
    installDebian("grpc_ruby_plugin", "protobuf-compiler-grpc");
  },
};

export type CodegenLanguage = keyof typeof codegenTools;

export const codegenLanguages = Object.keys(codegenTools) as CodegenLanguage[];

/** Throws for a command that cannot be run, or fails, with what it said. */
function run(command: string, args: readonly string[]): void {
  const { error, status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stdout + stderr}`);
}
