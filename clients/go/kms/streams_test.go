package kms_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmstest"
)

var errBroken = errors.New("broken")

func pattern(length int) []byte {
	text := make([]byte, length)
	for i := range text {
		text[i] = byte((31*i + i/251) % 256)
	}
	return text
}

func TestStreamsAndBytesOpenOneAnother(t *testing.T) {
	client, ctx, about := kmstest.New(t).Client(), t.Context(), map[string]string{"upload": "7"}
	for _, length := range []int{0, 1, 16_383, 16_384, 16_385, 32_768} {
		text := pattern(length)
		var stream bytes.Buffer
		if err := kms.SealStream(ctx, client, "acme", iotest.HalfReader(bytes.NewReader(text)), &stream, about); err != nil {
			t.Fatal(err)
		}
		whole, err := kms.SealBytes(ctx, client, "acme", text, about)
		if err != nil || len(whole) != stream.Len() {
			t.Errorf("%d bytes: %d and %d are sealed, %v", length, len(whole), stream.Len(), err)
		}
		if opened, err := kms.OpenBytes(ctx, client, "acme", stream.Bytes(), about); err != nil || !bytes.Equal(opened, text) {
			t.Errorf("%d bytes: %v", length, err)
		}
		var opened bytes.Buffer
		if err := kms.OpenStream(ctx, client, "acme", iotest.OneByteReader(bytes.NewReader(whole)), &opened, about); err != nil || !bytes.Equal(opened.Bytes(), text) {
			t.Errorf("%d bytes as a stream: %v", length, err)
		}
	}
}

func TestBytesOpenWholeOrNotAtAll(t *testing.T) {
	client, ctx := kmstest.New(t).Client(), t.Context()
	sealed, err := kms.SealBytes(ctx, client, "acme", pattern(40_000), nil)
	if err != nil {
		t.Fatal(err)
	}
	altered := bytes.Clone(sealed)
	altered[len(altered)-1] ^= 1
	for name, given := range map[string][]byte{"altered": altered, "cut": sealed[:len(sealed)-1], "cut between chunks": sealed[:20_000], "longer": append(bytes.Clone(sealed), 0), "nothing": nil} {
		if opened, err := kms.OpenBytes(ctx, client, "acme", given, nil); !errors.Is(err, kms.ErrNotAuthentic) || opened != nil {
			t.Errorf("%s: %d bytes, %v", name, len(opened), err)
		}
	}
	for tenant, about := range map[string]map[string]string{"globex": nil, "acme": {"other": ""}} {
		if opened, err := kms.OpenBytes(ctx, client, tenant, sealed, about); !errors.Is(err, kms.ErrNotAuthentic) || opened != nil {
			t.Errorf("%s, %v: %d bytes, %v", tenant, about, len(opened), err)
		}
	}
}

func TestAStreamThatFailsGivesItsErrorAndCannotBeOpened(t *testing.T) {
	client, ctx := kmstest.New(t).Client(), t.Context()
	for _, length := range []int{0, 16_384, 40_000} {
		for _, want := range []error{errBroken, io.ErrUnexpectedEOF} {
			var part bytes.Buffer
			from := io.MultiReader(bytes.NewReader(pattern(length)), iotest.ErrReader(want))
			if err := kms.SealStream(ctx, client, "acme", from, &part, nil); !errors.Is(err, want) {
				t.Errorf("%d bytes: %v, not %v", length, err, want)
			}
			if _, err := kms.OpenBytes(ctx, client, "acme", part.Bytes(), nil); !errors.Is(err, kms.ErrNotAuthentic) {
				t.Errorf("%d bytes, then %v: %v", length, want, err)
			}
		}
	}
	reader, writer := io.Pipe()
	_ = reader.CloseWithError(errBroken)
	if err := kms.SealStream(ctx, client, "acme", bytes.NewReader(nil), writer, nil); !errors.Is(err, errBroken) {
		t.Errorf("a writer that fails: %v", err)
	}
	ended, cancel := context.WithCancel(ctx)
	from := iotest.ErrReader(nil)
	from = io.MultiReader(bytes.NewReader(pattern(20_000)), readerFunc(func([]byte) (int, error) { cancel(); return 0, nil }), from)
	if err := kms.SealStream(ended, client, "acme", from, io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ends: %v", err)
	}
	fake := kmstest.New(t)
	fake.Refuse("GenerateDataKey", "KEY_UNUSABLE")
	var out bytes.Buffer
	if err := kms.SealStream(ctx, fake.Client(), "acme", bytes.NewReader(nil), &out, nil); kms.DetailsOf(err).Reason != "KEY_UNUSABLE" || out.Len() > 0 {
		t.Errorf("a refused key: %v, %d bytes", err, out.Len())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

// Allocations are counted, which do not depend on when memory is collected.
func TestAStreamOfAnyLengthNeedsTheMemoryOfAFewChunks(t *testing.T) {
	client, ctx := kmstest.New(t).Client(), t.Context()
	const length = 256 << 20
	measured := func(work func() error) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := work(); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	from, to := io.Pipe()
	opened := make(chan error, 1)
	allocated := measured(func() error {
		go func() { opened <- kms.OpenStream(ctx, client, "acme", from, io.Discard, nil) }()
		if err := kms.SealStream(ctx, client, "acme", io.LimitReader(zeros{}, length), to, nil); err != nil {
			return err
		}
		return errors.Join(to.Close(), <-opened)
	})
	if allocated > length/16 {
		t.Errorf("%d bytes are allocated for a stream of %d", allocated, length)
	}
}

type zeros struct{}

func (zeros) Read(into []byte) (int, error) {
	clear(into)
	return len(into), nil
}

func TestASourceThatEndsWithTheContextIsNotSealedAsWhole(t *testing.T) {
	client := kmstest.New(t).Client()
	ctx, cancel := context.WithCancel(t.Context())
	source := io.MultiReader(strings.NewReader("the first half of"), readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	}))
	var sealed bytes.Buffer
	if err := kms.SealStream(ctx, client, "acme", source, &sealed, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := kms.OpenBytes(t.Context(), client, "acme", sealed.Bytes(), nil); !errors.Is(err, kms.ErrNotAuthentic) {
		t.Error(err)
	}
}
