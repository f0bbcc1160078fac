package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"github.com/fluo-dev/fluo-kms/clients/go/verify"
	"google.golang.org/protobuf/proto"
)

// judgeCase is one line of the cases.
type judgeCase struct {
	KeySet  string          `json:"keySet"`
	JWKS    *string         `json:"jwks"`
	VKeys   []string        `json:"vkeys"`
	Refused bool            `json:"refused"`
	Tenant  string          `json:"tenant"`
	Export  *[]byte         `json:"export"`
	JSON    *string         `json:"json"`
	Request *[]byte         `json:"request"`
	Log     *judgeLog       `json:"log"`
	Want    json.RawMessage `json:"want"`
}

// judgeLog says that the export is to be judged as logs.
type judgeLog struct {
	Checkpoints []string `json:"checkpoints"`
	From        *uint64  `json:"from"`
	To          *uint64  `json:"to"`
	AnyOrder    bool     `json:"anyOrder"`
}

// wanted is a verdict; what is not there, the verdict must not have.
type wanted struct {
	TraceID   string  `json:"traceId,omitempty"`
	SpanID    string  `json:"spanId,omitempty"`
	Reason    string  `json:"reason"`
	KeyID     string  `json:"keyId,omitempty"`
	KeyState  string  `json:"keyState,omitempty"`
	SignedAt  string  `json:"signedAt,omitempty"`
	Log       string  `json:"log,omitempty"`
	LeafIndex *uint64 `json:"leafIndex,omitempty"`
}

func judge(found *results, given world) error {
	found.mostPrinted = 20
	file, err := os.Open(given.Cases)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	keySets := map[string]*verify.KeySet{}
	for number := 1; ; number++ {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		why := judgeLine(line, keySets)
		found.check(why == nil, fmt.Sprintf("line %d", number), why)
	}
}

func judgeLine(line []byte, keySets map[string]*verify.KeySet) error {
	var each judgeCase
	if err := json.Unmarshal(line, &each); err != nil {
		return err
	}
	if each.JWKS != nil {
		return defineKeySet(each, keySets)
	}
	keys := keySets[each.KeySet]
	if keys == nil {
		return fmt.Errorf("no key set %q", each.KeySet)
	}
	if each.Request != nil {
		verdict, err := judgeRequest(keys, *each.Request)
		if err != nil {
			return err
		}
		return compare([]verify.Verdict{verdict}, fmt.Appendf(nil, "[%s]", each.Want))
	}
	export := []byte(nil)
	if each.JSON != nil {
		export = []byte(*each.JSON)
	} else if each.Export != nil {
		export = *each.Export
	}
	verdicts, err := keys.VerifyExport(export, each.Tenant)
	if err == nil && each.Log != nil {
		return compareLog(keys, export, each)
	}
	if isUnreadable := string(each.Want) == `"unreadable"`; isUnreadable != (err != nil) {
		return fmt.Errorf("reading gave %v and %d verdicts, wanted %s", err, len(verdicts), each.Want)
	} else if isUnreadable {
		return nil
	}
	return compare(verdicts, each.Want)
}

// compareLog compares what there is to say of an export that can be read.
func compareLog(keys *verify.KeySet, export []byte, each judgeCase) error {
	options := verify.LogOptions{Tenant: each.Tenant, From: each.Log.From, To: each.Log.To, AnyOrder: each.Log.AnyOrder}
	for i, text := range each.Log.Checkpoints {
		options.Checkpoints = append(options.Checkpoints, verify.KeptCheckpoints{File: fmt.Sprintf("checkpoint-%d", i), Text: text})
	}
	report, err := verify.Log(keys, export, options)
	if isRefused := string(each.Want) == `"refused"`; isRefused != (err != nil) {
		return fmt.Errorf("got %v, wanted %s", err, each.Want)
	} else if isRefused {
		return nil
	}
	got, err := membersOf(report)
	if err != nil {
		return err
	}
	var want any
	if err := json.Unmarshal(each.Want, &want); err != nil {
		return err
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("got %v, wanted %v", got, want)
	}
	return nil
}

