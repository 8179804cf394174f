// dist/lib: what users load. Node takes most of a millisecond to find and load a module, and a worker or a command needs a
// hundred and more of ours before it does anything; here they are a few files.
import { rmSync } from 'node:fs'
import { build } from 'esbuild'
import { MODULES } from './modules.mjs'

rmSync('dist/lib', { recursive: true, force: true })
await build({
  entryPoints: MODULES.map((name) => `dist/src/${name}`),
  outdir: 'dist/lib',
  outbase: 'dist/src',
  bundle: true,
  // Who loads two of them has each module of ours once: the preload and the program share the channel to the master.
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  sourcemap: 'linked',
  sourcesContent: false,
  logLevel: 'warning',
})
