//! The socket the server listens at.

use std::io;
use std::net::SocketAddr;

use poem::listener::TcpAcceptor;
use tokio::net::TcpSocket;

/// Connections that may wait to be accepted: when a node has stopped, its clients come all at once.
const BACKLOG: u32 = 4096;

/// Listens at an address. Connections inherit that small frames leave at once: otherwise the second of two would wait
/// until the client has confirmed the first, which it delays for up to 40 ms when it has nothing to say.
///
/// # Errors
/// When the address cannot be listened at.
pub fn listen(address: SocketAddr) -> io::Result<TcpAcceptor> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the standard library does: a server that starts again finds its address free.
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    TcpAcceptor::from_tokio(socket.listen(BACKLOG)?)
}