// membersOf returns the report as JSON has it, without messages.
func membersOf(report *verify.LogReport) (members any, err error) {
	text, err := json.Marshal(report)
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		return nil, err
	}
	for _, log := range members.(map[string]any)["logs"].([]any) {
		for _, finding := range log.(map[string]any)["findings"].([]any) {
			delete(finding.(map[string]any), "message")
		}
	}
	return members, nil
}

func defineKeySet(each judgeCase, keySets map[string]*verify.KeySet) error {
	keys, err := verify.ParseKeySet([]byte(*each.JWKS))
	if err == nil && each.VKeys != nil {
		keys, err = keys.Trusting(each.VKeys...)
	}
	switch {
	case each.Refused && err == nil:
		return fmt.Errorf("the key set is taken")
	case each.Refused:
		return nil
	case err == nil:
		keySets[each.KeySet] = keys
	}
	return err
}

// judgeRequest takes a VerifySpanRequest apart without decoding span, resource and scope.
func judgeRequest(keys *verify.KeySet, request []byte) (verify.Verdict, error) {
	parts := map[protowire.Number][]byte{}
	for len(request) > 0 {
		number, wireType, n := protowire.ConsumeTag(request)
		if n < 0 || wireType != protowire.BytesType {
			return verify.Verdict{}, fmt.Errorf("the request's frame is malformed")
		}
		content, m := protowire.ConsumeBytes(request[n:])
		if m < 0 {
			return verify.Verdict{}, protowire.ParseError(m)
		}
		parts[number], request = content, request[n+m:]
	}
	var evidence verify.Evidence
	if encoded, ok := parts[5]; ok {
		var signed kmsv1.SignedStatement
		if err := proto.Unmarshal(encoded, &signed); err != nil {
			return verify.Verdict{}, err
		}
		evidence = verify.SignedStatement{Statement: signed.GetStatement(), Signature: signed.GetSignature()}
	}
	if encoded, ok := parts[6]; ok {
		var proof kmsv1.LogProof
		if err := proto.Unmarshal(encoded, &proof); err != nil {
			return verify.Verdict{}, err
		}
		evidence = verify.LogProof{Statement: proof.GetStatement(), Proof: proof.GetProof()}
	}
	return keys.Verify(string(parts[1]), parts[3], parts[4], parts[2], evidence), nil
}

func compare(verdicts []verify.Verdict, want json.RawMessage) error {
	var wants []wanted
	if err := json.Unmarshal(want, &wants); err != nil {
		return err
	}
	got := make([]wanted, len(verdicts))
	for i, v := range verdicts {
		if v.Verified != (v.Reason == verify.OK) {
			return fmt.Errorf("verified is %v for %s", v.Verified, v.Reason)
		}
		got[i] = wanted{TraceID: v.TraceID, SpanID: v.SpanID, Reason: string(v.Reason), KeyID: v.KeyID, KeyState: v.KeyState,
			SignedAt: v.SignedAt, Log: v.Log}
		if v.Log != "" {
			got[i].LeafIndex = &v.LeafIndex
		}
	}
	encodedGot, encodedWant := encodeEach(got), encodeEach(wants)
	if !slices.Equal(encodedGot, encodedWant) {
		return fmt.Errorf("got %s (%s), wanted %s", encodedGot, messagesOf(verdicts), encodedWant)
	}
	return nil
}

func encodeEach(verdicts []wanted) []string {
	encoded := []string{}
	for _, each := range verdicts {
		text, err := json.Marshal(each)
		if err != nil {
			text = []byte(err.Error())
		}
		encoded = append(encoded, string(text))
	}
	return encoded
}

func messagesOf(verdicts []verify.Verdict) (messages []string) {
	for _, each := range verdicts {
		messages = append(messages, each.Message)
	}
	return messages
}
