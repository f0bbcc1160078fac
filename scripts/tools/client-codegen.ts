/**
 * Clients whose generated code is committed, because they are installed from version control without a generator. The generators have fixed
 * versions; each installation throws if they cannot be had.
 */
import { provideDebian } from "./debian.ts";
import { type GoTool, installGo } from "./go.ts";

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

/** By language, each with a template in clients/codegen. */
export const committedCode = {
  go: {
    folder: "clients/go/kmsv1",
    async installGenerators() {
      for (const plugin of goPlugins) await installGo(plugin);
    },
  },

  ruby: {
    folder: "clients/ruby/lib/fluo/kms/v1",
    async installGenerators() {
      await provideDebian("grpc_ruby_plugin", "protobuf-compiler-grpc");
    },
  },
};
