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

/** Times that threads of a process have gone to sleep, to be woken again. */
export function sleepsOf(pid) {
  let sleeps = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8')
    sleeps += Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)[1])
  }
  return sleeps
}

/** Bytes of a process that are in memory. */
export function residentOf(pid) {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024
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
