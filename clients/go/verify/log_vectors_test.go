package verify

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
)

func TestLogsHaveTheirFindings(t *testing.T) {
	var cases []struct {
		Name, JWKS, Tenant string
		VKeys              []string
		Export             []byte
		Log                struct {
			Checkpoints []string
			From, To    *uint64
			AnyOrder    bool
		}
		Want any
	}
	readVectors(t, "log/logs.json", &cases)
	if len(cases) == 0 {
		t.Fatal("no vectors")
	}
	for _, each := range cases {
		t.Run(each.Name, func(t *testing.T) {
			keys, err := ParseKeySet([]byte(each.JWKS))
			if err == nil && each.VKeys != nil {
				keys, err = keys.Trusting(each.VKeys...)
			}
			if err != nil {
				t.Fatal(err)
			}
			options := LogOptions{Tenant: each.Tenant, From: each.Log.From, To: each.Log.To, AnyOrder: each.Log.AnyOrder}
			for i, text := range each.Log.Checkpoints {
				options.Checkpoints = append(options.Checkpoints, KeptCheckpoints{File: fmt.Sprintf("checkpoint-%d", i), Text: text})
			}
			report, err := Log(keys, each.Export, options)
			if _, isError := each.Want.(string); isError {
				if err == nil {
					t.Errorf("%+v, wanted %s", report, each.Want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := membersOf(t, report); !reflect.DeepEqual(got, each.Want) {
				t.Errorf("%v, wanted %v", got, each.Want)
			}
		})
	}
}

// membersOf returns the report as JSON has it, without messages.
func membersOf(t *testing.T, report *LogReport) (members map[string]any) {
	t.Helper()
	text, err := json.Marshal(report)
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range members["logs"].([]any) {
		for _, finding := range log.(map[string]any)["findings"].([]any) {
			delete(finding.(map[string]any), "message")
		}
	}
	return members
}
