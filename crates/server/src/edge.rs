//! The HTTP edge: how many connections there are, and how long one may take to say what it wants.
//!
//! A client holds at most its share of the connections; where all are taken, the one that has been idle longest gives way
//! ([`kernel::admission`]), and only when none is idle is a new one answered 503 and closed. A connection whose first request
//! does not come in time is closed, and so is one that is idle or slow for longer after that; a body that stalls fails, and so
//! does an answer that nobody reads. At the stop, what is under way may finish.

use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::response::Response;
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kernel::Kernel;
use kernel::admission::{Admission, Bounds, Place};
use kernel::metric::Counter;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tower_http::timeout::TimeoutBody;

use crate::stall::Stall;

/// How long a client may leave an answer unread, before it loses the connection.
const UNREAD: Duration = Duration::from_secs(60);
/// Between two pieces of a body.
const STALL: Duration = Duration::from_secs(30);
/// Between two looks at whether everybody is gone, at the stop.
const LEAVING: Duration = Duration::from_millis(20);
/// After an error of `accept` that is not the client's doing, for instance no more files.
const PAUSE: Duration = Duration::from_secs(1);
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nRetry-After: 5\r\n\
    Connection: close\r\nContent-Length: 59\r\n\r\nthe server has as many connections as it takes; come again\n";

/// One client has at most one of so many parts of the connections.
const SHARES: usize = 8;
/// And yet so many, where few are allowed.
const LEAST_SHARE: usize = 64;

/// What clients may take.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connections: u32,
    /// Proxies, which speak for many clients.
    pub proxies: Vec<IpAddr>,
    /// For the whole head of the first request.
    pub head: Duration,
    /// For the head of each request after that, counted from the answer before: clients keep connections for a while.
    pub idle: Duration,
    /// Requests that are under way at the end may finish for this long.
    pub grace: Duration,
}

/// Serves until the kernel stops.
pub async fn serve(kernel: &Kernel, listener: TcpListener, router: Router, limits: Limits) {
    let total = limits.connections as usize;
    let admission = Admission::new(Bounds {
        total,
        share: (total / SHARES).max(LEAST_SHARE).min(total),
        exempt: limits.proxies.clone(),
    });
    let open = Arc::new(kernel.metrics.gauge("mainstay_http_connections", &[]));
    let most = kernel.metrics.gauge("mainstay_http_connections_max", &[]);
    most.set(i64::from(limits.connections));
    let refused = kernel
        .metrics
        .counter("mainstay_http_connections_refused_total", &[]);
    let evicted = Arc::new(
        kernel
            .metrics
            .counter("mainstay_http_connections_evicted_total", &[]),
    );
    loop {
        let accepted = tokio::select! {
            () = kernel.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Some(place) = admission.admit(peer.ip()) else {
            refused.add(1);
            refuse(stream);
            continue;
        };
        open.add(1);
        let served = Served {
            peer,
            router: router.clone(),
            work: Arc::new(Work {
                place,
                under_way: AtomicUsize::new(0),
            }),
            evicted: evicted.clone(),
        };
        let (limits, stop, open) = (limits.clone(), kernel.stop.clone(), open.clone());
        kernel::task::spawn(kernel, "http.connection", async move {
            connection(stream, served, limits, stop).await;
            open.add(-1);
        });
    }
    drop(listener);
    let all_gone = async {
        while admission.count() > 0 {
            tokio::time::sleep(LEAVING).await;
        }
    };
    let _ = tokio::time::timeout(limits.grace, all_gone).await;
}

/// One connection: whose, and how much it does.
struct Served {
    peer: SocketAddr,
    router: Router,
    work: Arc<Work>,
    evicted: Arc<Counter>,
}

/// The requests of a connection that are under way. With none it is idle, and may have to give way.
struct Work {
    place: Place,
    under_way: AtomicUsize,
}

impl Work {
    fn begin(self: &Arc<Self>) -> UnderWay {
        if self.under_way.fetch_add(1, Ordering::SeqCst) == 0 {
            self.place.begin();
        }
        UnderWay(self.clone())
    }
}

/// One request, until its answer has been sent or given up.
struct UnderWay(Arc<Work>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.place.end();
        }
    }
}

