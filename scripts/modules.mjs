/** Modules that are started or imported by their name from outside; all others are in the bundles that these share. */
export const MODULES = [
  ...['index.js', 'sendmsg/index.js', 'websocket/index.js', 'admin/index.js', 'config/define.js', 'worker/preload.js'],
  ...['cli/bin.js', 'cli/main.js', 'supervisor/succession/last-words.js'],
  ...['prove/app.js', 'prove/cluster-primary.js', 'prove/load.js'],
]
