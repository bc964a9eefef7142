/**
 * The least that a proxy in Node can be: express, the body parsed and written again, undici's dispatch, bytes passed on.
 * No keys, no limits, no money, no log. What Tollgate costs above it is what Tollgate does.
 * Arguments: port to listen on, ports of the upstreams.
 */
import { createServer } from 'node:http';
import express from 'express';
import { type Dispatcher, Pool } from 'undici';

const [listen, ...upstreams] = process.argv.slice(2).map(Number);
const pools = upstreams.map((port) => new Pool(`http://127.0.0.1:${port}`, { connections: 4096, pipelining: 1 }));
let turn = 0;

const app = express();
app.disable('x-powered-by');
app.post('/v1/chat/completions', (request, response) => {
  const parts: Buffer[] = [];
  request.on('data', (part: Buffer) => parts.push(part));
  request.on('end', () => {
    const body = JSON.stringify(JSON.parse(Buffer.concat(parts).toString()));
    let running: Dispatcher.DispatchController | undefined;
    response.on('close', () => {
      if (!response.writableFinished) running?.abort(new Error('the client left'));
    });
    pools[turn++ % pools.length]!.dispatch(
      { path: '/v1/chat/completions', method: 'POST', headers: { 'content-type': 'application/json' }, body },
      {
        onRequestStart(controller) {
          running = controller;
        },
        onResponseStart(_controller, status, headers) {
          const length = headers['content-length'];
          response.writeHead(status, {
            'content-type': String(headers['content-type']),
            ...(length === undefined ? {} : { 'content-length': String(length) }),
          });
        },
        onResponseData(_controller, chunk) {
          response.write(chunk);
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  });
});
const server = createServer(app);
server.keepAliveTimeout = 65_000;
server.listen(listen, '127.0.0.1');
