//! An HTTP CONNECT proxy that breaks connections on demand. A kubeconfig's `proxy-url` leads through it, before the lab
//! or before any other cluster.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

/// What happens to each connection that is opened after it was set. Bytes are those from server to client, counted per
/// connection and as they are on the wire: encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    #[default]
    None,
    /// Both directions are cut, with a reset, after so many bytes.
    CutAfter(u64),
    /// After so many bytes nothing goes either way any more, but the connection stays open.
    StallAfter(u64),
    /// At most so many bytes a second go to the client.
    Rate(u64),
}

/// A running proxy. It ends, with all its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    /// `HOST:PORT` that every connection goes to, whatever the client names.
    server: Option<String>,
    fault: Mutex<Fault>,
    /// Counts the calls of [`Proxy::cut_all`].
    cut: watch::Sender<u64>,
    /// Counts the calls of [`Proxy::release`].
    released: watch::Sender<u64>,
    connections: AtomicU64,
    bytes: watch::Sender<u64>,
}

/// The longest head of a CONNECT request.
const MAX_HEAD: u64 = 16 * 1024;

impl Proxy {
    /// Binds a free port of the loopback interface.
    pub async fn start() -> io::Result<Self> {
        Self::start_before(None).await
    }

    /// The same, and every connection goes to `HOST:PORT`, whatever name the client knows the server by.
    pub async fn start_to(server: String) -> io::Result<Self> {
        Self::start_before(Some(server)).await
    }

    async fn start_before(server: Option<String>) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            fault: Mutex::default(),
            cut: watch::Sender::new(0),
            released: watch::Sender::new(0),
            connections: AtomicU64::new(0),
            bytes: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, shared.clone()));
        Ok(Self { address, shared, task })
    }

    /// For a kubeconfig's `proxy-url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn set_fault(&self, fault: Fault) {
        *self.shared.fault.lock().expect("no holder of this lock panics") = fault;
    }

    /// Cuts every open connection at once.
    pub fn cut_all(&self) {
        self.shared.cut.send_modify(|count| *count += 1);
    }

    /// Frees every open connection from its fault: one that stalls goes on, one that is slow goes as fast as it can.
    pub fn release(&self) {
        self.shared.released.send_modify(|count| *count += 1);
    }

    /// Connections made to a server so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Bytes that have gone to clients so far.
    pub fn bytes(&self) -> u64 {
        *self.shared.bytes.borrow()
    }

    /// Waits until so many have.
    pub async fn passed(&self, bytes: u64) {
        let mut passed = self.shared.bytes.subscribe();
        passed.wait_for(|passed| *passed >= bytes).await.expect("the sender lives as long as this proxy");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let shared = shared.clone();
                    connections.spawn(async move {
                        // How a connection ends is what the test is about.
                        let _ended = connect(client, &shared).await;
                    });
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut cut = shared.cut.subscribe();
    let mut client = BufReader::new(client);
    let Some(target) = read_target(&mut client).await? else {
        let answer = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        return client.write_all(answer).await;
    };
    let server = match TcpStream::connect(shared.server.as_ref().unwrap_or(&target)).await {
        Ok(server) => server,
        Err(error) => {
            client.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await?;
            return Err(error);
        }
    };
    shared.connections.fetch_add(1, Ordering::Relaxed);
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    let fault = *shared.fault.lock().expect("no holder of this lock panics");
    let ahead = client.buffer().to_vec();
    let (mut client, mut server) = (client.into_inner(), server);
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let reset = tokio::select! {
        ended = relay(&mut client, &mut server, &ahead, fault, shared) => ended.is_err(),
        _ = cut.changed() => true,
    };
    if reset {
        // What is still in the buffers is thrown away and the client sees a reset, as when a middlebox gives up.
        client.set_zero_linger()?;
        server.set_zero_linger()?;
    }
    Ok(())
}

/// `HOST:PORT` of a CONNECT request; nothing for any other.
async fn read_target(client: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let mut head = client.take(MAX_HEAD);
    let mut first = String::new();
    head.read_line(&mut first).await?;
    loop {
        let mut line = String::new();
        if head.read_line(&mut line).await? == 0 || line == "\r\n" {
            break;
        }
    }
    let mut words = first.split_whitespace();
    Ok(match (words.next(), words.next()) {
        (Some("CONNECT"), Some(target)) => Some(target.to_owned()),
        _ => None,
    })
}

/// Both directions until both have ended; an error where the connection is to be cut.
async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    ahead: &[u8],
    fault: Fault,
    shared: &Shared,
) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_server, mut to_server) = server.split();
    to_server.write_all(ahead).await?;
    let (stall, stalled) = watch::channel(false);
    let up = copy_up(from_client, to_server, stalled);
    let down = copy_down(from_server, to_client, fault, stall, shared);
    tokio::try_join!(up, down).map(|((), ())| ())
}

const CHUNK: usize = 16 * 1024;

