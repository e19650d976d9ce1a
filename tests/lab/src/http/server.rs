//! The TLS server: accepts connections and hands each request to the API.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use crate::{api, cluster::Cluster, pki};

pub struct Server {
    listener: TcpListener,
    cluster: Arc<Cluster>,
}

impl Server {
    /// Binds a free port of the loopback interface.
    pub async fn bind(cluster: Arc<Cluster>) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, cluster })
    }

    /// Of a listener that somebody else made, and that does not block.
    pub fn of(listener: std::net::TcpListener, cluster: Arc<Cluster>) -> io::Result<Self> {
        Ok(Self { listener: TcpListener::from_std(listener)?, cluster })
    }

    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true; connections that are open then are cut.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        let tls = TlsAcceptor::from(self.cluster.tls.clone());
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, tls.clone(), self.cluster.clone()));
                    }
                    Err(error) => eprintln!("lab: cannot accept a connection: {error}"),
                },
                _ = stop.wait_for(|stop| *stop) => break,
                Some(_) = connections.join_next() => {}
            }
        }
        connections.shutdown().await;
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, cluster: Arc<Cluster>) {
    // An answer must not wait for the acknowledgement of the one before it.
    let _refused = stream.set_nodelay(true);
    // A client without TLS, or with a certificate of another authority, is its own business.
    let Ok(stream) = tls.accept(stream).await else { return };
    let (_, session) = stream.get_ref();
    let certified = session.peer_certificates().and_then(|chain| chain.first()).and_then(pki::user_of);
    let service = service_fn(move |request| {
        let (cluster, certified) = (cluster.clone(), certified.clone());
        async move { Ok::<_, Infallible>(api::handle(cluster, certified, request).await) }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    // However a client leaves, the next one is served.
    let _left = connection.with_upgrades().await;
}
