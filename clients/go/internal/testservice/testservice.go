// Package testservice runs the real service for tests, from the checkout that this module is in.
package testservice

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"
)

// Service is a process that serves until its test ends, or it is ended.
type Service struct {
	// Address of gRPC without TLS, 127.0.0.1:PORT.
	Address string
	// URL of Connect and HTTP.
	URL string

	process *os.Process
	ended   chan struct{}
}

// A service that does not come up within this time hangs.
const startTimeout = 2 * time.Minute

var (
	grpcForm = regexp.MustCompile(`gRPC on .*?(127\.0\.0\.1:\d+)`)
	httpForm = regexp.MustCompile(`(http://127\.0\.0\.1:\d+)`)
)

// Start runs a service on free loopback ports, with a memory store. It skips the test in a copy of the module
// outside the project.
func Start(t testing.TB) *Service {
	t.Helper()
	root := projectFolder()
	node, err := exec.LookPath(filepath.Join(root, "node_modules", ".bin", "node"))
	if err != nil {
		t.Skip("SKIPPED: the service is not here; run npm ci in the project's folder")
	}
	command := exec.Command(node, filepath.Join(root, "src", "main.js"), "serve")
	command.Dir = t.TempDir()
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "FLUO_KMS_STORE=memory", "FLUO_KMS_GRPC_PORT=0", "FLUO_KMS_HTTP_PORT=0"}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	service := &Service{process: command.Process, ended: make(chan struct{})}
	t.Cleanup(service.Kill)
	served := make(chan struct{})
	go func() {
		defer close(service.ended)
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			service.look(lines.Text(), served)
		}
		_ = command.Wait()
	}()
	select {
	case <-served:
	case <-service.ended:
		t.Fatal("the service ended before it served")
	case <-time.After(startTimeout):
		t.Fatal("the service does not serve")
	}
	return service
}

// look reads the addresses from the log; the one of HTTP comes last.
func (s *Service) look(line string, served chan struct{}) {
	if s.URL != "" {
		return
	}
	if found := grpcForm.FindStringSubmatch(line); found != nil {
		s.Address = found[1]
	}
	if found := httpForm.FindStringSubmatch(line); found != nil && s.Address != "" {
		s.URL = found[1]
		close(served)
	}
}

// Kill ends the process at once, and waits until it has ended.
func (s *Service) Kill() {
	_ = s.process.Kill()
	<-s.ended
}

func projectFolder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..", "..")
}