async fn copy_up(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut stalled: watch::Receiver<bool>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let stall = async { stalled.wait_for(|stalled| *stalled).await.is_ok() };
        let length = tokio::select! {
            true = stall => {
                // What ends this wait without an error is a release.
                let _ended = stalled.wait_for(|stalled| !*stalled).await;
                continue;
            }
            length = from.read(&mut buffer) => length?,
        };
        if length == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}

async fn copy_down(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    fault: Fault,
    stall: watch::Sender<bool>,
    shared: &Shared,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut given = 0_u64;
    let mut fault = fault;
    let mut released = shared.released.subscribe();
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            to.shutdown().await?;
            return Ok(());
        }
        let left = match fault {
            Fault::CutAfter(limit) | Fault::StallAfter(limit) => limit.saturating_sub(given),
            Fault::None | Fault::Rate(_) => u64::MAX,
        };
        let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(length);
        to.write_all(&buffer[..allowed]).await?;
        given += allowed as u64;
        shared.bytes.send_modify(|bytes| *bytes += allowed as u64);
        match fault {
            Fault::CutAfter(limit) if given >= limit => {
                to.flush().await?;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            Fault::StallAfter(limit) if given >= limit => {
                stall.send_replace(true);
                // Cannot fail: the sender is shared.
                let _released = released.changed().await;
                stall.send_replace(false);
                let rest = &buffer[allowed..length];
                to.write_all(rest).await?;
                shared.bytes.send_modify(|bytes| *bytes += rest.len() as u64);
                fault = Fault::None;
            }
            Fault::Rate(rate) => {
                let nanoseconds = allowed as u64 * 1_000_000_000 / rate.max(1);
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_nanos(nanoseconds)) => {}
                    Ok(()) = released.changed() => fault = Fault::None,
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that sends `length` bytes to whoever connects, and then waits for the client's end.
    async fn sender(length: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _cut = stream.write_all(&vec![7; length]).await;
                    let _cut = stream.shutdown().await;
                    let _cut = stream.read_to_end(&mut Vec::new()).await;
                });
            }
        });
        address
    }

    /// A client that asked the proxy for `target` and got it.
    async fn connected(proxy: &Proxy, target: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
        let expected = b"HTTP/1.1 200 Connection established\r\n\r\n";
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, expected);
        stream
    }

    #[tokio::test]
    async fn without_a_fault_every_byte_goes_through() {
        let (proxy, target) = (Proxy::start().await.unwrap(), sender(100_000).await);
        let mut received = Vec::new();
        connected(&proxy, target).await.read_to_end(&mut received).await.unwrap();
        assert_eq!((received.len(), proxy.bytes(), proxy.connections()), (100_000, 100_000, 1));
    }

    #[tokio::test]
    async fn a_cut_lets_no_more_than_its_bytes_through() {
        let (proxy, target) = (Proxy::start().await.unwrap(), sender(100_000).await);
        proxy.set_fault(Fault::CutAfter(40_000));
        let mut received = Vec::new();
        let ended = connected(&proxy, target).await.read_to_end(&mut received).await;
        assert!(ended.is_err() && received.len() <= 40_000, "{ended:?} after {}", received.len());
        assert_eq!(proxy.bytes(), 40_000);
    }

    #[tokio::test]
    async fn a_stall_keeps_the_connection_open_until_it_is_cut() {
        let (proxy, target) = (Proxy::start().await.unwrap(), sender(100_000).await);
        proxy.set_fault(Fault::StallAfter(40_000));
        let mut client = connected(&proxy, target).await;
        let mut received = vec![0; 40_000];
        client.read_exact(&mut received).await.unwrap();
        let one_more = client.read_u8();
        tokio::pin!(one_more);
        assert!(futures::poll!(one_more.as_mut()).is_pending());
        proxy.cut_all();
        assert!(one_more.await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_kept() {
        let (proxy, target) = (Proxy::start().await.unwrap(), sender(100_000).await);
        proxy.set_fault(Fault::Rate(1000));
        let mut client = connected(&proxy, target).await;
        let (mut received, begun) = (Vec::new(), tokio::time::Instant::now());
        client.read_to_end(&mut received).await.unwrap();
        // The clock of the test, which jumps wherever all wait for it.
        assert_eq!((received.len(), begun.elapsed().as_secs()), (100_000, 100));
    }

    #[tokio::test]
    async fn what_is_released_arrives_whole() {
        let target = sender(100_000).await;
        for fault in [Fault::StallAfter(40_000), Fault::Rate(1)] {
            let proxy = Proxy::start_to(target.to_string()).await.unwrap();
            proxy.set_fault(fault);
            // An address that nobody listens on: the proxy has its own.
            let mut client = connected(&proxy, "192.0.2.1:1".parse().unwrap()).await;
            proxy.passed(1).await;
            let mut received = Vec::new();
            let reading = client.read_to_end(&mut received);
            if fault != Fault::Rate(1) {
                proxy.passed(40_000).await;
            }
            proxy.release();
            reading.await.unwrap();
            assert_eq!((received.len(), proxy.bytes()), (100_000, 100_000), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_connect_is_refused() {
        let proxy = Proxy::start().await.unwrap();
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    }
}
