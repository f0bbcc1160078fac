package kms

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/sealedfile"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
)

// ErrNotAuthentic says that a sealed file is not as it was sealed. It never says why: the file was altered or cut,
// or it is another tenant's, or was sealed under another encryption context.
var ErrNotAuthentic = sealedfile.ErrNotAuthentic

// SealFile encrypts the file from under a fresh data key of the tenant, and writes it to the file to, which it
// replaces once all of it is written. encryptionContext holds pairs that are not secret, and must be given again
// to open the file; it may be nil. It needs memory for a chunk of 16 KiB, however long the file is.
func SealFile(ctx context.Context, client kmsv1.KmsServiceClient, tenant, from, to string, encryptionContext map[string]string) error {
	source, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer source.Close()
	return replaceFile(to, func(file io.Writer) error {
		return SealStream(ctx, client, tenant, source, file, encryptionContext)
	})
}

// OpenFile decrypts a file that [SealFile] wrote, with the same tenant and encryptionContext, and writes it to the
// file to, with mode 0600, which it replaces once all of it is authentic. It returns [ErrNotAuthentic] if it is not;
// to then is as it was.
func OpenFile(ctx context.Context, client kmsv1.KmsServiceClient, tenant, from, to string, encryptionContext map[string]string) error {
	source, err := os.Open(filepath.Clean(from))
	if err != nil {
		return err
	}
	defer source.Close()
	return replaceFile(to, func(file io.Writer) error {
		return OpenStream(ctx, client, tenant, source, file, encryptionContext)
	})
}

// replaceFile has write fill a new file of mode 0600 beside the one at path, and puts it in its place once it is on
// the disk. If that fails nothing is left of it.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	folder, name := filepath.Split(filepath.Clean(path))
	if folder == "" {
		folder = "."
	}
	file, err := os.CreateTemp(folder, "."+name+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
		}
	}()
	if err := write(file); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), filepath.Clean(path)); err != nil {
		return err
	}
	return syncFolder(folder)
}

// syncFolder makes a rename last. Windows has no such thing.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	opened, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := opened.Sync(); err != nil {
		return fmt.Errorf("the folder of the file is not synced: %w", err)
	}
	return nil
}
