package verify

import (
	"fmt"
	"testing"
	"time"
)

func TestAMapOfManyEntriesDoesNotTakeMinutes(t *testing.T) {
	var entries []byte
	for i := range uint32(200_000) {
		// Multiplied, the numbers come in any order, each once. An entry is a key and no value.
		key := fmt.Sprintf("%08x", i*2654435761)
		entries = append(entries, appendBytes(nil, 1, appendBytes(nil, 1, []byte(key)))...)
	}
	attribute := appendBytes(appendBytes(nil, 1, []byte("map")), 2, appendBytes(nil, 6, entries))
	span := appendBytes(appendBytes(nil, 1, []byte("0123456789abcdef")), 2, []byte("01234567"))
	span = appendBytes(span, 9, attribute)
	done := make(chan error, 1)
	go func() {
		_, err := CanonicalForm(nil, nil, span)
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("it takes minutes")
	}
}
