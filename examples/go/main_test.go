package main

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// What takes this long hangs.
const hung = 2 * time.Minute

func TestTheDemoEndsWithAllSpansVerified(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	s := settings{listen: "127.0.0.1:0", spans: filepath.Join(t.TempDir(), "spans.otlp"), demo: true}
	s.kms, s.keys = startService(ctx, t)
	if err := run(ctx, s); err != nil {
		t.Fatal(err)
	}
}

func TestTheDemoFailsWithoutAService(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := settings{listen: "127.0.0.1:0", spans: filepath.Join(t.TempDir(), "spans.otlp"), demo: true, kms: "127.0.0.1:1", keys: "http://127.0.0.1:1"}
	if err := run(ctx, s); err == nil {
		t.Error("it ends well")
	}
}

// startService runs the service of this checkout on free ports until the test ends.
func startService(ctx context.Context, t *testing.T) (grpc, http string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(root, "node_modules", ".bin", "node")
	if _, err := os.Stat(node); err != nil {
		t.Skip("SKIPPED: the service is not here; run npm ci in the project's folder")
	}
	command := exec.CommandContext(ctx, node, filepath.Join(root, "src", "main.js"), "serve")
	command.Dir = t.TempDir()
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "FLUO_KMS_GRPC_PORT=0", "FLUO_KMS_HTTP_PORT=0"}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	addresses := regexp.MustCompile(`gRPC on (127\.0\.0\.1:\d+)|on (http://127\.0\.0\.1:\d+)`)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		found := addresses.FindStringSubmatch(lines.Text())
		switch {
		case found == nil:
		case found[1] != "":
			grpc = found[1]
		default:
			go func() {
				for lines.Scan() { // the service must not wait for its log to be read
				}
			}()
			return grpc, found[2]
		}
	}
	t.Fatal("the service ended before it served")
	return "", ""
}
