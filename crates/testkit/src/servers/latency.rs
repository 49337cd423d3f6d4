//! A loopback proxy that delays what passes, to measure how often a protocol waits for the other side.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// A proxy in front of a port: each byte arrives `one_way` later, in each direction.
///
/// Opening a connection costs a round trip too: the first byte is held back for it.
#[derive(Debug)]
pub struct LatencyProxy {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl LatencyProxy {
    /// Starts one; it runs until the process ends.
    ///
    /// # Panics
    /// If the loopback has no port.
    pub fn start(target: u16, one_way: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a port");
        let port = listener.local_addr().expect("it is bound").port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else { continue };
                drop((client.set_nodelay(true), server.set_nodelay(true)));
                let (Ok(client2), Ok(server2)) = (client.try_clone(), server.try_clone()) else { continue };
                delay(client, server, one_way, one_way * 2);
                delay(server2, client2, one_way, Duration::ZERO);
            }
        });
        Self { port, connections }
    }

    /// `http://127.0.0.1:…`
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

fn delay(mut from: TcpStream, mut to: TcpStream, by: Duration, opening: Duration) {
    let (sender, receiver) = mpsc::channel::<(Instant, Vec<u8>)>();
    let opened = Instant::now() + opening;
    std::thread::spawn(move || {
        let mut buffer = [0; 16 * 1024];
        while let Ok(count) = from.read(&mut buffer) {
            let due = Instant::now().max(opened) + by;
            if sender.send((due, buffer[..count].to_vec())).is_err() || count == 0 {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        while let Ok((due, bytes)) = receiver.recv() {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if bytes.is_empty() || to.write_all(&bytes).is_err() {
                break;
            }
        }
        drop(to.shutdown(Shutdown::Write));
    });
}
