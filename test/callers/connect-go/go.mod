module github.com/fluo-dev/fluo-kms/test/callers/connect-go

go 1.26.0

replace (
	github.com/fluo-dev/fluo-kms/clients/go => ../../../clients/go
	github.com/fluo-dev/fluo-kms/clients/go/verify => ../../../clients/go/verify
)

require (
	connectrpc.com/connect v1.21.1
	github.com/fluo-dev/fluo-kms/clients/go v0.2.0
	google.golang.org/protobuf v1.36.12
)

require (
	golang.org/x/net v0.60.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261110000943-09e21b237f2c // indirect
	google.golang.org/grpc v1.85.0 // indirect
)
