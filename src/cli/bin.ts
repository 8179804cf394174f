#!/usr/bin/env node
/** Starts the command. Imports nothing, so that a descriptor limit too low to load it is told in one line. */
try {
  await import('./main.js')
} catch (error) {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'EMFILE' && code !== 'ENFILE') throw error
  const which = code === 'EMFILE' ? 'raise it with `ulimit -n`, or LimitNOFILE= in a systemd unit' : 'raise fs.file-max'
  process.stderr.write(`handover cannot even start: the descriptor limit is reached (${code}): ${which}\n`)
  process.exitCode = 111
}
