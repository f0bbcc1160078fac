package verify

import (
	"regexp"
	"strconv"
	"strings"
)

// numberToken is a number as RFC 8259 writes one.
var numberToken = regexp.MustCompile(`^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$`)

// tokenOf returns the token of a JSON number, or of a string that is nothing but one.
func tokenOf(value any) (string, bool) {
	switch value := value.(type) {
	case jsonNumber:
		return string(value), true
	case string:
		return value, numberToken.MatchString(value)
	}
	return "", false
}

// wholeNumber returns sign and magnitude of a number token whose exact value is whole and has at most 64 bits. It
// goes by the digits: a double would round the last ones of a timestamp, which are signed, too.
func wholeNumber(token string) (isNegative bool, magnitude uint64, ok bool) {
	parts := numberToken.FindStringSubmatch(token)
	if parts == nil {
		return false, 0, false
	}
	digits := strings.TrimLeft(parts[2]+parts[3], "0")
	coefficient := strings.TrimRight(digits, "0")
	if coefficient == "" {
		return false, 0, true
	}
	exponent := int64(0)
	if parts[4] != "" {
		var err error
		// An exponent of more than 64 bits cannot be made up for by digits.
		if exponent, err = strconv.ParseInt(parts[4], 10, 64); err != nil {
			return false, 0, false
		}
	}
	const mostDigits = 20 // of 2^64
	zeros := exponent - int64(len(parts[3])) + int64(len(digits)-len(coefficient))
	if zeros < 0 || zeros > mostDigits {
		return false, 0, false
	}
	magnitude, err := strconv.ParseUint(coefficient+strings.Repeat("0", int(zeros)), 10, 64)
	return parts[1] == "-", magnitude, err == nil
}

// nearestDouble returns the double that is nearest to a number token, ties to even; false for what is past all doubles.
// ParseFloat may take an integer of more than 800 digits for one of 800: it reads 17 with 900 zeros and e-900 as 1.7e-101.
// Of an exponent it reads five digits alone. So it gets the coefficient behind a point, and the exponent that is left.
func nearestDouble(token string) (float64, bool) {
	parts := numberToken.FindStringSubmatch(token)
	if parts == nil {
		return 0, false
	}
	const mostExponent = 1 << 50 // more than any text has digits
	digits := strings.TrimLeft(parts[2]+parts[3], "0")
	exponent := int64(0)
	if parts[4] != "" {
		exponent, _ = strconv.ParseInt(parts[4], 10, 64) // the nearest that there is, where it has more than 64 bits
	}
	exponent = min(max(exponent, -mostExponent), mostExponent) + int64(len(digits)-len(parts[3]))
	switch {
	case digits == "" || exponent < -400:
		digits, exponent = "0", 0
	case exponent > 400:
		return 0, false
	}
	number, err := strconv.ParseFloat(parts[1]+"0."+digits+"e"+strconv.FormatInt(exponent, 10), 64)
	return number, err == nil
}

// unsigned returns a whole number that is not below 0 nor above most, from a number or a string.
func unsigned(value any, most uint64) (uint64, bool) {
	token, ok := tokenOf(value)
	if !ok {
		return 0, false
	}
	isNegative, magnitude, ok := wholeNumber(token)
	return magnitude, ok && magnitude <= most && !isNegative
}

// signed returns a whole number from -2^(bits-1) to below 2^(bits-1), from a number or a string.
func signed(value any, bits int) (int64, bool) {
	token, ok := tokenOf(value)
	if !ok {
		return 0, false
	}
	isNegative, magnitude, ok := wholeNumber(token)
	limit := uint64(1) << (bits - 1)
	if isNegative {
		return -int64(magnitude), ok && magnitude <= limit
	}
	return int64(magnitude), ok && magnitude < limit
}
