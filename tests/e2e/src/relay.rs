//! Ways to the cluster that are no HTTP proxy: SOCKS, and a server that is a version behind.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// The exec protocol that is taken away, and a name of the same length that no server knows.
const V5: &[u8; 17] = b"v5.channel.k8s.io";
const NONE: &[u8; 17] = b"v0.channel.k8s.io";

/// A running relay on a free port of the loopback interface. Dropped, it ends with all its connections.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    count: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Relay {
    /// A SOCKS proxy to wherever the client wants.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn socks() -> Relay {
        Relay::run(|client, count| async move { socks(client, &count).await })
    }

    /// A server of plain HTTP, `HOST:PORT`, to which nobody offers the fifth version of exec.
    ///
    /// # Panics
    /// If no port can be had.
    #[must_use]
    pub fn without_v5(server: &str) -> Relay {
        let server = Arc::new(server.to_owned());
        Relay::run(move |client, count| {
            let server = server.clone();
            async move { without_v5(client, TcpStream::connect(server.as_str()).await?, &count).await }
        })
    }

    fn run<F>(serve: impl Fn(TcpStream, Arc<AtomicU64>) -> F + Send + 'static) -> Relay
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).expect("a port for the relay");
        let (address, count) = (listener.local_addr().expect("its address"), Arc::new(AtomicU64::new(0)));
        let counted = count.clone();
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that fails is seen by the client.
                tokio::spawn(serve(client, counted.clone()));
            }
        });
        Relay { address, count, _runtime: runtime }
    }

    /// `HOST:PORT` of this relay.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it did what it is for: connections by SOCKS, offers of the fifth version taken away.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// RFC 1928: CONNECT, without authentication.
async fn socks(mut client: TcpStream, count: &AtomicU64) -> io::Result<()> {
    let (_version, methods) = (client.read_u8().await?, client.read_u8().await?);
    client.read_exact(&mut vec![0; methods.into()]).await?;
    client.write_all(&[5, 0]).await?;
    let mut head = [0; 4];
    client.read_exact(&mut head).await?;
    let host = match head {
        [5, 1, _, 1] => Ipv4Addr::from(client.read_u32().await?).to_string(),
        [5, 1, _, 4] => Ipv6Addr::from(client.read_u128().await?).to_string(),
        [5, 1, _, 3] => {
            let mut name = vec![0; client.read_u8().await?.into()];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).map_err(io::Error::other)?
        }
        _ => return Err(io::ErrorKind::Unsupported.into()),
    };
    let mut server = TcpStream::connect((host, client.read_u16().await?)).await?;
    count.fetch_add(1, Ordering::Relaxed);
    // Done; from which address the proxy connected is nobody's business.
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}

async fn without_v5(mut client: TcpStream, mut server: TcpStream, count: &AtomicU64) -> io::Result<()> {
    let (from_client, mut to_client) = client.split();
    let (mut from_server, to_server) = server.split();
    let down = async {
        copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(take_away_v5(from_client, to_server, count), down).map(drop)
}

/// Copies, and the first offer of the fifth version is none any more. What comes after it is the stream itself.
async fn take_away_v5(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut pending = Vec::new();
    while from.read_buf(&mut pending).await? > 0 {
        if let Some(at) = pending.windows(V5.len()).position(|window| window == V5) {
            pending[at..at + V5.len()].copy_from_slice(NONE);
            count.fetch_add(1, Ordering::Relaxed);
            break;
        }
        // The offer may be cut in two.
        let begun = (1..V5.len()).rev().find(|&length| pending.ends_with(&V5[..length])).unwrap_or(0);
        to.write_all(&pending[..pending.len() - begun]).await?;
        pending.drain(..pending.len() - begun);
    }
    to.write_all(&pending).await?;
    copy(&mut from, &mut to).await?;
    to.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_offer_is_taken_away_wherever_it_is_cut() {
        let request =
            b"GET / HTTP/1.1\r\nSec-WebSocket-Protocol: v5.channel.k8s.io,v4.channel.k8s.io\r\n\r\nv5.channel.k8s.io";
        let expected =
            b"GET / HTTP/1.1\r\nSec-WebSocket-Protocol: v0.channel.k8s.io,v4.channel.k8s.io\r\n\r\nv5.channel.k8s.io";
        for cut in 1..request.len() {
            let (first, second) = request.split_at(cut);
            let (count, mut written) = (AtomicU64::new(0), Vec::new());
            take_away_v5(first.chain(second), &mut written, &count).await.expect("memory");
            assert_eq!((written.as_slice(), count.into_inner()), (&expected[..], 1), "cut at {cut}");
        }
    }
}
