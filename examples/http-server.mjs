// An ordinary server that knows nothing of handover: `node examples/http-server.mjs` runs it alone,
// `handover run --workers 2 examples/http-server.mjs` runs it with two workers.
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  response.setHeader('content-type', 'text/plain')
  response.end(`${request.method} ${request.url} answered by process ${process.pid}\n`)
})

server.listen(Number(process.env.PORT ?? 0), process.env.HOST ?? '127.0.0.1', () => {
  const { address, port } = server.address()
  console.log(`process ${process.pid} serves http://${address}:${port}`)
})
