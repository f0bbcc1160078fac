#![doc = include_str!("../README.md")]

mod attempts;
mod channel;
mod timeout_header;
pub mod v1;

pub use channel::KmsChannel;
pub use tonic;
