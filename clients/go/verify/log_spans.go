package verify

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// logSpans are the spans of an export that are of one log.
type logSpans struct {
	origin string
	// held has those whose proofs hold, in the order of the export.
	held []*logEntry
	// changed has the indices of those whose proofs do not hold.
	changed  map[int64]bool
	findings []Finding
}

var findingOfReason = map[Reason]string{
	OK:                "unproven",
	SignatureMismatch: "changed",
	SpanMismatch:      "changed",
	ProofInvalid:      "changed",
	UnknownKey:        "foreign",
	KeyState:          "unproven",
	KeyCompromised:    "compromised",
	Malformed:         "unreadable",
}

// spansByLog returns the spans by their logs, and how many are signed apart: those that a signature of their own
// verifies, which no log has. A span of no known log counts with the one before it, the first ones with the first
// log: it is there where one of that log could be.
func spansByLog(spans []judged, origins []string) (logs []*logSpans, apart int) {
	origin, at := firstOrigin(spans, origins), int64(-1)
	for _, span := range spans {
		if span.place == nil && span.Verified {
			apart++
			continue
		}
		isOfLog := span.place != nil && slices.Contains(origins, span.Log)
		if isOfLog {
			origin = span.Log
		}
		var log *logSpans
		logs, log = logNamed(logs, origin)
		if span.place != nil && (span.Verified || span.Reason == KeyCompromised) {
			entry := entryOf(span.place.proof, span.place.leaf, span.place.signers)
			entry.name, entry.isTrusted = span.name(), span.Verified
			at = entry.index
			log.held = append(log.held, entry)
			continue
		}
		finding := Finding{What: findingOfReason[span.Reason], Count: 1, Span: nameOrNil(span.name()), Message: span.Explanation(),
			order: 2*at + 1}
		if isOfLog { // The index in another log means nothing in this one.
			index := span.place.proof.index
			finding.LeafIndex, finding.order = &span.LeafIndex, 2*index
			if span.Reason == ProofInvalid {
				log.changed[index] = true
			}
		}
		log.findings = append(log.findings, finding)
	}
	return logs, apart
}

// logNamed returns the log of that name, and adds it where it is not there.
func logNamed(logs []*logSpans, origin string) ([]*logSpans, *logSpans) {
	for _, log := range logs {
		if log.origin == origin {
			return logs, log
		}
	}
	log := &logSpans{origin: origin, changed: map[int64]bool{}}
	return append(logs, log), log
}

func firstOrigin(spans []judged, origins []string) string {
	for _, span := range spans {
		if slices.Contains(origins, span.Log) {
			return span.Log
		}
	}
	if len(origins) == 0 {
		return ""
	}
	return origins[0]
}

// handoversOf returns the handovers of a log that hold: whatever else stands there fills no gap.
func (k *KeySet) handoversOf(origin string) (entries []*logEntry) {
	for _, each := range k.handovers {
		if each.proof.checkpoint.origin != origin {
			continue
		}
		signers, holds := each.proof.signersOf(k.logKeys)
		if leaf := tlog.RecordHash(each.entry); holds && len(signers) > 0 && each.proof.includes(leaf) {
			entries = append(entries, entryOf(&each.proof, leaf, signers))
		}
	}
	return entries
}

// entryOf returns the entry of a proof that holds, of a checkpoint that these keys signed.
func entryOf(proof *logProof, leaf tlog.Hash, signers []*logKey) *logEntry {
	entry := &logEntry{index: proof.index, leaf: leaf, path: proof.path, head: proof.checkpoint}
	for _, key := range signers {
		entry.isTrusted = entry.isTrusted || key.reason() == OK
		if key.compromisedLog != nil && key.compromisedLog.origin == entry.head.origin {
			entry.recordedSize = max(entry.recordedSize, key.compromisedLog.size)
		}
	}
	return entry
}

func (j *judged) name() string { return orDash(j.TraceID) + "/" + orDash(j.SpanID) }

func orDash(id string) string {
	if id == "" {
		return "-"
	}
	return id
}

func nameOrNil(name string) *string {
	if name == "" {
		return nil
	}
	return &name
}
