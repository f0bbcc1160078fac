package verify_test

import (
	"os/exec"
	"strings"
	"testing"
)

func TestTheModuleNeedsNeitherGRPCNorProtobuf(t *testing.T) {
	for _, arguments := range []string{"list -m all", "list -deps -test ./..."} {
		out, err := exec.Command("go", strings.Fields(arguments)...).Output()
		if err != nil {
			t.Fatalf("go %s: %v", arguments, err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) < 3 {
			t.Errorf("go %s lists %v", arguments, lines)
		}
		for _, line := range lines {
			if strings.Contains(line, "grpc") || strings.Contains(line, "protobuf") || strings.HasPrefix(line, "google.golang.org/") {
				t.Errorf("go %s: %s", arguments, line)
			}
		}
	}
}
