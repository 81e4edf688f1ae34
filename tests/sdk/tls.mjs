// Ends TLS in front of a server, for SDKs that insist on it. Usage: node tls.mjs PORT TARGET_PORT CERTIFICATE KEY.
import { readFileSync } from 'node:fs';
import net from 'node:net';
import tls from 'node:tls';

const [port, target, certificate, key] = process.argv.slice(2);
const options = { cert: readFileSync(certificate), key: readFileSync(key), ALPNProtocols: ['http/1.1'] };
const server = tls.createServer(options, (socket) => {
  const upstream = net.connect(Number(target), '127.0.0.1');
  socket.pipe(upstream).pipe(socket);
  const end = () => { socket.destroy(); upstream.destroy(); };
  for (const half of [socket, upstream]) half.on('error', end).on('close', end);
});
server.listen(Number(port), '127.0.0.1', () => console.log('listening'));
