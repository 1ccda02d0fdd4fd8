//! How does a program talk to Redis?
//!
//! By the crate redis, which asks that a connection is `Send` and, on a loop, never sends it: that
//! is what `task::Local` is for. Its own time limits want its own runtime; `time::timeout` serves.
//!
//! ```text
//! $ cargo run --bin redis -- 127.0.0.1:6379
//! counted to 100, over one connection; hello, world
//! ```

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, AsyncConnectionConfig, RedisConnectionInfo, RedisResult};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use windlass::net::TcpStream;
use windlass::task::Local;
use windlass::time::timeout;

fn main() -> io::Result<()> {
    let [address] = ecosystem::arguments("redis ADDRESS:PORT");
    windlass::block_on(async {
        let stream = Local::new(TcpStream::connect(address).await?).compat();
        let limit = Duration::from_secs(10);
        timeout(limit, talk(stream)).await.map_err(ecosystem::other)?.map_err(ecosystem::other)
    })
}

async fn talk(stream: tokio_util::compat::Compat<Local<TcpStream>>) -> RedisResult<()> {
    let no_limits = AsyncConnectionConfig::new().set_response_timeout(None);
    let login = RedisConnectionInfo::default();
    let made = MultiplexedConnection::new_with_config(&login, stream, no_limits).await?;
    let (mut connection, driver) = made;
    windlass::spawn_detached(driver);

    let key = format!("windlass-{}", std::process::id());
    // In flight together.
    let counts = (0..100).map(|_| {
        let (mut connection, key) = (connection.clone(), &key);
        async move { connection.incr::<_, _, u32>(key, 1).await }
    });
    let counts = futures_util::future::try_join_all(counts).await?;
    let last = counts.iter().max().expect("there are some");
    let greeting = format!("{key}-greeting");
    connection.set::<_, _, ()>(&greeting, "hello, world").await?;
    let text: String = connection.get(&greeting).await?;
    connection.del::<_, ()>(&[key, greeting]).await?;
    println!("counted to {last}, over one connection; {text}");
    Ok(())
}
