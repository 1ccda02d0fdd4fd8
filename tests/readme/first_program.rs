use windlass::{net::TcpListener, worker::WorkerPool};

fn fib(n: u64) -> u64 {
    if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
}

fn main() -> std::io::Result<()> {
    windlass::run(|| {
        let sums = WorkerPool::new(2, || fib)?; // Two threads with loops of their own.
        let listener = TcpListener::bind("127.0.0.1:0")?;
        println!("listening on {}", listener.local_addr()?);
        listener.on_connection(move |client| {
            let Ok(client) = client else { return };
            let (sums, mut line) = (sums.clone(), Vec::new());
            client.read_start(move |client, bytes| {
                // A stream has no lines: several may come at once, and one in pieces.
                for &byte in bytes.unwrap_or_default() {
                    if byte != b'\n' {
                        line.push(byte);
                        if line.len() > 20 {
                            return client.close(); // No number is that long.
                        }
                        continue;
                    }
                    let text = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
                    let Ok(n @ 0..=50) = text.trim().parse() else { continue };
                    let client = client.clone();
                    // The loop goes on to other clients. The answer comes as a message.
                    sums.run(n).on_complete(move |sum| {
                        drop(client.write(format!("fib({n}) = {}\n", sum.unwrap()).as_bytes()));
                    });
                }
            });
        });
        Ok(())
    })
}
