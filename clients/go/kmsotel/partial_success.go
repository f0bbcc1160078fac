package kmsotel

import (
	"reflect"
	"regexp"
	"strconv"
)

// Matches the error by which OpenTelemetry's clients tell of a partial success: the backend has all spans but those, and
// the same must not be sent again. Its type is one that others cannot name.
const partialSuccessType = "PartialSuccess"

var partialSuccessForm = regexp.MustCompile(`(?s)^OTLP partial success: .* \((\d+) spans rejected\)$`)

// rejectedByBackend says whether an error is a partial success, and how many spans the backend rejected.
func rejectedByBackend(err error) (spans int, isTaken bool) {
	if err == nil {
		return 0, false
	}
	if reflect.TypeOf(err).Name() == partialSuccessType {
		if found := partialSuccessForm.FindStringSubmatch(err.Error()); found != nil {
			spans, _ = strconv.Atoi(found[1]) // digits
			return spans, true
		}
	}
	switch wrapper := err.(type) {
	case interface{ Unwrap() error }:
		return rejectedByBackend(wrapper.Unwrap())
	case interface{ Unwrap() []error }:
		for _, each := range wrapper.Unwrap() {
			if spans, isTaken := rejectedByBackend(each); isTaken {
				return spans, true
			}
		}
	}
	return 0, false
}
