/** The generators of the clients' code, each at a fixed version. Each throws where it cannot be had. */
import { chmodSync, copyFileSync } from "node:fs";
import { join } from "node:path";
import { cached, cacheFolder, linkTool } from "./cache.ts";
import { command } from "./command.ts";
import { provideDebian } from "./debian.ts";
import { type GoTool, installGo } from "./go.ts";
import { installEnvironment } from "./python-environment.ts";

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
  async go() {
    for (const plugin of goPlugins) await installGo(plugin);
  },

  async python() {
    const works = ["python", "-c", "import grpc_tools.protoc"] as const;
    await installEnvironment("clients/python-codegen", join(import.meta.dirname, "client-codegen.txt"), works);
  },

  async java() {
    const name = "protoc-gen-grpc-java";
    const artifact = `io.grpc:${name}:${javaStubs}:exe:linux-x86_64`;
    const folder = await cached(name, [artifact], (made) => {
      command("mvn", ["-q", "-B", "-ntp", "dependency:get", `-Dartifact=${artifact}`, "-Dtransitive=false"]);
      const repository = join(cacheFolder(), "packages", "maven");
      copyFileSync(
        join(repository, "io", "grpc", name, javaStubs, `${name}-${javaStubs}-linux-x86_64.exe`),
        join(made, name),
      );
      chmodSync(join(made, name), 0o755);
    });
    linkTool(join("clients", name), join(folder, name));
  },

  async ruby() {
    await provideDebian("grpc_ruby_plugin", "protobuf-compiler-grpc");
  },
};

export type CodegenLanguage = keyof typeof codegenTools;

export const codegenLanguages = Object.keys(codegenTools) as CodegenLanguage[];
