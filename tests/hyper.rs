//! hyper on the loop: its client and server, and the server of this crate.

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::io::{AsyncRead, AsyncWrite};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::rt::Timer as _;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use windlass::hyper::{Executor, Io, Options, Server, Timer, serve, serve_with};
use windlass::net::{TcpListener, TcpStream};
use windlass::time::sleep;
use windlass::{Loop, block_on, spawn};

use common::{HOUR, bounded, iterations, ms, until, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

type Answer = Result<Response<Full<Bytes>>, Infallible>;

/// Answers by path.
async fn answer(request: Request<Incoming>) -> Answer {
    let text = match request.uri().path() {
        "/boom" => panic!("a handler has an accident"),
        "/slow" => {
            sleep(HOUR).await;
            "slow".to_owned()
        }
        "/never" => pending().await,
        "/echo" => {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            String::from_utf8(body.to_vec()).unwrap()
        }
        path => format!("this is {path}"),
    };
    Ok(Response::new(Full::new(Bytes::from(text))))
}

/// A server of [`answer`] on a port of its own.
fn server(options: Options) -> (Server, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (serve(listener, service_fn(answer), options), address)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

fn get(path: &str) -> Request<Empty<Bytes>> {
    Request::get(path).header("host", "here").body(Empty::new()).unwrap()
}

/// A connection of hyper's HTTP/1 client.
async fn client(address: SocketAddr) -> http1::SendRequest<Empty<Bytes>> {
    let (sender, connection) = http1::handshake(Io::new(connect(address).await)).await.unwrap();
    windlass::spawn_detached(async move { connection.await.unwrap_or_default() });
    sender
}

/// A connection of hyper's HTTP/2 client.
async fn client2(address: SocketAddr) -> http2::SendRequest<Empty<Bytes>> {
    let io = Io::new(connect(address).await);
    let (sender, connection) = http2::handshake(Executor, io).await.unwrap();
    windlass::spawn_detached(async move { connection.await.unwrap_or_default() });
    sender
}

async fn text(response: Response<Incoming>) -> String {
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

/// Reads to the end, which a reset is too.
async fn read_to_end(stream: &TcpStream) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(all).unwrap()
}

/// Ends a server whose connections end by themselves.
async fn end(server: Server) {
    assert_eq!(server.shutdown(HOUR).await, 0);
    assert_eq!(server.connections(), 0);
    assert!(server.is_closing());
}

#[test]
fn both_versions_are_served_on_one_port_and_a_connection_answers_many_requests() {
    bounded(|| {
        block_on(async {
            let (server, address) = server(Options::new());
            let (mut one, mut two) = (client(address).await, client2(address).await);
            for path in ["/a", "/b"] {
                let expected = format!("this is {path}");
                assert_eq!(text(one.send_request(get(path)).await.unwrap()).await, expected);
                assert_eq!(text(two.send_request(get(path)).await.unwrap()).await, expected);
                one.ready().await.unwrap();
            }
            assert_eq!(server.connections(), 2);
            end(server).await;
        });
    });
}

#[test]
fn a_body_larger_than_the_buffers_comes_back_whole() {
    bounded(|| {
        block_on(async {
            let (server, address) = server(Options::new());
            let io = Io::new(connect(address).await);
            let (mut sender, connection) = http1::handshake(io).await.unwrap();
            windlass::spawn_detached(async move { connection.await.unwrap_or_default() });
            let body = "0123456789".repeat(300_000);
            let request = Request::post("/echo").header("host", "here");
            let request = request.body(Full::new(Bytes::from(body.clone()))).unwrap();
            assert!(text(sender.send_request(request).await.unwrap()).await == body);
            drop(sender);
            end(server).await;
        });
    });
}

#[test]
fn a_panic_in_a_handler_costs_its_connection_and_nothing_else() {
    bounded(|| {
        block_on(async {
            let (server, address) = server(Options::new());
            let mut other = client(address).await;
            let mut unlucky = client(address).await;
            assert!(unlucky.send_request(get("/boom")).await.is_err());
            assert!(unlucky.ready().await.is_err(), "the connection is gone");
            assert_eq!(text(other.send_request(get("/a")).await.unwrap()).await, "this is /a");
            let mut new = client(address).await;
            assert_eq!(text(new.send_request(get("/b")).await.unwrap()).await, "this is /b");
            drop((other, new));
            end(server).await;
        });
    });
}

#[test]
fn a_panic_over_http2_costs_its_stream_and_nothing_else() {
    bounded(|| {
        block_on(async {
            let (server, address) = server(Options::new());
            let mut client = client2(address).await;
            let other = client.send_request(get("/a"));
            assert!(client.send_request(get("/boom")).await.is_err());
            assert_eq!(text(other.await.unwrap()).await, "this is /a");
            assert_eq!(text(client.send_request(get("/b")).await.unwrap()).await, "this is /b");
            drop(client);
            end(server).await;
        });
    });
}

#[test]
fn a_silent_connection_ends_after_the_idle_limit() {
    virtual_loop().block_on(async {
        let (server, address) = server(Options::new().idle_limit(7 * SECOND));
        let began = windlass::now();
        assert_eq!(read_to_end(&connect(address).await).await, "");
        assert_eq!(windlass::now() - began, 7 * SECOND);
        end(server).await;
    });
}

#[test]
fn a_connection_that_was_answered_ends_after_the_idle_limit() {
    virtual_loop().block_on(async {
        let (server, address) = server(Options::new());
        let stream = connect(address).await;
        stream.write(b"GET /a HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        let began = windlass::now();
        assert!(read_to_end(&stream).await.ends_with("this is /a"));
        // Node's limit.
        assert_eq!(windlass::now() - began, 5 * SECOND);
        end(server).await;
    });
}

#[test]
fn half_a_head_is_not_waited_for_beyond_the_header_limit() {
    virtual_loop().block_on(async {
        let options = Options::new().idle_limit(None).header_limit(9 * SECOND);
        let (server, address) = server(options);
        let stream = connect(address).await;
        let slow = stream.clone();
        // A byte now and then does not help.
        let drip = windlass::set_interval(SECOND, move |_| drop(slow.try_write(b"x")));
        stream.write(b"GET /a HTTP/1.1\r\nx: ").await.unwrap();
        let began = windlass::now();
        read_to_end(&stream).await;
        drip.clear();
        assert_eq!(windlass::now() - began, 9 * SECOND);
        end(server).await;
    });
}

#[test]
fn a_connection_is_not_idle_while_a_request_is_being_answered() {
    virtual_loop().block_on(async {
        let (server, address) = server(Options::new());
        let mut client = client(address).await;
        assert_eq!(text(client.send_request(get("/slow")).await.unwrap()).await, "slow");
        drop(client);
        end(server).await;
    });
}

#[test]
fn beyond_the_bound_a_connection_waits_until_another_has_ended() {
    bounded(|| {
        block_on(async {
            let (server, address) = server(Options::new().idle_limit(None).connections_max(1));
            let mut first = client(address).await;
            assert_eq!(text(first.send_request(get("/a")).await.unwrap()).await, "this is /a");
            let second = spawn(async move {
                let mut second = client(address).await;
                text(second.send_request(get("/b")).await.unwrap()).await
            });
            for _ in 0..20 {
                windlass::yield_now().await;
                assert_eq!(server.connections(), 1);
            }
            assert!(!second.is_finished());
            drop(first);
            assert_eq!(second.await.unwrap(), "this is /b");
            end(server).await;
        });
    });
}

/// A stream that counts the times that it is read.
struct Counted(windlass::futures::Io<TcpStream>, Rc<Cell<usize>>);

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.1.set(self.1.get() + 1);
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

// With a thousand idle ones, each end would otherwise cost a thousand polls.
#[test]
fn the_end_of_a_connection_is_no_concern_of_the_others() {
    bounded(|| {
        block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let reads = Rc::new(Cell::new(0));
            let count = reads.clone();
            let handshake = move |stream: TcpStream| {
                let counted = Counted(stream.into_io(), count.clone());
                async { io::Result::Ok(counted) }
            };
            let options = Options::new().idle_limit(None).header_limit(None);
            let server = serve_with(listener, handshake, service_fn(answer), options);
            let mut idle = Vec::new();
            for _ in 0..40 {
                let mut client = client(address).await;
                text(client.send_request(get("/idle")).await.unwrap()).await;
                idle.push(client);
            }
            let before = reads.get();
            let mut brief = client(address).await;
            text(brief.send_request(get("/brief")).await.unwrap()).await;
            drop(brief);
            until(|| server.connections() == 40).await;
            iterations(3).await;
            assert!(reads.get() - before < 40, "{} reads", reads.get() - before);
            drop(idle);
            end(server).await;
        });
    });
}

#[test]
fn a_shutdown_answers_what_has_begun_and_ends_idle_connections_at_once() {
    virtual_loop().block_on(async {
        let (server, address) = server(Options::new().idle_limit(None));
        let idle = client(address).await;
        let mut busy = client(address).await;
        let slow = spawn(async move { text(busy.send_request(get("/slow")).await.unwrap()).await });
        sleep(SECOND).await;
        assert_eq!(server.connections(), 2);
        let ended = server.shutdown(2 * HOUR);
        sleep(SECOND).await;
        assert_eq!(server.connections(), 1, "the idle one has gone");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
        assert_eq!(ended.await, 0);
        assert_eq!(slow.await.unwrap(), "slow");
        assert_eq!(server.shutdown(SECOND).await, 0, "it has ended");
        drop(idle);
    });
}

#[test]
fn connections_that_have_not_ended_at_the_limit_are_cut_off_and_counted() {
    virtual_loop().block_on(async {
        let (server, address) = server(Options::new());
        let (mut one, mut two) = (client(address).await, client2(address).await);
        let one = spawn(async move { one.send_request(get("/never")).await.is_err() });
        let two = spawn(async move { two.send_request(get("/never")).await.is_err() });
        sleep(SECOND).await;
        let began = windlass::now();
        let late = server.shutdown(HOUR);
        assert_eq!(server.shutdown(3 * SECOND).await, 2, "the nearer limit counts");
        assert_eq!(windlass::now() - began, 3 * SECOND);
        assert_eq!(late.await, 2);
        assert!(one.await.unwrap() && two.await.unwrap());
    });
}

#[test]
fn the_end_of_a_loop_in_order_stops_its_server_and_waits_for_the_answers() {
    let answered = Rc::new(Cell::new(false));
    let seen = answered.clone();
    virtual_loop().run(move || {
        let (_server, address) = server(Options::new());
        drop(spawn(async move {
            let mut client = client(address).await;
            let slow = client.send_request(get("/slow"));
            windlass::set_timeout(SECOND, || {
                drop(Loop::current().shutdown(2 * HOUR));
            });
            seen.set(text(slow.await.unwrap()).await == "slow");
        }));
    });
    assert!(answered.get());
}

#[test]
fn a_server_holds_the_loop_until_its_listener_is_closed() {
    bounded(|| {
        windlass::run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let server = serve(listener.clone(), service_fn(answer), Options::new());
            assert!(server.has_ref() && Loop::current().is_alive());
            windlass::set_immediate(move || listener.close());
            drop(server);
        });
        windlass::run(|| {
            let (server, _) = server(Options::new());
            server.unref();
        });
    });
}

