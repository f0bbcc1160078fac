package kms_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
	"github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func ExampleDial() {
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	answer, err := client.Status(context.Background(), &kmsv1.StatusRequest{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.GetStatus())
}

func ExampleDial_tls() {
	client, err := kms.Dial("kms.example.com:9000",
		kms.WithCAFile("ca.pem"),
		kms.WithClientCertificate("client.pem", "client.key"))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleWithToken() {
	client, err := kms.Dial("kms.example.com:9000", kms.WithToken(func(context.Context) (string, error) {
		// It is asked for each call; a file that is renewed is read anew.
		token, err := os.ReadFile("/var/run/secrets/kms/token")
		return strings.TrimSpace(string(token)), err
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleDetailsOf() {
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = client.GenerateDataKey(context.Background(), &kmsv1.GenerateDataKeyRequest{TenantId: "Acme Ltd"})
	if status.Code(err) == codes.InvalidArgument {
		for _, violation := range kms.DetailsOf(err).Fields {
			fmt.Println(violation.Field, violation.Description)
		}
	}
}

func ExampleClient_Keys() {
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	for key, err := range client.Keys(context.Background(), &kmsv1.ListKeysRequest{TenantId: "acme"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(key.GetVersion().GetKeyId(), key.GetState())
	}
}

func ExampleEncryptRecord() {
	type Customer struct {
		ID    string
		Email string `kms:"email"`
	}
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	ctx, table := context.Background(), map[string]string{"table": "customers"}
	stored, err := kms.EncryptRecord(ctx, client, "acme", Customer{ID: "7", Email: "ann@example.com"}, table)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stored.ID, stored.Email) // 7 fk1.…
	read, err := kms.DecryptRecord(ctx, client, "acme", stored, table)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.Email)
}

// What OpenStream writes counts for nothing until it returns nil. Here it goes to a file that is given its name then;
// where it goes to a consumer, such as an HTTP response, that must be able to withdraw all of it.
func ExampleOpenStream() {
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	restored, err := os.CreateTemp(".", "restored-*")
	if err != nil {
		log.Fatal(err)
	}
	// Removes what was not authentic to its end. log.Fatal would leave it: it runs nothing that was deferred.
	defer os.Remove(restored.Name())
	err = kms.OpenStream(context.Background(), client, "acme", bufio.NewReader(os.Stdin), restored, nil)
	err = errors.Join(err, restored.Close()) // a full disk may show here first
	switch {
	case errors.Is(err, kms.ErrNotAuthentic):
		log.Print("the input was altered or cut: all that was written is void")
	case err != nil:
		log.Print(err)
	default:
		if err := os.Rename(restored.Name(), "restored"); err != nil {
			log.Print(err)
		}
	}
}

func ExampleSpanSigner() {
	client, err := kms.Dial("localhost:9000", kms.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	signer := kms.NewSpanSigner(client, "acme")
	defer signer.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	spans := &kmsv1.ResourceSpans{} // from wherever they come
	signing, err := signer.Sign(ctx, spans)
	if err != nil {
		log.Fatal(err)
	}
	results, err := signing.Wait(ctx)
	if err != nil {
		log.Fatal(err)
	}
	at := 0
	for _, scope := range spans.GetScopeSpans() {
		for _, span := range scope.GetSpans() {
			if refused := results[at].Err; refused != nil {
				log.Print(refused)
			}
			span.Attributes = append(span.Attributes, results[at].Attributes...)
			at++
		}
	}
}
