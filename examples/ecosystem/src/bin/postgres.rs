//! How does a program talk to PostgreSQL?
//!
//! By tokio-postgres without its runtime: it is given a stream of the loop, with tokio's traits by
//! tokio-util, and a task for the connection.
//!
//! ```text
//! $ cargo run --bin postgres -- 'host=127.0.0.1 port=5432 user=me dbname=postgres'
//! 100 rows, which add up to 5050; a bad query: error 42703
//! ```

use std::io;

use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};
use tokio_util::compat::FuturesAsyncReadCompatExt;
use windlass::net::TcpStream;

fn main() -> io::Result<()> {
    let [parameters] = ecosystem::arguments("postgres PARAMETERS");
    let config: Config = parameters.parse().map_err(ecosystem::other)?;
    windlass::block_on(async {
        let client = connect(&config).await?;
        talk(&client).await.map_err(ecosystem::other)
    })
}

async fn connect(config: &Config) -> io::Result<Client> {
    let [Host::Tcp(host), ..] = config.get_hosts() else {
        return Err(ecosystem::other("the parameters name no host"));
    };
    let port = config.get_ports().first().copied().unwrap_or(5432);
    let stream = TcpStream::connect(format!("{host}:{port}")).await?;
    let connected = config.connect_raw(stream.compat(), NoTls).await;
    let (client, connection) = connected.map_err(ecosystem::other)?;
    // Ends with the client. Its error is the client's too.
    windlass::spawn_try(connection);
    Ok(client)
}

async fn talk(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("CREATE TEMPORARY TABLE numbers (number BIGINT)").await?;
    let insert = client.prepare("INSERT INTO numbers VALUES ($1)").await?;
    // In flight together, on one connection.
    let inserts = (1..=100_i64).map(|number| {
        let insert = &insert;
        async move { client.execute(insert, &[&number]).await }
    });
    futures_util::future::try_join_all(inserts).await?;
    let rows = client.query("SELECT number FROM numbers", &[]).await?;
    let sum: i64 = rows.iter().map(|row| row.get::<_, i64>(0)).sum();
    let error = client.query("SELECT nothing FROM numbers", &[]).await.err();
    let code = error.as_ref().and_then(tokio_postgres::Error::code).map_or("none", |it| it.code());
    println!("{} rows, which add up to {sum}; a bad query: error {code}", rows.len());
    Ok(())
}
