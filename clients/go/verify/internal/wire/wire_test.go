package wire

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

func TestWhatIsWrittenIsReadAgain(t *testing.T) {
	for _, number := range []uint64{0, 1, 127, 128, math.MaxUint32, math.MaxUint64} {
		encoded := append(AppendVarint(nil, number), 0xff)
		if found, n, err := Varint(encoded); found != number || n != len(encoded)-1 || err != nil {
			t.Errorf("varint %d: %d, %d, %v", number, found, n, err)
		}
		if found, n, err := Fixed64(append(AppendFixed64(nil, number), 0xff)); found != number || n != 8 || err != nil {
			t.Errorf("fixed64 %d: %d, %d, %v", number, found, n, err)
		}
		if found, n, err := Fixed32(append(AppendFixed32(nil, uint32(number)), 0xff)); found != number&math.MaxUint32 || n != 4 || err != nil {
			t.Errorf("fixed32 %d: %d, %d, %v", number, found, n, err)
		}
	}
	for _, length := range []int{0, 1, 127, 128, 70_000} {
		content := bytes.Repeat([]byte{7}, length)
		encoded := append(AppendBytes(nil, content), 0xff)
		if found, n, err := Bytes(encoded); !bytes.Equal(found, content) || n != len(encoded)-1 || err != nil {
			t.Errorf("%d bytes: %d, %d, %v", length, len(found), n, err)
		}
	}
	tag, _, err := Varint(AppendTag(nil, 536_870_911, Fixed32Type))
	if number, of := SplitTag(tag); number != 536_870_911 || of != Fixed32Type || err != nil {
		t.Errorf("%d, %d, %v", number, of, err)
	}
}

func TestWhatIsCutOrTooLongIsRefused(t *testing.T) {
	nines := bytes.Repeat([]byte{0xff}, 9)
	for name, each := range map[string]struct {
		read func([]byte) error
		from []byte
		want error
	}{
		"no varint":             {varint, nil, ErrTruncated},
		"half a varint":         {varint, []byte{0x80}, ErrTruncated},
		"nine bytes of ten":     {varint, nines, ErrTruncated},
		"65 bits":               {varint, append(nines, 2), ErrOverflow},
		"eleven bytes":          {varint, append(nines, 0x80, 0), ErrOverflow},
		"three bytes of four":   {func(from []byte) error { _, _, err := Fixed32(from); return err }, make([]byte, 3), ErrTruncated},
		"seven bytes of eight":  {func(from []byte) error { _, _, err := Fixed64(from); return err }, make([]byte, 7), ErrTruncated},
		"no length":             {content, nil, ErrTruncated},
		"a length past the end": {content, []byte{2, 0}, ErrTruncated},
		"a length of 64 bits":   {content, append(nines, 1, 0), ErrTruncated},
		"a length of 65 bits":   {content, append(nines, 2, 0), ErrOverflow},
	} {
		if err := each.read(bytes.Clone(each.from)); !errors.Is(err, each.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if number, n, err := Varint([]byte{0x81, 0x80, 0}); number != 1 || n != 3 || err != nil {
		t.Errorf("a long form of 1: %d, %d, %v", number, n, err)
	}
	if number, _, err := Varint(append(nines, 1)); number != math.MaxUint64 || err != nil {
		t.Errorf("the largest number: %d, %v", number, err)
	}
}

func varint(from []byte) error  { _, _, err := Varint(from); return err }
func content(from []byte) error { _, _, err := Bytes(from); return err }
