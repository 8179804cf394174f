// The server that every contender runs, unmodified: a small answer to whatever is asked.
import { createServer } from 'node:http'

const BODY = 'hello\n'

const server = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': BODY.length })
  response.end(BODY)
})

server.listen(0, process.env.HOST ?? '127.0.0.1', () => {
  console.log(`serving on port ${server.address().port}, process ${process.pid}`)
})
