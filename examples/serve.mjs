// A worker that is not preloaded: it says itself which server is served through the master.
// `node examples/serve.mjs` runs it alone, `handover run --no-preload --workers 2 examples/serve.mjs` with two workers.
import { createServer } from 'node:http'
import { serve } from 'handover'

const server = createServer((_request, response) => response.end(`served by ${process.pid}\n`))
serve(server, { port: Number(process.env.PORT ?? 0), host: '127.0.0.1' })
server.on('listening', () => console.log(`serving on port ${server.address().port}, process ${process.pid}`))
