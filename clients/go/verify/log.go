package verify

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// LogOptions says what of a tenant's logs to verify, and by what.
type LogOptions struct {
	// Tenant must have signed; empty for whom each span names.
	Tenant string
	// Checkpoints were kept by the caller. They alone show that whoever has the key rewrote the log, or cut off its end.
	Checkpoints []KeptCheckpoints
	// From and To are sizes of the log: the entries with the indices From to To-1 must be there. Nil for From is the first
	// span, or the smallest kept checkpoint; nil for To is the largest checkpoint, kept or in a span's proof.
	From, To *uint64
	// AnyOrder says that the export is in no order, as from a store that keeps none.
	AnyOrder bool
}

// KeptCheckpoints is a text of one or several checkpoints, one behind the other, as GetCheckpoint gives them.
type KeptCheckpoints struct {
	// File names the text in what is said of it.
	File string
	Text string
}

// LogReport says, for each log that an export has spans of, whether the spans are complete. In JSON it is what the
// command prints.
type LogReport struct {
	// OK says that there are spans of each log, and nothing was found.
	OK   bool       `json:"ok"`
	Logs []LogAudit `json:"logs"`
	// SignedApart counts the spans that a signature of their own verifies, which are in no log.
	SignedApart int `json:"signed_apart"`
}

// LogAudit is what there is to say of one log.
type LogAudit struct {
	Origin string `json:"origin"`
	// EndedAt is the size at which the log ended, when a backup was restored or a loss was accepted; nil if it goes on.
	EndedAt *uint64 `json:"ended_at,omitempty"`
	// Follows is the log that ended before this one began; empty where there is none.
	Follows string `json:"follows,omitempty"`
	// From and To bound the entries that had to be there: from entry From until before entry To.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
	// Spans, Handovers and Announced count the entries that are there; announced are handovers that were not used.
	Spans       int               `json:"spans"`
	Handovers   int               `json:"handovers"`
	Announced   int               `json:"announced"`
	Checkpoints []CheckpointAudit `json:"checkpoints"`
	// Findings are in the order of the entries.
	Findings []Finding `json:"findings"`
	// FollowsEndedAt is the size at which the log of Follows ended.
	FollowsEndedAt uint64 `json:"-"`
	// Known is the size of the largest checkpoint at hand, kept or in a span's proof.
	Known uint64 `json:"-"`
}

// CheckpointAudit is what there is to say of a kept checkpoint.
type CheckpointAudit struct {
	File string `json:"file"`
	Size uint64 `json:"size"`
	// Agrees says whether the spans lead to it; nil where they do not go there.
	Agrees *bool `json:"agrees"`
}

// Finding is something wrong with a log.
type Finding struct {
	// What is missing, changed, repeated, reordered, rewritten, compromised, foreign, unproven or unreadable.
	What string `json:"what"`
	// LeafIndex says where in the log it begins; nil for a span that does not even claim a place.
	LeafIndex *uint64 `json:"leaf_index"`
	// Count says how many entries it may be about.
	Count uint64 `json:"count"`
	// Span is the first one that it is about, "<trace id>/<span id>"; nil where that is not there.
	Span *string `json:"span"`
	// Message is the rest of a sentence that begins with What, for people. The text may change.
	Message string `json:"message"`

	// order is twice the index, or lies between two of these.
	order int64
}

