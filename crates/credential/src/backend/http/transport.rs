//! Connections: TCP, Unix sockets and TLS over them, with buffers that are overwritten.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConnection, StreamOwned};
use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, NextTimeout, Transport, TransportAdapter,
};

use super::MAX_HEAD_BYTES;
use super::buffers::WipedBuffers;
use super::tls::Tls;

/// An agent over these connections.
pub(super) fn agent(config: Config, socket: Option<PathBuf>, tls: Arc<Tls>) -> ureq::Agent {
    let connector =
        ().chain(ConnectProxyConnector::default()).chain(PlainConnector { socket }).chain(TlsConnector { tls });
    ureq::Agent::with_parts(config, connector, Names::default())
}

/// Names of hosts. An address is none: it needs no look-up, and no thread that waits for one.
#[derive(Debug, Default)]
struct Names(DefaultResolver);

impl Resolver for Names {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let Ok(address) = host.parse::<IpAddr>() else { return self.0.resolve(uri, config, timeout) };
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut resolved = self.empty();
        resolved.push(SocketAddr::new(address, port));
        Ok(resolved)
    }
}

/// Opens a socket.
#[derive(Debug)]
struct PlainConnector {
    socket: Option<PathBuf>,
}

impl<In: Transport> Connector<In> for PlainConnector {
    type Out = Either<In, PlainTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        if let Some(transport) = chained {
            return Ok(Some(Either::A(transport)));
        }
        let socket = match &self.socket {
            #[cfg(unix)]
            Some(path) => Socket::Unix(UnixStream::connect(path)?),
            #[cfg(not(unix))]
            Some(_) => return Err(Error::Io(io::ErrorKind::Unsupported.into())),
            None => Socket::Tcp(connect(details)?),
        };
        Ok(Some(Either::B(PlainTransport { socket, buffers: WipedBuffers::new(MAX_HEAD_BYTES) })))
    }
}

/// Tries the addresses of a host in turn; each gets an equal share of the time, so that the last one is tried too.
fn connect(details: &ConnectionDetails) -> Result<TcpStream, Error> {
    let count = u32::try_from(details.addrs.len().max(1)).unwrap_or(u32::MAX);
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in &details.addrs {
        let attempt = match details.timeout.not_zero() {
            Some(limit) => TcpStream::connect_timeout(address, (*limit / count).max(Duration::from_millis(100))),
            None => TcpStream::connect(address),
        };
        match attempt {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    if last.kind() == io::ErrorKind::TimedOut {
        Err(Error::Timeout(ureq::Timeout::Connect))
    } else {
        Err(Error::Io(last))
    }
}

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    fn set_timeouts(&self, timeout: NextTimeout) -> io::Result<()> {
        let limit = timeout.not_zero().map(|limit| (*limit).max(Duration::from_millis(1)));
        match self {
            Self::Tcp(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_read_timeout(limit).and_then(|()| stream.set_write_timeout(limit)),
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nonblocking(nonblocking),
            #[cfg(unix)]
            Self::Unix(stream) => stream.set_nonblocking(nonblocking),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            #[cfg(unix)]
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            #[cfg(unix)]
            Self::Unix(stream) => stream.flush(),
        }
    }
}

struct PlainTransport {
    socket: Socket,
    buffers: WipedBuffers,
}

impl fmt::Debug for PlainTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainTransport")
    }
}

impl Transport for PlainTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.socket.set_timeouts(timeout)?;
        let sent = self.socket.write_all(&self.buffers.output()[..amount]);
        self.buffers.wipe_output(amount);
        sent.map_err(|error| timed(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        if timeout.after.is_zero() {
            return Err(Error::Timeout(timeout.reason));
        }
        self.socket.set_timeouts(timeout)?;
        let amount = loop {
            match self.socket.read(self.buffers.input_append_buf()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other.map_err(|error| timed(error, timeout))?,
            }
        };
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        // A connection that has something to read while nothing was asked is closed or confused.
        let mut probe = [0];
        let is_idle = self.socket.set_nonblocking(true).is_ok()
            && matches!(self.socket.read(&mut probe), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
        self.socket.set_nonblocking(false).is_ok() && is_idle
    }
}

fn timed(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}

/// Puts TLS over a connection where the URL asks for it.
struct TlsConnector {
    tls: Arc<Tls>,
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, chained: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let mut connection = self.tls.connection(host).map_err(|fault| Error::Other(Box::new(fault)))?;
        let mut socket = TransportAdapter::new(transport.boxed(), details.current_time.clone());
        socket.set_timeout(details.timeout);
        connection.complete_io(&mut socket)?;
        let stream = StreamOwned::new(connection, socket);
        Ok(Some(Either::B(TlsTransport { stream, buffers: WipedBuffers::new(MAX_HEAD_BYTES) })))
    }
}

struct TlsTransport {
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    buffers: WipedBuffers,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        let sent = self.stream.write_all(&self.buffers.output()[..amount]);
        self.buffers.wipe_output(amount);
        sent?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
