package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

// eachSpan has verdicts on spans, each for itself, and the entries of logs that they are.
type eachSpan []verify.Verdict

type spansReport struct {
	Verified int          `json:"verified"`
	Failed   int          `json:"failed"`
	Spans    []spanReport `json:"spans"`
}

type spanReport struct {
	TraceID   string  `json:"trace_id,omitempty"`
	SpanID    string  `json:"span_id,omitempty"`
	Verified  bool    `json:"verified"`
	Reason    string  `json:"reason"`
	Message   string  `json:"message,omitempty"`
	KeyID     string  `json:"key_id,omitempty"`
	KeyState  string  `json:"key_state,omitempty"`
	SignedAt  string  `json:"signed_at,omitempty"`
	Log       string  `json:"log,omitempty"`
	LeafIndex *uint64 `json:"leaf_index,omitempty"`
}

func (e eachSpan) ok() bool { return len(e) > 0 && e.verified() == len(e) }

func (e eachSpan) verified() (count int) {
	for _, verdict := range e {
		if verdict.Verified {
			count++
		}
	}
	return count
}

func (e eachSpan) json() any {
	report := spansReport{Verified: e.verified(), Failed: len(e) - e.verified(), Spans: []spanReport{}}
	for _, v := range e {
		span := spanReport{TraceID: v.TraceID, SpanID: v.SpanID, Verified: v.Verified, Reason: reasonOf(v), Message: v.Message,
			KeyID: v.KeyID, KeyState: v.KeyState, SignedAt: v.SignedAt, Log: v.Log}
		if v.Log != "" {
			span.LeafIndex = &v.LeafIndex
		}
		report.Spans = append(report.Spans, span)
	}
	return report
}

// reasonOf tells a span without evidence from one that lost some of its attributes, which both are MALFORMED to the
// service.
func reasonOf(v verify.Verdict) string {
	if v.Unsigned {
		return "UNSIGNED"
	}
	return string(v.Reason)
}

func (e eachSpan) print(out io.Writer, asked invocation) {
	if len(e) == 0 {
		printLine(out, "there are no spans in the file")
		return
	}
	verified := e.verified()
	failed := len(e) - verified
	heads := []string{"span", "verdict", "why not"}
	end := fmt.Sprintf("%d of %d verified", verified, len(e))
	switch {
	case failed == 0:
		heads[2] = "signed at"
	case verified == 0:
		end += fmt.Sprintf(", %d failed", failed)
	default:
		heads[2] = "signed at, or why not"
		end += fmt.Sprintf(", %d failed", failed)
	}
	if verified > 0 {
		heads = append(heads, "key", "state", "log")
	}
	rows := [][]string{heads}
	for _, verdict := range e {
		rows = append(rows, rowOf(verdict))
	}
	printTable(out, rows, "")
	e.printLogs(out)
	printLine(out, end)
	printClosing(out, asked)
}

func rowOf(v verify.Verdict) []string {
	named := []string{orDash(v.TraceID) + "/" + orDash(v.SpanID), reasonOf(v)}
	if !v.Verified {
		return append(named, v.Explanation())
	}
	place := ""
	if v.Log != "" {
		place = fmt.Sprintf("entry %d", v.LeafIndex)
	}
	return append(named, v.SignedAt, v.KeyID, v.KeyState, place)
}

func orDash(id string) string {
	if id == "" {
		return "-"
	}
	return id
}

// printLogs prints a line for each log with verified spans. An entry that no verified span has may be another's, or a
// handover: --log knows.
func (e eachSpan) printLogs(out io.Writer) {
	without := "in this file"
	if !e.ok() {
		without = "verified here"
	}
	var origins []string
	indices := map[string][]uint64{}
	for _, v := range e {
		if !v.Verified || v.Log == "" {
			continue
		}
		if indices[v.Log] == nil {
			origins = append(origins, v.Log)
		}
		indices[v.Log] = append(indices[v.Log], v.LeafIndex)
	}
	for _, origin := range origins {
		printLine(out, fmt.Sprintf("log %s: %s; --log checks that none is missing", origin, entriesText(indices[origin], without)))
	}
}

// shownRanges is how many ranges anyone reads; more are counted.
const shownRanges = 4

// entriesText returns `entries 0 to 4 and 7 (2 between are not in this file)`, where the last words are without.
func entriesText(indices []uint64, without string) string {
	slices.Sort(indices)
	seen := slices.Compact(indices)
	var ranges []string
	for start := 0; start < len(seen); {
		end := start + 1
		for end < len(seen) && seen[end] == seen[end-1]+1 {
			end++
		}
		text := fmt.Sprint(seen[start])
		if end-start > 1 {
			text += fmt.Sprintf(" to %d", seen[end-1])
		}
		ranges = append(ranges, text)
		start = end
	}
	first, last, count := seen[0], seen[len(seen)-1], uint64(len(seen))
	named := fmt.Sprintf("%d of the entries %d to %d", count, first, last)
	if listed := len(ranges); listed <= shownRanges {
		named = "entries "
		if count == 1 {
			named = "entry "
		}
		if listed > 1 {
			named += strings.Join(ranges[:listed-1], ", ") + " and "
		}
		named += ranges[listed-1]
	}
	between := last - first + 1 - count
	if between == 0 {
		return named
	}
	return fmt.Sprintf("%s (%s not %s)", named, counted(between, "between is", "between are"), without)
}
