module github.com/fluo-dev/fluo-kms/clients/go/verify

go 1.26.0

require (
	github.com/gowebpki/jcs v1.0.1
	golang.org/x/mod v0.43.0
)
