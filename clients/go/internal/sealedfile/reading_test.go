package sealedfile

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

var errBroken = errors.New("broken")

// broken gives some bytes and then fails, as a connection that breaks off does.
type broken struct {
	io.Reader
	err error
}

func (b broken) Read(into []byte) (int, error) {
	n, err := b.Reader.Read(into)
	if errors.Is(err, io.EOF) {
		err = b.err
	}
	return n, err
}

func sealed(t *testing.T, from io.Reader) ([]byte, error) {
	t.Helper()
	var out bytes.Buffer
	err := Seal(&out, from, bytes.Repeat([]byte{7}, keyBytes), []byte("blob"))
	return out.Bytes(), err
}

func TestAReaderInOddPiecesIsSealedAndOpenedWhole(t *testing.T) {
	for _, length := range []int{0, 1, 16_383, 16_384, 16_385, 32_768} {
		for name, pieces := range map[string]func(io.Reader) io.Reader{
			"one byte at a time": iotest.OneByteReader, "halves": iotest.HalfReader, "the end with the data": iotest.DataErrReader,
		} {
			whole, err := sealed(t, pieces(bytes.NewReader(plaintext(length))))
			if err != nil {
				t.Fatal(err)
			}
			from := pieces(bytes.NewReader(whole))
			blob, err := ReadBlob(from)
			if err != nil {
				t.Fatal(err)
			}
			var opened bytes.Buffer
			if err := Open(&opened, from, bytes.Repeat([]byte{7}, keyBytes), blob); err != nil || !bytes.Equal(opened.Bytes(), plaintext(length)) {
				t.Errorf("%d bytes, %s: %v", length, name, err)
			}
		}
	}
}

// A broken HTTP response ends in io.ErrUnexpectedEOF, at any place.
func TestWhatIsSealedOfABrokenReaderDoesNotOpen(t *testing.T) {
	for _, err := range []error{errBroken, io.ErrUnexpectedEOF, io.ErrClosedPipe} {
		for _, length := range []int{0, 1, 16_383, 16_384, 16_385, 32_768} {
			part, found := sealed(t, broken{bytes.NewReader(plaintext(length)), err})
			if !errors.Is(found, err) {
				t.Errorf("%d bytes: %v, not %v", length, found, err)
			}
			if _, err := openWhole(part, bytes.Repeat([]byte{7}, keyBytes)); !errors.Is(err, ErrNotAuthentic) {
				t.Errorf("%d bytes that were sealed before %v: %v", length, found, err)
			}
		}
	}
	if _, err := sealed(t, stuck{}); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestAnErrorOfASealedReaderIsNotTakenForItsEnd(t *testing.T) {
	whole, err := sealed(t, bytes.NewReader(plaintext(40_000)))
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range []int{0, 10, 30, 20_000, len(whole)} {
		_, err := openFrom(broken{bytes.NewReader(whole[:kept]), io.ErrUnexpectedEOF})
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrNotAuthentic) {
			t.Errorf("%d bytes: %v", kept, err)
		}
	}
}

func openFrom(from io.Reader) ([]byte, error) {
	var out bytes.Buffer
	blob, err := ReadBlob(from)
	if err == nil {
		err = Open(&out, from, bytes.Repeat([]byte{7}, keyBytes), blob)
	}
	return out.Bytes(), err
}

// full takes so many writes, and fails or is short at the next.
type full struct {
	bytes.Buffer
	writes int
	err    error
}

func (f *full) Write(given []byte) (int, error) {
	if f.writes == 0 {
		n, _ := f.Buffer.Write(given[:len(given)/2])
		return n, f.err
	}
	f.writes--
	return f.Buffer.Write(given)
}

func TestAWriterThatFailsEndsTheCall(t *testing.T) {
	key := bytes.Repeat([]byte{7}, keyBytes)
	for given, want := range map[error]error{errBroken: errBroken, nil: io.ErrShortWrite} {
		// Head, salt and commitment, two chunks of 16 KiB, the last one.
		for writes := range 5 {
			to := &full{writes: writes, err: given}
			if err := Seal(to, bytes.NewReader(plaintext(40_000)), key, []byte("blob")); !errors.Is(err, want) {
				t.Errorf("write %d: %v", writes, err)
			}
			if _, err := openWhole(to.Bytes(), key); !errors.Is(err, ErrNotAuthentic) {
				t.Errorf("what was sealed until write %d: %v", writes, err)
			}
		}
		whole, err := sealed(t, bytes.NewReader(plaintext(40_000)))
		if err != nil {
			t.Fatal(err)
		}
		from := bytes.NewReader(whole)
		blob, _ := ReadBlob(from)
		if err := Open(&full{writes: 1, err: given}, from, key, blob); !errors.Is(err, want) {
			t.Error(err)
		}
	}
}
