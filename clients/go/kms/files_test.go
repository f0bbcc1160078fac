package kms_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/testservice"
	"github.com/fluo-dev/fluo-kms/clients/go/kms"
)

func TestASealedFileOpensUnlessItWasAltered(t *testing.T) {
	client := dial(t, testservice.Start(t).Address)
	ctx := contextOf(t)
	folder := t.TempDir()
	plain, sealed, opened := filepath.Join(folder, "plain"), filepath.Join(folder, "sealed"), filepath.Join(folder, "opened")
	text := bytes.Repeat([]byte("0123456789abcdef"), 3000)
	if err := os.WriteFile(plain, text, 0o600); err != nil {
		t.Fatal(err)
	}
	about := map[string]string{"file": "plain"}
	if err := kms.SealFile(ctx, client, "acme", plain, sealed, about); err != nil {
		t.Fatal(err)
	}
	if err := kms.OpenFile(ctx, client, "acme", sealed, opened, about); err != nil {
		t.Fatal(err)
	}
	read, err := os.ReadFile(opened)
	if err != nil || !bytes.Equal(read, text) {
		t.Errorf("%d bytes, %v", len(read), err)
	}
	if about, err := os.Stat(opened); err != nil || about.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", about.Mode(), err)
	}

	whole, err := os.ReadFile(sealed)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{0, 18, 40, len(whole) / 2, len(whole) - 1} {
		altered := bytes.Clone(whole)
		altered[at] ^= 1
		if err := os.WriteFile(sealed, altered, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := kms.OpenFile(ctx, client, "acme", sealed, opened, about); !errors.Is(err, kms.ErrNotAuthentic) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if err := os.WriteFile(sealed, whole[:len(whole)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := kms.OpenStream(ctx, client, "acme", bytes.NewReader(whole[:len(whole)-1]), &stream, about); !errors.Is(err, kms.ErrNotAuthentic) {
		t.Error(err)
	}
	if !bytes.HasPrefix(text, stream.Bytes()) || stream.Len() == len(text) {
		t.Errorf("%d bytes are delivered", stream.Len())
	}
	if err := kms.OpenStream(ctx, client, "acme", bytes.NewReader(whole), &stream, nil); !errors.Is(err, kms.ErrNotAuthentic) {
		t.Errorf("another context: %v", err)
	}
	if err := kms.OpenStream(ctx, client, "globex", bytes.NewReader(whole), &stream, about); !errors.Is(err, kms.ErrNotAuthentic) {
		t.Errorf("another tenant: %v", err)
	}
	left, err := fs.Glob(os.DirFS(folder), "*")
	if read, _ := os.ReadFile(opened); err != nil || !bytes.Equal(read, text) || len(left) != 3 {
		t.Errorf("%v are left, %v", left, err)
	}
}
