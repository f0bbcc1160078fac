package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

// wholeLogs says of each log whether the spans are all that they should be.
type wholeLogs struct{ *verify.LogReport }

func (w wholeLogs) ok() bool { return w.OK }

func (w wholeLogs) json() any { return w.LogReport }

func (w wholeLogs) print(out io.Writer, asked invocation) {
	for _, log := range w.Logs {
		printLog(out, log, asked)
	}
	if w.SignedApart > 0 {
		printLine(out, counted(w.SignedApart, "span is", "spans are")+" signed apart, in no log: whether others are missing does not show")
	}
	if len(w.Logs) == 0 {
		printLine(out, "there are no spans of a log in the file")
		return
	}
	printClosing(out, asked)
}

func printLog(out io.Writer, log verify.LogAudit, asked invocation) {
	entries, counts := "no entries", []string{counted(log.Spans, "span", "spans")}
	if log.From < log.To {
		entries = fmt.Sprintf("entries %d to %d", log.From, log.To-1)
	}
	if log.Handovers > 0 {
		counts = append(counts, counted(log.Handovers, "handover", "handovers"))
	}
	if log.Announced > 0 {
		counts = append(counts, counted(log.Announced, "handover that was not used", "handovers that were not used"))
	}
	printLine(out, fmt.Sprintf("log %s, %s: %s", log.Origin, entries, strings.Join(counts, ", ")))
	printEnds(out, log)
	var rows [][]string
	for _, finding := range log.Findings {
		rows = append(rows, []string{finding.What, "entry " + indexText(finding), spanText(finding, "-"), finding.Message})
	}
	printTable(out, rows, "  ")
	for _, checkpoint := range log.Checkpoints {
		says := "is not compared"
		if checkpoint.Agrees != nil && *checkpoint.Agrees {
			says = "agrees"
		} else if checkpoint.Agrees != nil {
			says = "does not agree"
		}
		printLine(out, fmt.Sprintf("  checkpoint %s, of %s, %s", checkpoint.File, counted(checkpoint.Size, "entry", "entries"), says))
	}
	printUnchecked(out, log, asked)
	switch problems := len(log.Findings); {
	case problems == 0 && log.Spans == 0:
		printLine(out, "  no spans")
	case problems == 0:
		printLine(out, "  no problems")
	default:
		first := log.Findings[0]
		printLine(out, fmt.Sprintf("  %s, the first at %s", counted(problems, "problem", "problems"), spanText(first, "entry "+indexText(first))))
	}
}

func printEnds(out io.Writer, log verify.LogAudit) {
	const why = "when a backup was restored, or a loss was accepted"
	if log.Follows != "" {
		printLine(out, fmt.Sprintf("  it follows %s, which ended at %s %s", log.Follows, counted(log.FollowsEndedAt, "entry", "entries"), why))
	}
	if log.EndedAt == nil {
		return
	}
	lost := ""
	if size := *log.EndedAt; log.Known > size {
		lost = fmt.Sprintf("; entries %d to %d, which are in a checkpoint here, are lost to the service", size, log.Known-1)
	}
	printLine(out, fmt.Sprintf("  it ended at %s %s%s", counted(*log.EndedAt, "entry", "entries"), why, lost))
}

func printUnchecked(out io.Writer, log verify.LogAudit, asked invocation) {
	if log.From > 0 {
		printLine(out, fmt.Sprintf("  not checked, before entry %d: whether any is missing", log.From))
	}
	if len(log.Checkpoints) == 0 {
		what := "was written anew"
		if log.From < log.To {
			what = fmt.Sprintf("was cut off behind entry %d, or written anew", log.To-1)
		}
		printLine(out, "  not checked, without a --checkpoint: whether the log "+what)
	}
	if asked.isInAnyOrder {
		printLine(out, "  not checked, with --any-order: the order of the spans")
	}
}

func indexText(finding verify.Finding) string {
	if finding.LeafIndex == nil {
		return "-"
	}
	return fmt.Sprint(*finding.LeafIndex)
}

func spanText(finding verify.Finding, otherwise string) string {
	if finding.Span == nil {
		return otherwise
	}
	return *finding.Span
}
