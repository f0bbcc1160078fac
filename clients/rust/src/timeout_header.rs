//! The header `grpc-timeout`, in which a call says how long its caller waits: at most 8 digits and a unit.

use std::time::Duration;

use tonic::codegen::http::{HeaderMap, HeaderValue};

const NAME: &str = "grpc-timeout";
const MAX_NUMBER: u128 = 99_999_999;

/// Returns the time of a call, or `None` if it names none that can be read.
pub(crate) fn read(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(NAME)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Writes the time that is left, rounded up to a millisecond: the service must not give up before its caller.
pub(crate) fn write(headers: &mut HeaderMap, left: Duration) {
    let millis = left.as_nanos().div_ceil(1_000_000);
    let text =
        if millis <= MAX_NUMBER { format!("{millis}m") } else { format!("{}S", millis.div_ceil(1000).min(MAX_NUMBER)) };
    headers.insert(NAME, HeaderValue::try_from(text).expect("digits and a letter"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(NAME, HeaderValue::try_from(text).unwrap());
        read(&headers)
    }

    #[test]
    fn reads_each_unit() {
        let seconds = [("1H", 3600), ("2M", 120), ("10S", 10), ("5000m", 5), ("3000000u", 3)];
        for (text, expected) in seconds {
            assert_eq!(read_text(text), Some(Duration::from_secs(expected)), "{text}");
        }
        assert_eq!(read_text("7n"), Some(Duration::from_nanos(7)));
    }

    #[test]
    fn reads_no_other_text() {
        for text in ["", "S", "1", "1X", "+1S", "123456789S", "1 S", "ü"] {
            assert_eq!(read_text(text), None, "{text}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let times = [
            (Duration::from_nanos(1), Duration::from_millis(1)),
            (Duration::from_secs(10), Duration::from_secs(10)),
            (Duration::from_secs(200_000), Duration::from_secs(200_000)),
            (Duration::MAX, Duration::from_secs(99_999_999)),
        ];
        for (time, expected) in times {
            let mut headers = HeaderMap::new();
            write(&mut headers, time);
            assert_eq!(read(&headers), Some(expected));
        }
    }
}
