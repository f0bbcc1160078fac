//! Rules of repeating: which calls, after which answers, and when. Other languages read them from a gRPC service config.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tonic::Code;
use tonic::codegen::http::HeaderMap;

/// Most attempts at a call, the first included.
pub(crate) const MAX_ATTEMPTS: u32 = 4;

const FIRST_WAIT: Duration = Duration::from_millis(100);
const MAX_WAIT: Duration = Duration::from_secs(2);
const PUSHBACK: &str = "grpc-retry-pushback-ms";

/// Treatment of a call by the channel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A unary call that may be repeated.
    Repeat,
    /// A unary call that has one attempt.
    Once,
    /// A stream, or a call of another service.
    Untouched,
}

/// Returns the rule of a call by its path, such as `/fluo.kms.v1.KmsService/Status`.
pub(crate) fn rule_of(path: &str) -> Rule {
    let Some(method) = path.strip_prefix("/fluo.kms.v1.") else {
        return Rule::Untouched;
    };
    match method {
        "KmsService/SignSpans" => Rule::Untouched,
        "KmsService/GenerateDataKey"
        | "KmsService/DecryptDataKey"
        | "KmsService/EncryptPii"
        | "KmsService/DecryptPii"
        | "KmsService/ReEncryptPii"
        | "KmsService/SignSpan"
        | "KmsService/VerifySpan"
        | "KmsService/GetPublicKeys"
        | "KmsService/Status"
        | "LogService/GetCheckpoint"
        | "LogService/GetInclusionProof"
        | "LogService/GetConsistencyProof"
        | "KeyAdminService/ListKeys"
        | "KeyAdminService/ListAuditEvents" => Rule::Repeat,
        // A repeated Rotate would make another version, and a change of a key is left to the caller to repeat.
        _ => Rule::Once,
    }
}

/// Returns how long to wait before the attempt that follows `failed` failed ones, or `None` if there is none.
pub(crate) fn wait_after(code: Code, answer: &HeaderMap, failed: u32) -> Option<Duration> {
    if failed >= MAX_ATTEMPTS || !matches!(code, Code::Unavailable | Code::ResourceExhausted) {
        return None;
    }
    match answer.get(PUSHBACK) {
        // A negative number, or none at all, is the server's word for "never".
        Some(value) => value.to_str().ok()?.parse().ok().map(Duration::from_millis),
        None => Some(jittered(FIRST_WAIT.saturating_mul(1 << (failed - 1)).min(MAX_WAIT))),
    }
}

/// Spreads clients that failed together: a fifth less to a fifth more.
fn jittered(wait: Duration) -> Duration {
    let per_mille = RandomState::new().build_hasher().finish() % 401;
    wait * (800 + u32::try_from(per_mille).expect("below 401")) / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::codegen::http::HeaderValue;

    fn pushback(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(PUSHBACK.parse().unwrap(), HeaderValue::from_static(value))])
    }

    #[test]
    fn repeats_reading_calls_and_no_changing_ones() {
        assert_eq!(rule_of("/fluo.kms.v1.KmsService/Status"), Rule::Repeat);
        assert_eq!(rule_of("/fluo.kms.v1.LogService/GetCheckpoint"), Rule::Repeat);
        let once = ["KmsService/Rotate", "KmsService/Validate", "KeyAdminService/DisableKey"];
        for method in once {
            assert_eq!(rule_of(&format!("/fluo.kms.v1.{method}")), Rule::Once, "{method}");
        }
        assert_eq!(rule_of("/fluo.kms.v1.KmsService/SignSpans"), Rule::Untouched);
        assert_eq!(rule_of("/grpc.health.v1.Health/Watch"), Rule::Untouched);
    }

    #[test]
    fn waits_twice_as_long_each_time_for_three_times() {
        for (failed, millis) in [(1, 100), (2, 200), (3, 400)] {
            let wait = wait_after(Code::Unavailable, &HeaderMap::new(), failed).unwrap();
            let spread = Duration::from_millis(millis * 8 / 10)..=Duration::from_millis(millis * 12 / 10);
            assert!(spread.contains(&wait), "{wait:?}");
        }
        assert_eq!(wait_after(Code::Unavailable, &HeaderMap::new(), MAX_ATTEMPTS), None);
    }

    #[test]
    fn obeys_the_servers_pushback() {
        let wait = |value| wait_after(Code::ResourceExhausted, &pushback(value), 1);
        assert_eq!(wait("1500"), Some(Duration::from_millis(1500)));
        assert_eq!(wait("0"), Some(Duration::ZERO));
        assert_eq!(wait("-1"), None);
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn does_not_repeat_after_other_answers() {
        for code in [Code::InvalidArgument, Code::Internal, Code::Unauthenticated] {
            assert_eq!(wait_after(code, &pushback("1"), 1), None);
        }
    }
}
