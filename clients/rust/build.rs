//! Makes the stubs from the service's descriptors. The package contains them: neither protoc nor the protos are needed.

use std::error::Error;

use prost::Message;
use prost_types::FileDescriptorSet;

const DESCRIPTORS: &str = "fluo.kms.v1.binpb";

/// Messages with data keys or personal data, whose `Debug` the crate writes itself.
const SECRET: [&str; 4] = [
    "fluo.kms.v1.DecryptDataKeyResponse",
    "fluo.kms.v1.DecryptedField",
    "fluo.kms.v1.GenerateDataKeyResponse",
    "fluo.kms.v1.PlainField",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={DESCRIPTORS}");
    let bytes = std::fs::read(DESCRIPTORS)
        .map_err(|error| format!("{DESCRIPTORS}: {error}; in a checkout, run `npm run gen:clients -- rust`"))?;
    tonic_prost_build::configure()
        .build_server(false)
        .skip_debug(SECRET)
        .compile_fds(FileDescriptorSet::decode(bytes.as_slice())?)?;
    Ok(())
}
