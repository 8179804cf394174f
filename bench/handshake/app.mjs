// What stands behind every front here, unmodified: a small answer, or as many bytes as `/bytes/N` asks for.
// With a folder as its argument it speaks TLS, with the certificate in there. Every handshake is a full one.
import { constants } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'

const BODY = 'hello\n'
const CHUNK = Buffer.alloc(256 * 1024)
const folder = process.argv[2]

function answer({ url }, response) {
  if (url.startsWith('/bytes/')) return download(response, Number(url.slice('/bytes/'.length)))
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': BODY.length })
  response.end(BODY)
}

function download(response, size) {
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': size })
  let left = size
  const more = () => {
    while (left > 0) {
      const piece = CHUNK.subarray(0, Math.min(left, CHUNK.length))
      left -= piece.length
      if (!response.write(piece)) return response.once('drain', more)
    }
    response.end()
  }
  more()
}

const tls = () => ({
  key: readFileSync(`${folder}/key.pem`),
  cert: readFileSync(`${folder}/cert.pem`),
  secureOptions: constants.SSL_OP_NO_TICKET, // a ticket of one worker would be none of another's
})
const server = folder === undefined ? createServer(answer) : createTlsServer(tls(), answer)

server.listen(0, '127.0.0.1', () => {
  console.log(`serving on port ${server.address().port}, process ${process.pid}`)
})
