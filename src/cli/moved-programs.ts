/** What a program from PM2 or node:cluster lacks here, seen by what it said as it failed. */

/** @param lines  of workers, as they wrote them. @returns what to do; null: nothing of it is known here */
export function movedHint(lines: readonly string[]): string | null {
  if (!lines.some((line) => /\bprocess\.send is not a function/.test(line))) return null
  return "process.send is PM2's and node:cluster's: `import { worker } from 'handover'`, then `worker?.ready()` for process.send('ready'), and `worker?.send(…)` for messages"
}