#[test]
fn a_handshake_that_fails_or_takes_too_long_costs_its_connection() {
    virtual_loop().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let count = Cell::new(0);
        let handshake = move |stream: TcpStream| {
            let number = count.replace(count.get() + 1);
            async move {
                match number {
                    0 => Err(io::ErrorKind::InvalidData.into()),
                    1 => pending().await,
                    _ => Ok(stream.into_io()),
                }
            }
        };
        let server = serve_with(listener, handshake, service_fn(answer), Options::new());
        assert_eq!(read_to_end(&connect(address).await).await, "");
        let began = windlass::now();
        assert_eq!(read_to_end(&connect(address).await).await, "");
        assert_eq!(windlass::now() - began, 60 * SECOND);
        let mut client = client(address).await;
        assert_eq!(text(client.send_request(get("/a")).await.unwrap()).await, "this is /a");
        drop(client);
        end(server).await;
    });
}

#[test]
fn a_handshake_that_goes_on_is_cut_off_at_the_limit_as_a_connection_is() {
    virtual_loop().block_on(async {
        for options in [Options::new(), Options::new().header_limit(None)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let handshake = |_stream: TcpStream| pending::<io::Result<TcpStream>>();
            let server = serve_with(listener, handshake, service_fn(answer), options);
            let _silent = connect(address).await;
            sleep(SECOND).await;
            let began = windlass::now();
            assert_eq!(server.shutdown(5 * SECOND).await, 1);
            assert_eq!(windlass::now() - began, 5 * SECOND);
        }
    });
}

#[test]
fn hypers_clock_is_the_loops_and_a_sleep_can_be_set_anew() {
    virtual_loop().block_on(async {
        let began = Timer.now();
        assert_eq!(began, windlass::now());
        Timer.sleep(ms(10)).await;
        assert_eq!(Timer.now() - began, ms(10));
        let mut sleep = Timer.sleep_until(began + ms(30));
        Timer.reset(&mut sleep, began + ms(50));
        poll_fn(|cx| sleep.as_mut().poll(cx)).await;
        assert_eq!(Timer.now() - began, ms(50));
        Timer.sleep_until(began).await;
    });
}

#[test]
fn a_sleep_that_another_thread_drops_holds_the_loop_no_longer_and_one_without_a_loop_is_ready() {
    bounded(|| {
        windlass::run(|| {
            let sleep = Timer.sleep(HOUR);
            drop(windlass::queue_work(move || drop(sleep)));
        });
        let orphan: Pin<Box<dyn hyper::rt::Sleep>> = {
            let event_loop = Loop::new().unwrap();
            event_loop.enter(|| Timer.sleep(HOUR))
        };
        block_on(orphan);
    });
}
