package main

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"go.opentelemetry.io/otel/trace/noop"
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

func TestTheDemoFailsUnlessAllSpansVerify(t *testing.T) {
	for audit, isWell := range map[string]bool{
		`{"spans": 3, "verified": 3, "problems": []}`:    true,
		`{"spans": 3, "verified": 2, "problems": ["x"]}`: false,
		`{"spans": 0, "verified": 0, "problems": []}`:    false,
		`the audit failed`: false,
	} {
		loans := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/audit" {
				_, _ = w.Write([]byte(audit))
			}
		}))
		if err := demo(t.Context(), loans.URL); (err == nil) != isWell {
			t.Errorf("%s: %v", audit, err)
		}
		loans.Close()
	}
}

func TestTheDemoFailsWithoutAService(t *testing.T) {
	client, err := kms.Dial("127.0.0.1:1", kms.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	loans := httptest.NewServer(newHandler(client, noop.NewTracerProvider().Tracer("loans"), auditor{}))
	defer loans.Close()
	if err := demo(t.Context(), loans.URL); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("it ends with %v", err)
	}
}

func TestADemoThatIsInterruptedFails(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s := settings{listen: "127.0.0.1:0", spans: filepath.Join(t.TempDir(), "spans.otlp"), demo: true, kms: "127.0.0.1:1", keys: "http://127.0.0.1:1"}
	if err := run(ctx, s); !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
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
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "FLUO_KMS_STORE=memory", "FLUO_KMS_GRPC_PORT=0", "FLUO_KMS_HTTP_PORT=0"}
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
