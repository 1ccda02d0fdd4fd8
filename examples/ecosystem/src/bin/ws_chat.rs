//! How do WebSockets go together with workers?
//!
//! The main loop accepts and hands each connection to one of two workers, in turn. A worker speaks
//! WebSocket by async-tungstenite, which takes the loop's streams as they are. What one writes goes
//! to everybody else over a `BroadcastChannel`, whichever worker they are on.
//!
//! ```text
//! $ cargo run --bin ws_chat
//! listening on 127.0.0.1:41234
//! ```

use std::io;
use std::pin::pin;

use async_tungstenite::accept_async;
use async_tungstenite::tungstenite::{Error, Message};
use futures_util::StreamExt;
use futures_util::future::select;
use windlass::net::{DetachedTcpStream, TcpListener};
use windlass::worker::{BroadcastChannel, Port, Worker};

fn main() -> io::Result<()> {
    windlass::run(|| {
        let workers = [Worker::spawn(serve)?, Worker::spawn(serve)?];
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening on {}", listener.local_addr()?);
        let mut accepted = 0;
        listener.on_connection(move |connection| {
            accepted += 1;
            match connection.and_then(|connection| connection.detach()) {
                Ok(connection) => workers[accepted % 2].post(connection),
                Err(error) => eprintln!("a connection was lost: {error}"),
            }
        });
        Ok(())
    })
}

/// A worker's main script.
fn serve(port: Port<(), DetachedTcpStream>) {
    port.on_message(|connection| {
        windlass::spawn_detached(async {
            if let Err(error) = chat(connection).await {
                eprintln!("somebody left: {error}");
            }
        });
    });
}

async fn chat(connection: DetachedTcpStream) -> Result<(), Error> {
    // Before the other side knows that it is here.
    let channel = BroadcastChannel::<String>::new("chat");
    let (mut to, mut from) = accept_async(connection.open()?).await?.split();
    let hears = async {
        while let Some(text) = channel.recv().await {
            to.send(Message::text(text)).await?;
        }
        Ok(())
    };
    let tells = async {
        while let Some(message) = from.next().await {
            if let Message::Text(text) = message? {
                channel.post(text.to_string());
            }
        }
        Ok(())
    };
    select(pin!(hears), pin!(tells)).await.factor_first().0
}
