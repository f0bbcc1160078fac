//! The channel against a server that answers as each test says.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fluo_kms::KmsChannel;
use fluo_kms::tonic::codegen::Bytes;
use fluo_kms::tonic::codegen::http::{HeaderMap, Response};
use fluo_kms::tonic::transport::Endpoint;
use fluo_kms::tonic::{Code, Request};
use fluo_kms::v1::kms_service_client::KmsServiceClient;
use fluo_kms::v1::{RotateRequest, SignSpansRequest, StatusRequest};
use tokio::net::TcpListener;

/// How the server answers one call.
#[derive(Clone, Copy)]
enum Answer {
    /// A status in the head, with a pushback if there is one.
    Status(Code, Option<&'static str>),
    /// An empty message.
    Message,
    /// A message of more than 4 MiB.
    TooLarge,
    /// A head, and a status behind it.
    LateStatus(Code),
    /// Nothing.
    Silence,
    /// A head, and nothing behind it.
    Hang,
    /// The end of the connection.
    Lost,
}

#[derive(Clone, Default)]
struct Seen {
    /// The header `grpc-timeout` of each call.
    timeouts: Arc<Mutex<Vec<String>>>,
}

impl Seen {
    fn calls(&self) -> usize {
        self.timeouts.lock().unwrap().len()
    }
}

/// Answers call after call, and the last answer again and again.
async fn server(answers: &[Answer]) -> (KmsServiceClient<KmsChannel>, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let answers = Arc::new(Mutex::new(VecDeque::from(answers.to_vec())));
    tokio::spawn(serve(listener, answers, seen.clone()));
    let channel = KmsChannel::new(Endpoint::from_shared(url).unwrap());
    (KmsServiceClient::new(channel), seen)
}

async fn serve(listener: TcpListener, answers: Arc<Mutex<VecDeque<Answer>>>, seen: Seen) {
    let mut kept = Vec::new();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let mut connection = h2::server::handshake(socket).await.unwrap();
        while let Some(call) = connection.accept().await {
            let Ok((request, mut respond)) = call else { break };
            let timeout = request.headers().get("grpc-timeout");
            let timeout = timeout.map_or("none", |value| value.to_str().unwrap());
            seen.timeouts.lock().unwrap().push(timeout.to_owned());
            let answer = {
                let mut answers = answers.lock().unwrap();
                if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }
            };
            let head = || Response::builder().header("content-type", "application/grpc");
            let trailers = |code: Code| HeaderMap::from_iter([("grpc-status".parse().unwrap(), (code as u16).into())]);
            match answer {
                Answer::Status(code, pushback) => {
                    let mut head = head().header("grpc-status", code as u16);
                    if let Some(value) = pushback {
                        head = head.header("grpc-retry-pushback-ms", value);
                    }
                    respond.send_response(head.body(()).unwrap(), true).unwrap();
                }
                Answer::Message => {
                    let mut body = respond.send_response(head().body(()).unwrap(), false).unwrap();
                    body.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
                    body.send_trailers(trailers(Code::Ok)).unwrap();
                }
                Answer::TooLarge => {
                    let mut body = respond.send_response(head().body(()).unwrap(), false).unwrap();
                    body.send_data(Bytes::from(vec![0; 5 << 20]), true).unwrap();
                }
                Answer::Lost => break,
                Answer::LateStatus(code) => {
                    let mut body = respond.send_response(head().body(()).unwrap(), false).unwrap();
                    body.send_trailers(trailers(code)).unwrap();
                }
                Answer::Hang => {
                    let body = respond.send_response(head().body(()).unwrap(), false).unwrap();
                    kept.push((None, Some(body)));
                }
                Answer::Silence => kept.push((Some(respond), None)),
            }
        }
    }
}

const UNAVAILABLE: Answer = Answer::Status(Code::Unavailable, None);

#[tokio::test]
async fn repeats_a_call_until_it_is_answered() {
    let (mut kms, seen) = server(&[UNAVAILABLE, UNAVAILABLE, Answer::Message]).await;
    kms.status(StatusRequest::default()).await.unwrap();
    assert_eq!(seen.calls(), 3);
}

#[tokio::test]
async fn gives_up_after_four_attempts() {
    let (mut kms, seen) = server(&[UNAVAILABLE]).await;
    let error = kms.status(StatusRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), seen.calls()), (Code::Unavailable, 4));
}

