/** CPU time of processes, as the scheduler accounts for it. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

/** Ticks of /proc/PID/stat in a second: USER_HZ, which Linux shows as 100 on all its platforms. */
const USER_HZ = 100

/** Microseconds that all threads of a process have run: nanoseconds' precision, or 10 ms without schedstats. */
export function cpuOf(pid) {
  try {
    return schedstat(pid)
  } catch {
    return stat(pid)
  }
}

/** Does not count threads that have ended: none does here, as node's and the dispatcher's live as long as they do. */
function schedstat(pid) {
  let nanoseconds = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0])
  }
  return nanoseconds / 1000
}

function stat(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1e6) / USER_HZ
}
