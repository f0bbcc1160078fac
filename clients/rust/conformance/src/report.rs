//! Counts checks and prints the ones that fail.

use std::fmt::Debug;

use fluo_kms::tonic::{Code, Response, Status};

#[derive(Default)]
pub struct Report {
    passed: u32,
    failed: u32,
}

impl Report {
    pub fn check<T: PartialEq + Debug>(&mut self, what: &str, actual: &T, expected: &T) {
        if actual == expected {
            self.passed += 1;
        } else {
            self.fail(what, &format!("{actual:?}, not {expected:?}"));
        }
    }

    /// Expects a call to end with a status, and returns it.
    pub fn refused<T>(&mut self, what: &str, answer: Result<Response<T>, Status>, code: Code) -> Option<Status> {
        match answer {
            Ok(_) => {
                self.fail(what, "answered");
                None
            }
            Err(status) => {
                self.check(what, &status.code(), &code);
                Some(status)
            }
        }
    }

    /// Expects a call to be answered.
    pub fn answered<T>(&mut self, what: &str, answer: Result<Response<T>, Status>) {
        match answer {
            Ok(_) => self.passed += 1,
            Err(status) => self.fail(what, &status.to_string()),
        }
    }

    pub fn fail(&mut self, what: &str, why: &str) {
        self.failed += 1;
        println!("FAIL {what}: {why}");
    }

    /// Prints the sum, and returns whether nothing failed.
    pub fn finish(&self) -> bool {
        println!("{} passed, {} failed", self.passed, self.failed);
        self.failed == 0
    }
}
