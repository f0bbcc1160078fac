package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const vectors = "../../../../../test/vectors/span"

type files struct{ keys, spans, altered string }

// write makes a keys file, and spans that are signed and that were altered, of the vectors.
func write(t *testing.T) files {
	t.Helper()
	var exported struct{ Protobuf string }
	var accepted struct{ PublicKey, KeyID string }
	for name, into := range map[string]any{"exported.json": &exported, "accepted.json": &accepted} {
		content, err := os.ReadFile(filepath.Join(vectors, name))
		if err == nil {
			err = json.Unmarshal(content, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	raw, err := hex.DecodeString(accepted.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwks, err := json.Marshal(map[string]any{"keys": []any{map[string]string{"kty": "OKP", "crv": "Ed25519", "kid": accepted.KeyID,
		"x": base64.RawURLEncoding.EncodeToString(raw), "state": "ACTIVE"}}})
	if err != nil {
		t.Fatal(err)
	}
	spans, err := hex.DecodeString(exported.Protobuf)
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	made := files{filepath.Join(folder, "keys"), filepath.Join(folder, "spans"), filepath.Join(folder, "altered")}
	for path, content := range map[string][]byte{made.keys: jwks, made.spans: spans, made.altered: bytes.Replace(spans, []byte("POST"), []byte("PUTT"), 1)} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return made
}

func runWith(arguments ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(arguments, &out, &err)
	return code, out.String(), err.String()
}

func TestTheExitCodeSaysWhetherAllSpansVerify(t *testing.T) {
	f := write(t)
	code, stdout, stderr := runWith("--keys", f.keys, f.spans)
	if code != exitOK || !strings.Contains(stdout, "  OK       2026-01-02T03:04:05.678Z  00112233445566778899aabbccddeeff  ACTIVE\n") || stderr != "" {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ = runWith(f.altered, "--keys", f.keys, "--tenant", "acme")
	if code != exitFailed || !strings.Contains(stdout, "  SIGNATURE_MISMATCH  the span or its signature was altered") || !strings.Contains(stdout, " failed\n") {
		t.Errorf("%d: %s", code, stdout)
	}
	code, stdout, _ = runWith("--keys", f.keys, "--json", f.altered)
	var printed spansReport
	if err := json.Unmarshal([]byte(stdout), &printed); err != nil || code != exitFailed || printed.Failed == 0 || printed.Spans[0].Reason != "SIGNATURE_MISMATCH" {
		t.Errorf("%d: %v, %s", code, err, stdout)
	}
}

func TestAWrongCommandLineIsOneOfUsage(t *testing.T) {
	f := write(t)
	for _, arguments := range [][]string{
		{}, {f.spans}, {"--keys", f.keys}, {"--keys", f.keys, f.spans, f.spans}, {"--no-such", f.spans},
		{"--keys", f.keys + "x", f.spans}, {"--keys", f.keys, f.spans + "x"}, {"--keys", f.keys, "--vkey", "x", f.spans},
		// What `--tenant "$TENANT"` is where the variable is not set.
		{"--keys", f.keys, "--tenant", "", f.spans},
	} {
		if code, stdout, stderr := runWith(arguments...); code != exitUsage || stdout != "" || stderr == "" {
			t.Errorf("%v: %d, %s%s", arguments, code, stdout, stderr)
		}
	}
}

func TestAWrongOptionIsNamedInOneLine(t *testing.T) {
	if _, _, stderr := runWith("--no-such", "spans"); strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "no-such") {
		t.Error(stderr)
	}
}

func TestHelpIsOutput(t *testing.T) {
	if code, stdout, stderr := runWith("--help"); code != exitOK || !strings.Contains(stdout, "  --any-order  ") || stderr != "" {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
}

func TestFilesThatAreNoneAreFailures(t *testing.T) {
	f := write(t)
	if code, _, stderr := runWith("--keys", f.spans, f.spans); code != exitFailed || !strings.Contains(stderr, "key set") {
		t.Errorf("%d: %s", code, stderr)
	}
	if code, stdout, _ := runWith("--json", "--keys", f.keys, f.keys); code != exitFailed || !strings.Contains(stdout, `"code": "FAILED"`) {
		t.Errorf("%d: %s", code, stdout)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, _ := runWith("--keys", f.keys, empty); code != exitFailed || stdout != "there are no spans in the file\n" {
		t.Errorf("%d: %s", code, stdout)
	}
}
