import { fileURLToPath } from 'node:url'
import { ownModule } from '../own-files.js'
import type { ScriptOptions } from './driver.js'

/** What a foreign master is started and reloaded with, for the shell. */
export interface Preset {
  command: string
  reloadCommand: string
}

/** Masters that many run, so that they can be put to the same proof. */
export const PRESETS = ['cluster', 'pm2'] as const
export type PresetName = (typeof PRESETS)[number]

/** The program that `prove` runs unless it is given another. */
export const OWN_SCRIPT = fileURLToPath(ownModule('prove/app.js'))

/** `pm2` and `pm2-runtime` are looked for in PATH. */
export function presetOf(name: PresetName, { script, args, workers }: Omit<ScriptOptions, 'env' | 'mode'>): Preset {
  const words = args.map(quoted).join(' ')
  if (name === 'pm2') {
    const behind = words === '' ? '' : ` -- ${words}`
    return {
      command: `pm2-runtime start ${quoted(script)} -i ${workers}${behind}`,
      reloadCommand: 'pm2 reload all',
    }
  }
  const primary = fileURLToPath(ownModule('prove/cluster-primary.js'))
  const command = [process.execPath, primary, String(workers), script, ...args].map(quoted).join(' ')
  return { command, reloadCommand: 'kill -USR2 "$PID"' }
}

/** For the shell, as one word. */
export function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}
