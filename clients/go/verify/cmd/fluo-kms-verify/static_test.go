package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// One file is the whole command: it is copied to a machine that has nothing else.
func TestTheCommandIsOneStaticFile(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("what is read is the ELF file of a Linux program")
	}
	binary := filepath.Join(t.TempDir(), "fluo-kms-verify")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("it is linked to %v, %v", libraries, err)
	}
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("it has a segment %v", part.Type)
		}
	}
	f := write(t)
	command := exec.Command(binary, "--keys", f.keys, f.spans)
	command.Env = []string{}
	if out, err := command.Output(); err != nil || !strings.Contains(string(out), " verified\n") {
		t.Errorf("%v: %s", err, out)
	}
}
