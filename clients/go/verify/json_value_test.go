package verify

import (
	"testing"
	"unicode/utf8"
)

func TestJSONIsReadStrictly(t *testing.T) {
	for _, text := range []string{`{}`, ` [1, -0.5e+10, "\ud83d\ude00\n", null, true, {"a": {}}] `, `"x"`, "1e5"} {
		if _, flaw, err := parseJSON(text); flaw != nil || err != nil {
			t.Errorf("%s: %v, %v", text, flaw, err)
		}
	}
	for _, text := range []string{``, `{`, `{"a" 1}`, `[1,]`, `{"a":1,}`, `01`, `1.`, `.5`, `+1`, `1e`, `tru`, `"a`, "\"\n\"", `"\x"`, `"\u12g4"`, `{} {}`, `NaN`, "\ufeff{}"} {
		if _, _, err := parseJSON(text); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	for _, text := range []string{`{"a": 1, "\u0061": 2}`, `[{"a": {"b": 1, "b": 1}}]`} {
		if _, flaw, err := parseJSON(text); flaw == nil || err != nil {
			t.Errorf("%s: %v, %v", text, flaw, err)
		}
	}
	for _, half := range []string{`"\ud800"`, `"\udc00"`, `"\ud800\ud800"`, `"\udc00\ud800"`, `"\ud800\n"`, `"\\\udbff"`, `"\ufffd\uDFFF"`} {
		if value, _, _ := parseJSON(half); utf8.ValidString(value.(string)) {
			t.Errorf("%s, half a surrogate pair, becomes %q", half, value)
		}
	}
	for whole, want := range map[string]string{`"\ufffd\ud83d\uDE00"`: "\ufffd\U0001f600", `"\\ud800\ufffd"`: `\ud800` + "\ufffd", "\"\ufffd\ud7ff\"": "\ufffd\ud7ff"} {
		if value, _, _ := parseJSON(whole); value != want {
			t.Errorf("%s becomes %q", whole, value)
		}
	}
}

func TestAMemberWithHalfASurrogatePairIsThereTwiceInAnySpelling(t *testing.T) {
	for _, text := range []string{`{"\ud800":1,"\ud800":2}`, `{"a\uD800":1, "\u0061\ud800":2}`, `{"x":{"\ude00\ud83d":1,"\uDE00\uD83D":2}}`} {
		if _, flaw, err := parseJSON(text); flaw == nil || err != nil {
			t.Errorf("%s: %v, %v", text, flaw, err)
		}
	}
	for _, text := range []string{`{"\ud800":1,"\ud801":2}`, `{"\ud800":1,"\ufffd":2}`, `{"\\ud800":1,"\ud800":2}`} {
		if _, flaw, err := parseJSON(text); flaw != nil || err != nil {
			t.Errorf("%s: %v, %v", text, flaw, err)
		}
	}
}