// Log verifies that the spans of an OTLP trace export are all of the tenant's logs, in their order, from the first to
// the last. The error says that the bytes are no export; that a kept text is no checkpoint, or that no key of the set
// signed it; that From or To is given for several logs; or that the key set names no log.
func Log(keys *KeySet, export []byte, options LogOptions) (*LogReport, error) {
	from, err := sizeOf(options.From)
	if err != nil {
		return nil, err
	}
	to, err := sizeOf(options.To)
	if err != nil {
		return nil, err
	}
	spans, err := keys.judgeExport(export, options.Tenant)
	if err != nil {
		return nil, err
	}
	kept, err := keys.keptHeads(options.Checkpoints)
	if err != nil {
		return nil, err
	}
	origins := keys.origins()
	if len(origins) == 0 {
		return nil, errors.New("the keys file names no log; save again what the service serves")
	}
	logs, apart := spansByLog(spans, origins)
	for _, head := range kept {
		logs, _ = logNamed(logs, head.origin)
	}
	if len(logs) > 1 && (from != nil || to != nil) {
		return nil, fmt.Errorf("the spans are of several logs (%s); from and to are for one", namesOf(logs))
	}
	report := &LogReport{OK: len(logs) > 0, Logs: []LogAudit{}, SignedApart: apart}
	for _, log := range logs {
		heads := slices.DeleteFunc(slices.Clone(kept), func(head *knownHead) bool { return head.origin != log.origin })
		audit := keys.auditLog(log, heads, logToAudit{from: from, to: to, isOrdered: !options.AnyOrder})
		report.Logs = append(report.Logs, audit)
		report.OK = report.OK && audit.Spans > 0 && len(audit.Findings) == 0
	}
	return report, nil
}

func sizeOf(given *uint64) (*int64, error) {
	switch {
	case given == nil:
		return nil, nil
	case *given > maxIndex:
		return nil, errors.New("a log has fewer than 2^53 entries")
	}
	return new(int64(*given)), nil
}

func namesOf(logs []*logSpans) string {
	var names []string
	for _, log := range logs {
		names = append(names, log.origin)
	}
	return strings.Join(names, ", ")
}

// origins returns the names of the tenant's logs, in their order.
func (k *KeySet) origins() (names []string) {
	for _, key := range k.logKeys {
		if !slices.Contains(names, key.name) {
			names = append(names, key.name)
		}
	}
	return names
}

func (k *KeySet) auditLog(log *logSpans, kept []*knownHead, about logToAudit) LogAudit {
	about.spans, about.changed, about.handovers = log.held, log.changed, k.handoversOf(log.origin)
	for _, each := range k.unused {
		if each.origin == log.origin {
			about.unused = append(about.unused, each.unprovenEntry)
		}
	}
	about.heads = append(slices.Clone(kept), k.recordedHeads(log.origin)...)
	within, history, findings := about.audit()
	findings = append(slices.Clone(log.findings), findings...)
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.order, b.order) })
	audit := LogAudit{
		Origin:      log.origin,
		From:        uint64(within.start),
		To:          uint64(within.end),
		Spans:       len(entriesWithin(within, log.held)),
		Handovers:   len(entriesWithin(within, about.handovers)),
		Announced:   len(history.fitting),
		Checkpoints: []CheckpointAudit{},
		Findings:    append([]Finding{}, findings...),
	}
	for _, entry := range log.held {
		audit.Known = max(audit.Known, uint64(entry.head.size))
	}
	for _, head := range kept {
		audit.Known = max(audit.Known, uint64(head.size))
		found := CheckpointAudit{File: head.file, Size: uint64(head.size)}
		if head.agrees || head.differs {
			found.Agrees = &head.agrees
		}
		audit.Checkpoints = append(audit.Checkpoints, found)
	}
	k.addEnds(&audit)
	return audit
}

// recordedHeads returns how far the log went when keys of it were marked as compromised.
func (k *KeySet) recordedHeads(origin string) (heads []*knownHead) {
	for _, key := range k.logKeys {
		if key.name == origin && key.compromisedLog != nil && key.compromisedLog.origin == origin {
			heads = append(heads, &knownHead{checkpoint: *key.compromisedLog, isTrusted: true, lastEntry: -1})
		}
	}
	return heads
}

// addEnds says where the log ended, and the one before it: every log of a tenant but the last has ended.
func (k *KeySet) addEnds(audit *LogAudit) {
	if head := k.endOf(audit.Origin); head != nil {
		audit.EndedAt = new(uint64(head.size))
	}
	origins := k.origins()
	if at := slices.Index(origins, audit.Origin); at > 0 {
		if head := k.endOf(origins[at-1]); head != nil {
			audit.Follows, audit.FollowsEndedAt = head.origin, uint64(head.size)
		}
	}
}

func (k *KeySet) endOf(origin string) *checkpoint {
	for _, head := range k.ended {
		if head.origin == origin {
			return head
		}
	}
	return nil
}
