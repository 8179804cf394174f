// For `handover run --handshake`: two names, each with a worker of its own; ROUTES says how the name is found.
import { pathToFileURL } from 'node:url'
import { built } from '../compile.mjs'

const { httpRequestHead, proxyProtocol, tlsServerName } = await import(pathToFileURL(built('index.js')).href)

export const groups = { a: { workers: 1 }, b: { workers: 1 } }

const byHost = httpRequestHead({
  routes: [
    { host: 'a.example', to: 'a' },
    { host: 'b.example', to: 'b' },
  ],
})

const handshakes = {
  host: { inspect: byHost },
  name: { inspect: tlsServerName({ names: { 'a.example': 'a', 'b.example': 'b' } }) },
  // Room and time for all silent clients of a round; nobody is trusted, as TEST-NET-1 is nobody's.
  hostile: { inspect: proxyProtocol({ trusted: ['192.0.2.0/24'], next: byHost }), undecided: 16_384, time: 120_000 },
}

export default handshakes[process.env.ROUTES]
