// A policy: a client's connections always go to the same worker, as long as that one takes any.
//   handover run --workers 4 --policy examples/by-address.mjs examples/http-server.mjs
export default function byAddress(connection, workers) {
  const ready = workers.filter((worker) => worker.ready && !worker.stalled && !worker.draining)
  let hash = 0
  for (const character of connection.peer?.address ?? '') hash = (hash * 31 + character.charCodeAt(0)) | 0
  return ready[Math.abs(hash) % ready.length]?.id
}
