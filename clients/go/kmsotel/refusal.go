package kmsotel

import (
	"regexp"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// httpRefusalForm matches otlptracehttp's error for a response that must not be repeated: its type has no code. The
// error for other responses, such as 503, has another form.
var httpRefusalForm = regexp.MustCompile(`\Afailed to send to [^\n]*: (\d{3}) [^\n]*\(body: `)

// isRefusal says whether an error of a delegate is the backend's refusal of an export that OTLP forbids to repeat: by
// HTTP all but 429, 502, 503 and 504, by gRPC all but the codes below.
func isRefusal(err error) bool {
	if err == nil {
		return false
	}
	found, isStatus := status.FromError(err)
	if !isStatus {
		return isHTTPRefusal(err)
	}
	switch found.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return false
	case codes.ResourceExhausted:
		return !hasRetryInfo(found)
	}
	return true
}

func isHTTPRefusal(err error) bool {
	found := httpRefusalForm.FindStringSubmatch(err.Error())
	if found == nil {
		return false
	}
	switch found[1] {
	case "429", "502", "503", "504":
		return false
	}
	return true
}

func hasRetryInfo(found *status.Status) bool {
	for _, detail := range found.Details() {
		if _, isRetryInfo := detail.(*errdetails.RetryInfo); isRetryInfo {
			return true
		}
	}
	return false
}