#[tokio::test]
async fn waits_as_long_as_the_server_says() {
    let pushback = Answer::Status(Code::ResourceExhausted, Some("1500"));
    let (mut kms, seen) = server(&[pushback, Answer::Message]).await;
    let began = Instant::now();
    kms.status(StatusRequest::default()).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert_eq!(seen.calls(), 2);
}

#[tokio::test]
async fn does_not_repeat_what_the_server_says_never_to() {
    let (mut kms, seen) = server(&[Answer::Status(Code::Unavailable, Some("-1"))]).await;
    let error = kms.status(StatusRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), seen.calls()), (Code::Unavailable, 1));
}

#[tokio::test]
async fn does_not_repeat_a_rotation() {
    let (mut kms, seen) = server(&[UNAVAILABLE]).await;
    let error = kms.rotate(RotateRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), seen.calls()), (Code::Unavailable, 1));
}

#[tokio::test]
async fn does_not_repeat_a_call_that_was_answered_in_part() {
    let (mut kms, seen) = server(&[Answer::LateStatus(Code::Unavailable)]).await;
    let error = kms.status(StatusRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), seen.calls()), (Code::Unavailable, 1));
}

#[tokio::test]
async fn does_not_repeat_a_call_whose_answer_is_too_large() {
    let (mut kms, seen) = server(&[Answer::TooLarge]).await;
    let error = kms.status(StatusRequest::default()).await.unwrap_err();
    assert_eq!((error.code(), seen.calls()), (Code::ResourceExhausted, 1), "{error}");
}

#[tokio::test]
async fn repeats_a_call_whose_connection_is_lost() {
    let (mut kms, seen) = server(&[Answer::Lost, Answer::Message]).await;
    kms.status(StatusRequest::default()).await.unwrap();
    assert_eq!(seen.calls(), 2);
}

#[tokio::test]
async fn gives_a_call_ten_seconds_unless_it_names_a_time() {
    let (mut kms, seen) = server(&[Answer::Message]).await;
    kms.status(StatusRequest::default()).await.unwrap();
    let mut request = Request::new(StatusRequest::default());
    request.set_timeout(Duration::from_secs(70));
    kms.status(request).await.unwrap();
    let timeouts = seen.timeouts.lock().unwrap().clone();
    let millis: Vec<u64> = timeouts.iter().map(|text| text.trim_end_matches('m').parse().unwrap()).collect();
    assert!(millis[0] <= 10_000 && (10_001..=70_000).contains(&millis[1]), "{timeouts:?}");
}

#[tokio::test]
async fn ends_at_the_deadline_a_call_that_is_not_answered_or_half_or_later() {
    for answer in [Answer::Silence, Answer::Hang, Answer::Status(Code::Unavailable, Some("600000"))] {
        let (mut kms, _) = server(&[answer]).await;
        let mut request = Request::new(StatusRequest::default());
        request.set_timeout(Duration::from_millis(300));
        let error = kms.status(request).await.unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    }
}

fn with_token() -> Request<StatusRequest> {
    let mut request = Request::new(StatusRequest::default());
    request.metadata_mut().insert("authorization", "Bearer token".parse().unwrap());
    request
}

fn streamed_with_token() -> Request<tokio_stream::Empty<SignSpansRequest>> {
    let mut request = Request::new(tokio_stream::empty());
    request.metadata_mut().insert("authorization", "Bearer token".parse().unwrap());
    request
}

#[tokio::test]
async fn sends_a_token_in_clear_to_a_loopback_address() {
    let (mut kms, seen) = server(&[Answer::Message]).await;
    kms.status(with_token()).await.unwrap();
    assert_eq!(seen.calls(), 1);
}

#[tokio::test]
async fn sends_no_token_in_clear_elsewhere() {
    for url in ["http://192.0.2.1:9000", "http://[2001:db8::1]:9000", "http://localhost.example:9000"] {
        let mut kms = KmsServiceClient::new(KmsChannel::new(Endpoint::from_static(url)));
        let error = kms.status(with_token()).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{url}");
        let error = kms.sign_spans(streamed_with_token()).await.unwrap_err();
        assert_eq!(error.code(), Code::FailedPrecondition, "{url}");
    }
}

#[tokio::test]
async fn says_that_a_service_that_is_not_there_is_unavailable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let mut kms = KmsServiceClient::new(KmsChannel::new(endpoint));
    let error = kms.status(StatusRequest::default()).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}
