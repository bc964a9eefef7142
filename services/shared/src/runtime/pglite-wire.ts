/**
 * Many connections on PGlite's one session. The published pglite-socket 0.2.17 queues single protocol messages, so
 * with two connections one's Bind can meet the other's Parse (seen: "bind message supplies 3 parameters, but prepared
 * statement requires 2"; with equal counts it would run the wrong statement), and its queue stays stuck after an error.
 * Here a turn is everything up to the next Sync, or one simple query; and while a transaction is open, only the
 * connection that began it has turns.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { PGlite } from '@electric-sql/pglite';

type Session = Pick<PGlite, 'execProtocolRaw' | 'exec' | 'runExclusive'>;

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const TYPE = { query: 0x51, sync: 0x53, terminate: 0x58, error: 0x45, ready: 0x5a } as const;
const IDLE = 0x49;

interface Turn {
  connection: Connection;
  messages: Buffer[];
}

interface Connection {
  socket: Socket;
  input: Buffer;
  /** Messages since the last complete turn. */
  pending: Buffer[];
  started: boolean;
  closed: boolean;
}

/** A server that is not listening yet; `net`'s own `listen` and `close` apply. */
export function createPgliteWireServer(db: Session): Server & { endConnections(): Promise<void> } {
  const queue: Turn[] = [];
  const connections = new Set<Connection>();
  let owner: Connection | null = null;
  let running: Promise<void> | null = null;

  function pump(): void {
    running ??= run().finally(() => {
      running = null;
      if (next() >= 0) pump();
    });
  }

  /** The turn that may run now: anybody's, or the next of the connection whose transaction is open. */
  function next(): number {
    return owner === null ? (queue.length > 0 ? 0 : -1) : queue.findIndex((turn) => turn.connection === owner);
  }

  async function run(): Promise<void> {
    for (;;) {
      if (owner?.closed) {
        owner = null;
        // Whoever began the transaction is gone without an end.
        await db.exec('ROLLBACK').catch(() => {});
      }
      const at = next();
      if (at < 0) return;
      const [turn] = queue.splice(at, 1) as [Turn];
      try {
        owner = (await db.runExclusive(() => take(turn))) ? turn.connection : null;
      } catch {
        // PGlite itself failed: this connection cannot know how far it got.
        owner = turn.connection;
        turn.connection.closed = true;
        turn.connection.socket.destroy();
      }
    }
  }

  /** Runs one turn and answers it; true when a transaction is open afterwards. */
  async function take({ connection, messages }: Turn): Promise<boolean> {
    let status = IDLE;
    let failed = false;
    for (const message of messages) {
      // After an error the protocol wants everything up to the Sync ignored.
      if (failed && message[0] !== TYPE.sync) continue;
      const answer = Buffer.from(await db.execProtocolRaw(new Uint8Array(message)));
      for (let at = 0; at + 5 <= answer.length; at += 1 + answer.readInt32BE(at + 1)) {
        if (answer[at] === TYPE.error) failed = true;
        if (answer[at] === TYPE.ready) status = answer[at + 5]!;
      }
      if (!connection.closed) connection.socket.write(answer);
    }
    return status !== IDLE;
  }

  function receive(connection: Connection, chunk: Buffer): void {
    connection.input = connection.input.length === 0 ? chunk : Buffer.concat([connection.input, chunk]);
    for (let message = cut(connection); message; message = cut(connection)) {
      const type = message[0];
      if (connection.started && type === TYPE.terminate) {
        connection.socket.end();
        return;
      }
      connection.pending.push(message);
      const whole = !connection.started || type === TYPE.query || type === TYPE.sync;
      connection.started = true;
      if (!whole) continue;
      queue.push({ connection, messages: connection.pending });
      connection.pending = [];
      pump();
    }
  }

  /** The next whole message of a connection, null when there is none; answers what precedes the start-up message. */
  function cut(connection: Connection): Buffer | null {
    for (;;) {
      const { input, started, socket } = connection;
      if (input.length < (started ? 5 : 8)) return null;
      const length = started ? 1 + input.readInt32BE(1) : input.readInt32BE(0);
      if (input.length < length) return null;
      const code = started ? 0 : input.readInt32BE(4);
      connection.input = input.subarray(length);
      if (code === SSL_REQUEST || code === GSS_REQUEST) socket.write('N');
      // There is no backend process that could be told to cancel.
      else if (code === CANCEL_REQUEST) socket.end();
      else return input.subarray(0, length);
    }
  }

  function end(connection: Connection): void {
    connection.closed = true;
    connections.delete(connection);
    for (let at = queue.length - 1; at >= 0; at--) if (queue[at]!.connection === connection) queue.splice(at, 1);
    if (owner === connection) pump();
  }

  const server = createServer({ noDelay: true }, (socket) => {
    const connection: Connection = { socket, input: Buffer.alloc(0), pending: [], started: false, closed: false };
    connections.add(connection);
    socket.on('data', (chunk: Buffer) => receive(connection, chunk));
    socket.on('error', () => socket.destroy());
    socket.on('close', () => end(connection));
  });
  return Object.assign(server, {
    /** Ends all connections, rolls back what they left open, and resolves when PGlite is at rest. */
    async endConnections(): Promise<void> {
      for (const { socket } of connections) socket.destroy();
      for (const connection of [...connections]) end(connection);
      while (running) await running;
    },
  });
}
