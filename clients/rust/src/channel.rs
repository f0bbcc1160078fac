//! The channel under the clients. It does what gRPC's own libraries do by a service config, which tonic does not read.

use std::error::Error;
use std::future::{Future, poll_fn};
use std::iter::successors;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use tokio::time::{Instant, sleep, timeout_at};
use tonic::body::Body;
use tonic::codegen::http::{HeaderMap, Request, Response, Uri};
use tonic::codegen::{Bytes, Service};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::attempts::{Rule, rule_of, wait_after};
use crate::timeout_header;

/// Largest message of the service, in either direction, in bytes.
const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// Length of what stands before a message.
const MESSAGE_HEAD_BYTES: usize = 5;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// A connection to the service, with a deadline for each unary call and a few attempts at those that may be repeated.
///
/// - A unary call that has no timeout gets one of 10 s, for all its attempts. [`tonic::Request::set_timeout`] sets
///   another. A call that is late ends with [`Code::DeadlineExceeded`]. The stream `SignSpans` has no deadline.
/// - A unary call that reads, encrypts, decrypts or signs one span has up to 4 attempts if the service answers
///   [`Code::Unavailable`] or [`Code::ResourceExhausted`], about 0.1 s, 0.2 s and 0.4 s apart. The
///   service's `grpc-retry-pushback-ms` wins. A lost connection is [`Code::Unavailable`]. Calls that change a key,
///   `Rotate`, `Validate` and `VerifyAudit` have one attempt.
/// - A call with an `authorization` is refused, and not sent, if the endpoint is `http` and no loopback address.
/// - The connection is kept alive while calls are open: a ping each 30 s, to be answered within 20 s.
///
/// A clone shares the connection.
///
/// ```
/// use fluo_kms::KmsChannel;
/// use fluo_kms::tonic::transport::Endpoint;
/// use fluo_kms::v1::kms_service_client::KmsServiceClient;
///
/// # #[tokio::main] async fn main() {
/// let kms = KmsServiceClient::new(KmsChannel::new(Endpoint::from_static("http://localhost:9000")));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KmsChannel {
    channel: Channel,
    /// Whether others on the network can read what is sent.
    in_clear: bool,
}

impl KmsChannel {
    /// Returns a channel that connects with its first call, and again when the connection is lost.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        let in_clear = endpoint.uri().scheme_str() != Some("https") && !is_loopback(endpoint.uri());
        let channel = endpoint
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(false)
            .connect_lazy();
        Self { channel, in_clear }
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Service<Request<Body>> for KmsChannel {
    type Response = Response<Body>;
    type Error = Status;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Status>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        // Each attempt waits for the connection by itself.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let channel = self.channel.clone();
        let in_clear = self.in_clear;
        Box::pin(async move {
            if in_clear && request.headers().contains_key("authorization") {
                return Err(Status::failed_precondition(
                    "the token would cross the network unencrypted: use https, or a loopback address",
                ));
            }
            match rule_of(request.uri().path()) {
                Rule::Untouched => attempt(channel, request).await,
                Rule::Once => unary(channel, request, false).await,
                Rule::Repeat => unary(channel, request, true).await,
            }
        })
    }
}

async fn attempt(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>, Status> {
    poll_fn(|cx| channel.poll_ready(cx)).await.map_err(|error| from_transport(error.into()))?;
    channel.call(request).await.map_err(|error| from_transport(error.into()))
}

/// Calls a lost connection what gRPC calls it; tonic says [`Code::Unknown`].
fn from_transport(error: Box<dyn Error + Send + Sync>) -> Status {
    let cause = successors(Some(error.as_ref() as &dyn Error), |error| (*error).source()).last();
    let message = cause.map(ToString::to_string).unwrap_or_default();
    let status = Status::from_error(error);
    if status.code() == Code::Unknown { Status::unavailable(message) } else { status }
}

async fn unary(channel: Channel, request: Request<Body>, repeat: bool) -> Result<Response<Body>, Status> {
    let late = || Status::deadline_exceeded("the deadline of the call passed");
    let timeout = timeout_header::read(request.headers()).unwrap_or(DEFAULT_TIMEOUT);
    let deadline = Instant::now() + timeout;
    match timeout_at(deadline, attempts(channel, request, repeat, deadline)).await {
        // The channel has a clock of its own, and calls its end a cancellation.
        Ok(Err(status)) if status.code() == Code::Cancelled && Instant::now() >= deadline => Err(late()),
        Ok(answer) => answer,
        Err(_) => Err(late()),
    }
}

async fn attempts(
    channel: Channel,
    request: Request<Body>,
    repeat: bool,
    deadline: Instant,
) -> Result<Response<Body>, Status> {
    let (mut head, body) = request.into_parts();
    let message = collected(body).await?;
    let mut failed = 0;
    loop {
        timeout_header::write(&mut head.headers, deadline - Instant::now());
        let body = Body::new(Full::new(message.clone()));
        let answer = attempt(channel.clone(), Request::from_parts(head.clone(), body)).await;
        failed += 1;
        let wait = match &answer {
            _ if !repeat => None,
            Err(status) => wait_after(status.code(), &HeaderMap::new(), failed),
            // A status in the head is that of a call of which nothing else was answered: only such a call is repeated.
            Ok(response) => Status::from_header_map(response.headers())
                .and_then(|status| wait_after(status.code(), response.headers(), failed)),
        };
        match wait {
            Some(wait) => sleep(wait).await,
            None => return whole(answer?).await,
        }
    }
}

async fn collected(body: Body) -> Result<Bytes, Status> {
    Ok(body.collect().await?.to_bytes())
}

/// Reads the body of an answer, so that the call's deadline covers it.
async fn whole(answer: Response<Body>) -> Result<Response<Body>, Status> {
    let (head, body) = answer.into_parts();
    let limited = Limited::new(body, MESSAGE_HEAD_BYTES + MAX_MESSAGE_BYTES);
    let read = limited.collect().await.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            return Status::resource_exhausted("the answer is larger than 4 MiB");
        }
        from_transport(error)
    })?;
    Ok(Response::from_parts(head, Body::new(read)))
}
