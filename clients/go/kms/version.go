package kms

// Version of this module; that of the service that it was made with.
const Version = "0.2.0"
