package verify

import (
	"strings"
	"testing"
)

func TestLinesOfKeptCheckpointsEndInALineFeedAlone(t *testing.T) {
	good := "kms.example.com/acme\n0\n" + strings.Repeat("A", 43) + "=\n\n— kms.example.com/acme AAAAAAAA\n"
	for _, text := range []string{good, good + "\n\u2028 \ufeff", "\ufeff" + strings.ReplaceAll(good, "\n", "\r\n"), good + "\n" + good} {
		if _, ok := readKept(text); !ok {
			t.Errorf("%q is not taken", text)
		}
	}
	for _, text := range []string{
		good + "\u0085", strings.TrimSuffix(good, "\n") + "\u0085\n", strings.TrimSuffix(good, "\n") + "\u2028\n",
		strings.Replace(good, "=\n", "=\nmore\u2029\n", 1), strings.Replace(good, "=\n", "=\n\u2028\n", 1),
	} {
		if _, ok := readKept(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
}
