package verify

import "testing"

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
	if value, _, _ := parseJSON(`"\ud800"`); value == "\ufffd" {
		t.Error("half a surrogate pair becomes a character")
	}
}
