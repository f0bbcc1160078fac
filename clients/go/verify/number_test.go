package verify

import (
	"math"
	"strings"
	"testing"
)

func TestWholeNumbersAreReadByTheirDigits(t *testing.T) {
	for token, want := range map[string]uint64{
		"0": 0, "-0": 0, "0e99999999999": 0, "-0.00e-99999999999999999999": 0, "1.0": 1, "1e2": 100, "120e-1": 12, "0.5e1": 5,
		"1.76424320300000005e18": 1764243203000000050, "18446744073709551615": math.MaxUint64, "18446744073709551615.000": math.MaxUint64,
		"1" + strings.Repeat("0", 400) + "e-400": 1, "0." + strings.Repeat("0", 400) + "7e401": 7, "1e00000000000000000000000002": 100,
	} {
		if got, ok := unsigned(jsonNumber(token), math.MaxUint64); !ok || got != want {
			t.Errorf("%s is %d, %v", token, got, ok)
		}
		if got, ok := unsigned(token, math.MaxUint64); !ok || got != want {
			t.Errorf("%q is %d, %v", token, got, ok)
		}
	}
	for _, token := range []string{
		"18446744073709551616", "1e20", "1e99999999999", "1e99999999999999999999", "1.5", "1e-1", "1e-99999999999", "-1",
	} {
		if got, ok := unsigned(jsonNumber(token), math.MaxUint64); ok {
			t.Errorf("%s is %d", token, got)
		}
	}
	for _, text := range []string{"", " 1", "1 ", "1\n", "+1", "01", "-", "1.", ".5", "1e", "0x1", "1_000", "\u0661", "NaN"} {
		if _, ok := unsigned(text, math.MaxUint64); ok {
			t.Errorf("%q is a number", text)
		}
	}
	if least, ok := signed("-9223372036854775808.0", 64); !ok || least != math.MinInt64 {
		t.Errorf("the least is %d, %v", least, ok)
	}
	for _, token := range []string{"9223372036854775808.0", "-9223372036854775809"} {
		if got, ok := signed(token, 64); ok {
			t.Errorf("%s is %d", token, got)
		}
	}
}

func TestDoublesAreTheNearestHoweverLongTheirTokenIs(t *testing.T) {
	zeros := func(count int) string { return strings.Repeat("0", count) }
	for token, want := range map[string]float64{
		"0": 0, "-0.0e99999999999999999999": 0, "1.5": 1.5, "15e-1": 1.5, "1e-400": 0, "1e-99999999999999999999": 0, "5e-324": 5e-324,
		"1.7976931348623158e308": math.MaxFloat64, "1e23": 1e23, "-0.1": -0.1, "9007199254740993": 9007199254740992,
		"1" + zeros(900) + "e-900": 1, "1" + zeros(900) + "e-800": 1e100, "17" + zeros(100_000) + "e-100000": 17,
		"0." + zeros(100_000) + "17e100002": 17, "1e" + zeros(900) + "2": 100,
		"1.00000000000000011102230246251565404236316680908203125" + zeros(900):                1,
		"1.00000000000000011102230246251565404236316680908203125" + zeros(900) + "1":          1 + 0x1p-52,
		"100000000000000011102230246251565404236316680908203125" + zeros(900) + "1" + "e-954": 1 + 0x1p-52,
	} {
		if got, ok := nearestDouble(token); !ok || got != want {
			t.Errorf("%.60s is %v, %v, not %v", token, got, ok, want)
		}
	}
	for _, token := range []string{
		"", "x", "1.7976931348623159e308", "1e309", "1e99999999999999999999", "1" + zeros(309), "0." + zeros(900) + "1e99999",
	} {
		if got, ok := nearestDouble(token); ok {
			t.Errorf("%.60s is %v", token, got)
		}
	}
}

func TestBase64OfJSONHasEitherAlphabetAndNoLooseEnds(t *testing.T) {
	for _, text := range []string{"", "AA", "AA==", "+/+/", "-_-_", "AAA", "AAA="} {
		if _, ok := jsonBase64(text); !ok {
			t.Errorf("%q is not taken", text)
		}
	}
	for _, text := range []string{"A", "AB", "AB==", "AA=", "AA===", "=", "AA==AA==", " AA", "AA\n", "AAAA\r\n", "*"} {
		if _, ok := jsonBase64(text); ok {
			t.Errorf("%q is taken", text)
		}
	}
}
