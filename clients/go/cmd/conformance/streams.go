package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
)

// The buffer of the files' readers and writers.
const bufferBytes = 64 << 10

type streamReport struct {
	Language string `json:"language"`
	// PeakGrowthBytes is how far resident memory rose above where it was before.
	PeakGrowthBytes int64 `json:"peakGrowthBytes"`
}

type streamFunc func(ctx context.Context, client kmsv1.KmsServiceClient, tenant string, from io.Reader, to io.Writer, encryptionContext map[string]string) error

func sealStream(found *results, given world) error {
	return given.stream(found, kms.SealStream)
}

func openStream(found *results, given world) error {
	return given.stream(found, kms.OpenStream)
}

// stream has a function transform a file, and measures its memory.
func (w world) stream(found *results, transform streamFunc) error {
	ctx, client, done, err := w.open()
	if err != nil {
		return err
	}
	defer done()
	few := make([]byte, 3*bufferBytes)
	sealed, err := kms.SealBytes(ctx, client, w.Tenant, few, w.Context)
	if err == nil {
		_, err = kms.OpenBytes(ctx, client, w.Tenant, sealed, w.Context)
	}
	if err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	isReset := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	resident, peak, err := memory()
	if err != nil {
		return err
	}
	if !isReset {
		resident = max(resident, peak)
	}
	if err := transformFile(ctx, client, w, transform); err != nil {
		return err
	}
	_, peak, err = memory()
	found.check(err == nil, "the memory is measured", err)
	return writeJSON(w.Out, streamReport{"go", max(0, peak-resident)})
}

func transformFile(ctx context.Context, client *kms.Client, w world, transform streamFunc) (err error) {
	from, err := os.Open(filepath.Clean(w.From))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Clean(w.To), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	written := bufio.NewWriterSize(to, bufferBytes)
	if err := transform(ctx, client, w.Tenant, bufio.NewReaderSize(from, bufferBytes), written, w.Context); err != nil {
		return err
	}
	return written.Flush()
}

// memory returns what of this process is resident, and the most that was, in bytes.
func memory() (resident, peak int64, err error) {
	content, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0, err
	}
	for line := range bytes.Lines(content) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), ":")
		kibibytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch {
		case err != nil:
		case name == "VmRSS":
			resident = kibibytes << 10
		case name == "VmHWM":
			peak = kibibytes << 10
		}
	}
	if resident == 0 || peak == 0 {
		return 0, 0, errors.New("/proc/self/status has no VmRSS and VmHWM")
	}
	return resident, peak, nil
}
