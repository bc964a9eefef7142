/** What a person found by profiling; the figures of a run stand above it in docs/benchmarks.md. */
export const FINDINGS = `## Where the time goes, and what is missed

Found on 2026-11-21 on two quiet cores, where the router took 281 to 320 us per request, the node floor 77, nginx 24: a profile of 265 us on the main thread beside 60 to 95 us on V8's helpers. What was gained since is given in the last column; gains with two figures were measured one by one, warm and in one process, and weigh more among cold caches.

| part | us | since |
| --- | --- | --- |
| garbage collection, main thread | 33 | 10 ms per 1,000 requests instead of 93 (helpers included): nothing keeps ended requests alive any more |
| V8's helpers: the collector's, and the compiler's in the first minute | 60 to 95 | about 35, nearly all of it the compiler's; it is done after some 40,000 requests, so that the bench now warms up with 60,000 |
| writes to client, worker and Redis, most of it the kernel's | 48 | one write per turn to Redis, and no command waits for an earlier one's answer |
| ioredis: arguments, replies, promises | 23 | 42 arguments of \`admit\` became 20; scripts and replies pass by ioredis's own code: 5.4 us became 3.3 for the two calls, 5.3 became 2.0 for their replies; one timer for all deadlines |
| reading and rewriting JSON (request, answer, usage record) | 20 | a plain answer: 8.8 us became 4.9 |
| Node's HTTP server and undici | 45 | a dispatcher of our own: 15 us less per request, 2 us less per chunk; chunks are written to the client's connection |
| log line, metrics, Express | 20 | log lines written at once, label children kept, generations pass by Express |
| the router's own code: keys, rules, hold, choice, relay, bill | 75 | pick, dispatch and end in the books of two workers: 8.0 us became 3.4 to 5 |

- Missed by most: 80 us per request. Express and undici alone take nearly that here; what the product adds costs twice the floor, spread over everything above. A profile after the changes of the last column shows no function above 2 % and a fifth in the kernel: what is left must be taken away, not made faster. A large part of it is waiting for caches: Redis runs on the other core at the same time.
- Redis itself takes some 200 us per request for \`admit\` and \`settle\`, more than half of it the overhead of some 45 \`redis.call\`s. The next step is one hash for the three scopes of an account's limits: eight calls fewer. It shares the two cores with router, load and upstream here, and so stands in the added latency.
- Per chunk, Node itself is no slower than nginx: bytes passed from socket to socket cost 1.0 to 1.2 times as much there, 14 to 15 us on a calm machine (\`npm run bench -- --only cpu-chunk-200 --subjects tollgate,sockets,nginx\`), nearly all of it the kernel's two calls. Reading the chunks and the events in them adds 3, Node's HTTP server 1, the product's layers 3 to 4: 23 to 25 us in streams of a thousand chunks. The rest of what is seen with 102 chunks is the request itself, about 1,000 us of it at a hundred requests a second, four times what it costs at full load, where its code stays in the caches (smg: 600 and 220). So the next thing to save is code that runs once per stream.
- Where neighbours of this machine keep its caches busy, all of it costs up to half as much again, the router more than the gateways in Rust. Two later runs beside them alone, on 2026-11-21 at 21:58 and, with what was gained since, on such a machine at 00:25 (us, router / smg / vllm-router): 1 kB 177 / 232 / 204 and 253 / 265 / 256; 32 kB 296 / 382 / 306 and 402 / 417 / 350; chunk at 200 streams 39 / 28 / 42 and 44 / 43 / 59.
- Memory per open stream is below the node floor's; what is left is mostly the two sockets and the client's parser of each stream.
- Tried and not kept: usage records written from two plain objects instead of spreads (3.4 us before, 3.7 after).

A function that is written straight into a property (\`a.b = () => ...\`) lies in V8's old generation from the start, and tables of Sets and Maps that many requests pass through keep them alive: \`roster.ts\` and \`running-request.ts\` in the router say how to do without. \`--trace-gc\` shows it: the heap must not grow with requests between full collections. An object that a field is deleted from is slow to read and to write as JSON: what must go is set to undefined.
`;
