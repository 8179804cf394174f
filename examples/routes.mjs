// Two groups of workers behind one port, chosen by host and path of a client's first request; within its group a client with
// a session keeps its worker.
//     handover run --handshake examples/routes.mjs examples/http-server.mjs
import { httpRequestHead, refuse } from 'handover'

// What differs from one group to the next: how many, the script, its arguments, its environment.
export const groups = {
  web: { workers: 2 },
  api: { workers: 2, env: { NODE_ENV: 'production' } },
}

export default {
  time: 5_000, // for a client to say so much
  inspect: httpRequestHead({
    routes: [
      { host: 'api.example', to: 'api' },
      { path: '/api', to: 'api' }, // /api and all below it, of any other host
      { path: '/', to: 'web' },
      { path: '/.git', to: refuse('HTTP/1.1 410 Gone\r\nConnection: close\r\nContent-Length: 0\r\n\r\n', 'a scanner') },
    ],
    key: { cookie: 'sid' },
  }),
}