/// The body of an answer; its request is under way as long as there is some of it.
struct Answering {
    body: Body,
    _request: UnderWay,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn connection(stream: TcpStream, served: Served, limits: Limits, stop: CancellationToken) {
    let peer = served.peer;
    let _ = stream.set_nodelay(true);
    let asked = Arc::new(AtomicBool::new(false));
    let told = asked.clone();
    let (router, work) = (served.router, served.work.clone());
    let service = service_fn(move |request| {
        told.store(true, Ordering::Relaxed);
        answer(router.clone(), peer, work.begin(), request)
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.idle);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Stall::new(stream, UNREAD)), service));
    let mut patience = pin!(tokio::time::sleep(limits.head));
    let (mut is_first, mut is_stopping) = (true, false);
    let ended = loop {
        tokio::select! {
            ended = connection.as_mut() => break ended,
            () = patience.as_mut(), if is_first => {
                is_first = false;
                if !asked.load(Ordering::Relaxed) {
                    return;
                }
            }
            () = served.work.place.evicted() => {
                served.evicted.add(1);
                return;
            }
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a connection ended");
    }
}

async fn answer(
    router: Router,
    peer: SocketAddr,
    under_way: UnderWay,
    mut request: hyper::Request<Incoming>,
) -> Result<Response<Answering>, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    let request: Request = request.map(|body| Body::new(TimeoutBody::new(STALL, body)));
    let response = router.oneshot(request).await?;
    Ok(response.map(|body| Answering {
        body,
        _request: under_way,
    }))
}

/// As much as fits without waiting: who is refused costs nothing.
fn refuse(stream: TcpStream) {
    if let Ok(mut stream) = stream.into_std() {
        let _ = stream.write_all(FULL);
    }
}

async fn pause_after(error: &std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    ) {
        tracing::error!(%error, "no connection can be taken");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Lets this process have as many files and connections as the system allows; shells begin with 1024.
pub fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: now.maximum,
        maximum: now.maximum,
    };
    if now.current != now.maximum
        && let Err(error) = setrlimit(Resource::Nofile, wanted)
    {
        tracing::debug!(%error, "the number of open files stays as it is");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn start(bed: &testkit::Bed, connections: u32, head: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route(
            "/",
            axum::routing::get(|ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() }),
        );
        // An answer that begins and does not end.
        let endless = || async {
            let first = futures_util::stream::iter([Ok::<_, Infallible>("begun\n")]);
            Body::from_stream(futures_util::StreamExt::chain(
                first,
                futures_util::stream::pending(),
            ))
        };
        let router = router.route("/slow", axum::routing::get(endless));
        let (kernel, limits) = (
            bed.kernel().clone(),
            Limits {
                connections,
                proxies: Vec::new(),
                head,
                idle: PATIENCE,
                grace: Duration::from_secs(1),
            },
        );
        kernel::task::spawn(&kernel.clone(), "test.edge", async move {
            serve(&kernel, listener, router, limits).await;
        });
        address
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        // A reset is an end, too.
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text))
            .await
            .unwrap();
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn half_a_head_is_not_waited_for() {
        let bed = testkit::Bed::sqlite(&[]).await;
        let address = start(&bed, 1000, Duration::from_millis(200)).await;
        let mut slow = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
            slow.push(stream);
        }
        let started = Instant::now();
        for stream in &mut slow {
            rest(stream).await;
        }
        assert!(started.elapsed() < PATIENCE);
        let mut stream = TcpStream::connect(address).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .unwrap();
        let text = rest(&mut stream).await;
        assert!(text.starts_with("HTTP/1.1 200") && text.ends_with(&own), "{text}");
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream
            .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await;
        rest(&mut stream).await
    }

    #[tokio::test]
    async fn idle_connections_give_way_to_who_asks() {
        let bed = testkit::Bed::sqlite(&[]).await;
        let address = start(&bed, 40, PATIENCE).await;
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        for _ in 0..5 {
            let text = ask(address).await;
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
        rest(&mut silent[0]).await;
        let metrics = bed.kernel().metrics.render();
        let evicted = metrics
            .lines()
            .find(|line| line.starts_with("mainstay_http_connections_evicted_total"));
        assert!(evicted.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
    }

    #[tokio::test]
    async fn connections_that_work_are_bounded_and_counted() {
        let bed = testkit::Bed::sqlite(&[]).await;
        let address = start(&bed, 2, PATIENCE).await;
        let mut held = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            stream.readable().await.unwrap();
            held.push(stream);
        }
        let text = rest(&mut TcpStream::connect(address).await.unwrap()).await;
        assert!(
            text.starts_with("HTTP/1.1 503") && text.ends_with("again\n"),
            "{text}"
        );
        let metrics = bed.kernel().metrics.render();
        for line in [
            "mainstay_http_connections 2",
            "mainstay_http_connections_refused_total 1",
        ] {
            assert!(metrics.contains(line), "{metrics}");
        }
        let length = FULL.len() - FULL.windows(4).position(|four| four == b"\r\n\r\n").unwrap() - 4;
        assert_eq!(length, 59);
    }
}
