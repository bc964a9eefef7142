/**
 * A proxy of bare sockets: what comes from a client goes to an upstream connection of its own, and back. No HTTP, no
 * header, no event is looked at. `node node-sockets.ts <port> <upstream port>...`
 */
import { connect, createServer } from 'node:net';

const [port, ...upstreams] = process.argv.slice(2).map(Number);
/** One for all: what was read is written before anything else is read. */
const buffer = Buffer.allocUnsafeSlow(65_536);
let turn = 0;

createServer({ noDelay: true }, (client) => {
  const onread = {
    buffer,
    callback(count: number) {
      client.write(buffer.toString('latin1', 0, count), 'latin1');
      return true;
    },
  };
  const upstream = connect({ host: '127.0.0.1', port: upstreams[turn++ % upstreams.length]!, noDelay: true, onread });
  for (const [socket, other] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    socket.on('error', () => {}).on('close', () => other.destroy());
  }
  client.on('data', (bytes) => upstream.write(bytes));
}).listen(port, '127.0.0.1');
