// Runs a command with its output shown; ends this script with the command's code if it fails.
import { spawnSync } from 'node:child_process'

export function run(command, args, options = {}) {
  console.log(`> ${[command, ...args].join(' ')}`)
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options })
  if (error) console.error(error.message)
  if (status !== 0) process.exit(status ?? 1)
}
